"""Scaling, optical density and pooling, against numpy and Keras."""

import keras
import numpy as np
import pytest

from histoclf.networks._catalogue import PREPROCESSING
from histoclf.networks._layers import (
    Haematoxylin,
    OpticalDensity,
    PoolBoth,
    Preprocess,
    ToPixels,
    from_optical_density,
    preprocess,
    to_optical_density,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")


@pytest.mark.parametrize(
    ("scale", "offset", "given"),
    [
        (1.0, 0.0, PIXELS.astype("uint8")),
        (255.0, 0.0, PIXELS / 255),
        (127.5, 127.5, PIXELS / 127.5 - 1),
        ([10.0, 20.0, 30.0], [1.0, 2.0, 3.0], (PIXELS - [1, 2, 3]) / [10, 20, 30]),
    ],
)
def test_to_pixels_brings_every_unit_to_0_255(scale, offset, given):
    pixels = keras.ops.convert_to_numpy(ToPixels(np.atleast_2d(scale), np.atleast_2d(offset))(given))
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, PIXELS, atol=1e-3)


def test_optical_density_is_the_logarithm_of_the_missing_light():
    expected = -np.log((PIXELS + 1) / 256)
    np.testing.assert_allclose(to_optical_density(PIXELS), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(OpticalDensity()(PIXELS), expected - 0.4, rtol=1e-5, atol=1e-6)


def test_optical_density_is_finite_below_black_and_zero_at_white():
    density = keras.ops.convert_to_numpy(to_optical_density(np.array([-5.0, 0.0, 255.0], dtype="float32")))
    np.testing.assert_allclose(density, [np.log(256), np.log(256), 0.0], rtol=1e-6)


def test_optical_density_can_be_undone():
    np.testing.assert_allclose(from_optical_density(to_optical_density(PIXELS)), PIXELS, atol=1e-3)


def test_a_dimmer_lamp_shifts_the_density_by_a_constant():
    bright = np.array([[99.0, 199.0]], dtype="float32")
    shift = keras.ops.convert_to_numpy(to_optical_density((bright + 1) / 2 - 1) - to_optical_density(bright))
    np.testing.assert_allclose(shift, np.log(2), rtol=1e-5)


def stained(haematoxylin, eosin):
    """Light that passes through so much of each stain, in 0-255."""
    density = haematoxylin * np.array([0.65, 0.70, 0.29]) / np.linalg.norm([0.65, 0.70, 0.29])
    density = density + eosin * np.array([0.07, 0.99, 0.11]) / np.linalg.norm([0.07, 0.99, 0.11])
    return (256 * np.exp(-density) - 1).astype("float32")


@pytest.mark.parametrize("eosin", [0.0, 0.5, 1.5])
def test_haematoxylin_is_shown_dark_whatever_the_eosin(eosin):
    images = np.stack([stained(amount, eosin) for amount in (0.0, 0.5, 1.25, 2.5)])[None, :, None]
    shown = keras.ops.convert_to_numpy(Haematoxylin(dtype="float32")(images))
    assert shown.shape == (1, 4, 1, 1)
    np.testing.assert_allclose(shown.ravel(), [255, 204, 127.5, 0], atol=0.01)


def test_haematoxylin_stays_a_picture():
    shown = keras.ops.convert_to_numpy(Haematoxylin(dtype="float32")(PIXELS))
    assert shown.min() >= 0
    assert shown.max() <= 255


def official(pixels, mode):
    return pixels if mode == "none" else keras.applications.imagenet_utils.preprocess_input(pixels, mode=mode)


@pytest.mark.parametrize("mode", PREPROCESSING)
def test_preprocessing_is_what_keras_calls_by_the_same_name(mode):
    before = PIXELS.copy()
    expected = official(PIXELS.copy(), mode)
    np.testing.assert_allclose(preprocess(PIXELS, mode), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(Preprocess(mode)(PIXELS), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(PIXELS, before)
    assert preprocess(PIXELS, mode).dtype == np.float32


@pytest.mark.parametrize("mode", PREPROCESSING)
def test_preprocessing_makes_rgb_of_gray(mode):
    gray = PIXELS[..., :1]
    expected = official(np.repeat(gray, 3, axis=-1), mode)
    np.testing.assert_allclose(Preprocess(mode)(gray), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (2, 7, 3)], ids=["maps", "tokens"])
def test_pooling_gives_average_and_maximum(shape):
    features = np.random.default_rng(1).normal(size=shape).astype("float32")
    places = features.reshape(2, -1, 3)
    expected = np.stack([places.mean(axis=1), places.max(axis=1)], axis=1)
    np.testing.assert_allclose(PoolBoth()(features), expected, rtol=1e-5, atol=1e-6)


def test_a_vector_has_nothing_to_pool_and_half_precision_becomes_single():
    vectors = np.arange(6, dtype="float16").reshape(2, 3)
    pooled = keras.ops.convert_to_numpy(PoolBoth(dtype="float32")(vectors))
    assert pooled.dtype == np.float32
    np.testing.assert_array_equal(pooled, vectors[:, None])


@pytest.mark.parametrize(
    "layer", [ToPixels([[2.0]], [[1.0]]), OpticalDensity(), Haematoxylin(), Preprocess("caffe"), PoolBoth()]
)
def test_layers_can_be_built_again_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(again(PIXELS), layer(PIXELS))


def test_several_maps_are_pooled_one_row_after_the_other():
    rng = np.random.default_rng(0)
    maps, other = rng.random((2, 4, 4, 3), dtype="float32"), rng.random((2, 2, 2, 5), dtype="float32")
    both = PoolBoth()([maps, other])
    expected = np.concatenate([PoolBoth()(maps), PoolBoth()(other)], axis=-1)
    assert both.shape == (2, 2, 8)
    np.testing.assert_array_equal(both, expected)
    assert PoolBoth()([maps, rng.random((2, 4), dtype="float32")]).shape == (2, 2, 7)
