"""Values to JSON and back."""

import json
import math

import numpy as np
import pytest

from histoclf import Augmentation
from histoclf.classifiers._contract import InputContract, pixel_contract
from histoclf.classifiers._reading import InputFormat
from histoclf.persistence._encoding import Encoder, decode


def round_trip(value):
    encoder = Encoder()
    code = json.loads(json.dumps(encoder.encode(value, "value"), allow_nan=False))
    return decode(code, encoder.arrays)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 7, 0.1, 1e-300, math.inf, -math.inf, "", "μ", [], [1, [2]], (), (1, (2.0, "x"))),
        {"malignant": 2.0, 1: None, False: (1,)},
        {("a", 1): [1]},
    ],
)
def test_plain_values_return_equal_and_of_the_same_type(value):
    result = round_trip(value)
    assert result == value
    assert repr(result) == repr(value)


def test_nan_returns():
    assert math.isnan(round_trip(math.nan))


@pytest.mark.parametrize("value", [np.float32(0.1), np.int64(3), np.bool_(True), np.str_("benign")])
def test_numpy_scalars_keep_their_type(value):
    result = round_trip(value)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["benign", "malignant"]),
        np.array([False, True]),
        np.array([-1, 2], dtype=np.int8),
        np.array([0.5, 1.5], dtype=">f4"),
        np.array(["a", 1, None, (1, 2)], dtype=object),
        np.array([["a", "bc"]], dtype=object),
        np.empty((0, 3), dtype=np.float32),
        np.zeros(1, dtype="i4,f4"),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
    ],
)
def test_arrays_keep_values_dtype_and_shape(array):
    result = round_trip(array)
    assert result.dtype == array.dtype
    assert result.shape == array.shape
    assert result.tolist() == array.tolist()


def test_records_return_equal():
    shape = (16, 16, 3)
    result = round_trip(InputFormat("images", shape, shape, pixel_contract()))
    assert (result.kind, result.given_shape, result.image_shape) == ("images", shape, shape)
    assert isinstance(result.contract, InputContract)
    assert result.contract.scale.dtype == np.float32


def test_an_augmentation_returns_with_its_fields():
    augmentation = Augmentation(stain=0.1, flip=False)
    assert round_trip(augmentation).get_params() == augmentation.get_params()


def test_a_random_state_goes_on_where_it_stood():
    random_state = np.random.RandomState(3)
    random_state.normal()  # leaves half of a pair behind
    again = round_trip(random_state)
    np.testing.assert_array_equal(again.normal(size=5), random_state.normal(size=5))


def test_a_random_state_of_another_generator_is_refused():
    with pytest.raises(TypeError, match=r"draws from PCG64.*set_params\(random_state=0\)"):
        round_trip(np.random.RandomState(np.random.PCG64(0)))


class Dict(dict):
    """A subclass may hold more than its parent has a rule for."""


@pytest.mark.parametrize("value", [{1, 2}, object(), Dict(), len])
def test_a_type_without_a_rule_is_refused_by_name(value):
    with pytest.raises(TypeError, match=rf"history_\[0\] is of type '{type(value).__name__}'.*joblib\.dump"):
        Encoder().encode([value], "history_")


@pytest.mark.parametrize("code", [{"type": "eval", "parts": "1"}, {}, {"type": "array", "parts": 5}])
def test_a_code_that_no_encoder_writes_is_refused(code):
    with pytest.raises((KeyError, IndexError)):
        decode(code, [])
