"""The network's graph."""

import dataclasses

import numpy as np
import pytest

from histoclf.networks._architectures import CNNSpec
from histoclf.preprocessing._augmentation import augmentation_fields

SPEC = CNNSpec(
    image_shape=(16, 16, 3),
    n_classes=2,
    filters=(8, 16),
    normalization="group",
    dropout=0.1,
    augmentation=None,
    input_dtype="uint8",
)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("uint8")


def changed(**fields):
    return dataclasses.replace(SPEC, **fields)


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        changed(normalization="batch"),
        changed(image_shape=(16, 16, 1), n_classes=5),
        changed(image_shape=(1, 1, 3), filters=(4, 4, 4)),
        changed(image_shape=(1, 7, 1), input_dtype="float32"),
        changed(augmentation=augmentation_fields("standard"), filters=(6,)),
    ],
)
def test_it_gives_one_logit_a_class_for_any_shape(spec):
    model = spec.build()
    images = np.zeros((3, *spec.image_shape), dtype=spec.input_dtype)
    assert model.predict_on_batch(images).shape == (3, spec.n_classes)


def test_equal_specs_are_one_key():
    assert hash(changed(filters=(8, 16))) == hash(SPEC)
    assert changed(dropout=0.2) != SPEC


def test_every_second_convolution_halves_the_resolution():
    model = changed(filters=(4, 4, 4)).build()
    sides = [model.get_layer(f"conv_{position}").output.shape[1] for position in (1, 2, 3)]
    assert sides == [8, 8, 4]


def test_the_network_is_small_and_has_no_flatten():
    model = changed(filters=(24, 32, 64, 64)).build()
    assert model.count_params() < 100_000
    assert not [layer for layer in model.layers if "Flatten" in type(layer).__name__]


def test_the_model_for_use_takes_the_units_of_the_user():
    trained = SPEC.build()
    model = SPEC.build_for_use([[255.0]], [[0.0]], "float32")
    model.set_weights(trained.get_weights())
    logits = trained.predict_on_batch(IMAGES).astype("float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_on_batch(IMAGES / np.float32(255)), expected, atol=1e-5)


def test_building_draws_from_no_global_stream():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first, second = SPEC.build().get_weights(), SPEC.build().get_weights()
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
