"""PixelScaler."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from histoclf.exceptions import InputContractError
from histoclf.preprocessing import PixelScaler

MODES = ["unit", "symmetric", "standard"]
SHAPE = (6, 5, 3)


@pytest.fixture
def images():
    X = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
    X[0, 0, 0], X[0, 0, 1] = 0, 255
    return X


@parametrize_with_checks([PixelScaler(mode) for mode in MODES])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --- images ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize(
    ("mode", "low", "high", "expected"),
    [("unit", 0, 1, lambda X: X / 255), ("symmetric", -1, 1, lambda X: (X - 127.5) / 127.5)],
)
def test_fixed_ranges(images, mode, low, high, expected, dtype):
    out = PixelScaler(mode).fit_transform(images.astype(dtype))
    assert out.dtype == np.float32
    assert out.shape == images.shape
    assert (out.min(), out.max()) == (low, high)
    np.testing.assert_allclose(out, expected(images.astype(float)), atol=1e-7)


def test_standard_is_per_channel(images):
    images[..., 1] //= 4
    scaler = PixelScaler("standard").fit(images)
    pixels = images.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(scaler.center_, pixels.mean(axis=0))
    np.testing.assert_allclose(scaler.scale_, pixels.std(axis=0))
    out = scaler.transform(images).reshape(-1, 3)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-5)


def test_a_fixed_range_does_not_depend_on_the_data(images):
    dark = images // 4
    np.testing.assert_array_equal(
        PixelScaler().fit(dark).transform(images), PixelScaler().fit(images).transform(images)
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_whole_numbers_come_back_exactly(mode, dtype):
    X = np.arange(256).astype(dtype).reshape(4, 8, 8, 1)
    scaler = PixelScaler(mode).fit(X)
    back = scaler.inverse_transform(scaler.transform(X))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, X)


@pytest.mark.parametrize("mode", MODES)
def test_floats_come_back(images, mode):
    X = images.astype(np.float32) * 0.9
    scaler = PixelScaler(mode).fit(X)
    back = scaler.inverse_transform(scaler.transform(X))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, X, atol=1e-4)


def test_what_does_not_fit_the_type_is_clipped(images):
    scaler = PixelScaler().fit(images)
    out = np.array([-0.5, 1.5, 0.5] * 30, dtype=np.float32).reshape(1, *SHAPE)
    assert np.unique(scaler.inverse_transform(out)).tolist() == [0, 128, 255]


@pytest.mark.parametrize("mode", MODES)
def test_flattened_images_are_images(images, mode):
    flat = images.reshape(len(images), -1)
    scaler = PixelScaler(mode, image_shape=SHAPE).fit(flat)
    assert scaler.image_shape_ == SHAPE
    assert scaler.center_.shape == (3,)
    expected = PixelScaler(mode).fit_transform(images)
    np.testing.assert_array_equal(scaler.transform(flat), expected.reshape(len(images), -1))
    np.testing.assert_array_equal(scaler.transform(images), expected)


@pytest.mark.parametrize("image_shape", [(6, 15), (6, 15, 1), [6, 15]])
def test_grayscale(images, image_shape):
    flat = images.reshape(len(images), -1)
    assert PixelScaler(image_shape=image_shape).fit(flat).image_shape_ == (6, 15, 1)


@pytest.mark.parametrize("mode", MODES)
def test_constant_images(mode):
    X = np.full((2, *SHAPE), 7, dtype=np.uint8)
    assert np.isfinite(PixelScaler(mode).fit_transform(X)).all()


def test_black_images_can_be_transformed(images):
    scaler = PixelScaler().fit(images)
    for dtype in (np.uint8, np.float32):
        assert not scaler.transform(np.zeros((1, *SHAPE), dtype)).any()


@pytest.mark.parametrize("mode", MODES)
def test_the_input_is_not_changed(images, mode):
    before = images.copy()
    PixelScaler(mode).fit_transform(images)
    np.testing.assert_array_equal(images, before)


def test_pickle(images):
    scaler = PixelScaler("standard").fit(images)
    again = pickle.loads(pickle.dumps(scaler))
    np.testing.assert_array_equal(again.transform(images), scaler.transform(images))


@pytest.mark.parametrize("mode", MODES)
def test_no_copy_of_all_images_in_float64(mode):
    X = np.random.default_rng(0).integers(0, 256, (400, 50, 50, 3), dtype=np.uint8)
    scaler = PixelScaler(mode)
    tracemalloc.start()
    scaler.fit(X)
    fitting = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    out = scaler.transform(X)
    transforming = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fitting < 8 * X.nbytes / 2
    assert transforming < out.nbytes + 8 * X.nbytes / 2


# --- images that were scaled before, or are no images ---------------------


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_a_second_scaler_in_a_row_is_called_by_name(images, first, second):
    with pytest.raises(InputContractError, match=r"already scaled.*another PixelScaler in front of this one"):
        make_pipeline(PixelScaler(first), PixelScaler(second)).fit(images)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: X / 255, r"got float64 values from 0 to 1: already scaled\. Delete one of the two"),
        (lambda X: X / 255 / 255, "already scaled, and by the look of it twice"),
        (lambda X: X / 127.5 - 1, "values from -1 to 1: already scaled"),
        (lambda X: (X / 255).astype(np.uint8), "largest value is 1: images on the scale 0 to 1 were cast"),
        (lambda X: X.astype(np.uint16) * 257, "values from 0 to 6.554e\\+04: not 8-bit images"),
        (lambda X: X.astype(np.int16) - 128, "not 8-bit images"),
    ],
)
def test_wrong_ranges(images, spoil, message):
    for X, scaler in [
        (spoil(images), PixelScaler()),
        (spoil(images).reshape(len(images), -1), PixelScaler(image_shape=SHAPE)),
    ]:
        with pytest.raises(InputContractError, match=message):
            scaler.fit(X)


def test_scaled_data_at_transform(images):
    with pytest.raises(InputContractError, match="already scaled"):
        PixelScaler().fit(images).transform(images / 255)


def test_a_mixed_bag(images):
    X = images.astype(np.float32)
    X[3:6] /= 255
    with pytest.raises(InputContractError, match=r"mixed bag: 3 of 20 images.*rows 3, 4, 5\."):
        PixelScaler().fit(X)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mode", MODES)
def test_not_finite(images, mode, value):
    X = images.astype(np.float64)
    X[[2, 7], 1, 1, 1] = value
    for call in (PixelScaler(mode).fit, PixelScaler(mode).fit(images).transform):
        with pytest.raises(InputContractError, match=r"NaN or infinity in 2 of 20 rows: 2, 7\."):
            call(X)


def test_many_rows_are_counted(images):
    with pytest.raises(
        InputContractError, match=r"20 of 20 rows: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 10 more\."
    ):
        PixelScaler().fit(np.full(images.shape, np.nan))


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (np.array(["a.png", "b.png"]), {}, "looks like a list of paths: put an ImageLoader"),
        (["a.png", "b.png"], {}, "looks like a list of paths"),
        (pd.Series(["a.png"]), {}, "looks like a list of paths"),
        (np.zeros((3, 4, 4)), {}, r"4-D array.*got the shape \(3, 4, 4\)"),
        (np.zeros((2, 3, 50, 50)), {}, r"channels in the last place.*np\.moveaxis"),
        (np.zeros((2, 10)), {"image_shape": (2, 2, 3)}, "X has 10 values in a row, but images of shape"),
        (
            np.zeros((2, 4, 4, 3)),
            {"image_shape": (4, 4)},
            r"X holds images of shape \(4, 4, 3\), but image_shape",
        ),
        (np.zeros((2, 10)), {"image_shape": (10,)}, r"image_shape must be \(height, width\)"),
        (np.zeros((2, 10)), {"image_shape": (0, 10)}, "all at least 1"),
        (np.zeros((0, 4, 4, 3)), {}, "0 sample"),
    ],
)
def test_wrong_shapes(X, params, message):
    with pytest.raises(ValueError, match=message):
        PixelScaler(**params).fit(X)


def test_another_size_at_transform(images):
    with pytest.raises(
        InputContractError, match=r"shape \(5, 6, 3\), but PixelScaler was fitted on \(6, 5, 3\)\. Resize"
    ):
        PixelScaler().fit(images).transform(images.swapaxes(1, 2))
    with pytest.raises(InputContractError, match="was fitted on a table"):
        PixelScaler().fit(np.eye(90)).transform(images)
    with pytest.raises(InputContractError, match="has 12 values in a row, but PixelScaler was fitted on 90"):
        PixelScaler().fit(images).inverse_transform(np.zeros((1, 2, 2, 3)))


@pytest.mark.parametrize("params", [{"mode": "minmax"}, {"image_shape": 50}])
def test_wrong_parameters(images, params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of PixelScaler must be"):
        PixelScaler(**params).fit(images)


# --- plain tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "peer"),
    [
        ("unit", MinMaxScaler()),
        ("symmetric", MinMaxScaler(feature_range=(-1, 1))),
        ("standard", StandardScaler()),
    ],
)
def test_a_table_of_any_range_is_scaled_by_column(mode, peer):
    X = np.random.default_rng(0).normal(size=(50, 4)) * [1, 1e3, 1e-3, 0] + [0, 1e6, 0, 0.1]
    scaler = PixelScaler(mode).fit(X)
    out = scaler.transform(X)
    assert scaler.image_shape_ is None
    constant = peer.fit_transform(X)[:, 3] if mode != "symmetric" else 0  # MinMaxScaler answers -1
    np.testing.assert_allclose(out[:, :3], peer.fit_transform(X)[:, :3], atol=1e-5)
    np.testing.assert_allclose(out[:, 3], constant, atol=1e-7)
    np.testing.assert_allclose(scaler.inverse_transform(out), X, rtol=1e-5, atol=1e-3)


def test_names_of_columns():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]}, index=["p", "q"])
    out = PixelScaler().set_output(transform="pandas").fit_transform(X)
    assert out.columns.tolist() == ["a", "b"]
    assert out.index.tolist() == ["p", "q"]
    assert (out.dtypes == np.float32).all()
