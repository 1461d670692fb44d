"""Group normalisation, beside Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from histoclf.networks._group_norm import GroupNormalization

RNG = np.random.default_rng(0)


def answers(kind, maps, upstream, groups, **params):
    """Values, and the gradients of maps, scale and shift."""
    layer = kind(groups, **params)
    layer.build(maps.shape)
    stream = np.random.default_rng(1)
    layer.set_weights([stream.normal(size=variable.shape) for variable in layer.weights])
    maps = tf.constant(maps)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        values = layer(maps)
    gradients = tape.gradient(values, [maps, *layer.trainable_variables], tf.constant(upstream))
    return [np.asarray(each) for each in (values, *gradients)]


@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("shape", [(5, 7, 6, 8), (3, 1, 1, 8), (2, 1, 9, 8)])
def test_values_and_gradients_are_those_of_keras(shape, groups):
    maps = RNG.normal(2.0, 3.0, shape).astype("float32")
    upstream = RNG.normal(size=shape).astype("float32")
    ours = answers(GroupNormalization, maps, upstream, groups)
    keras_ = answers(keras.layers.GroupNormalization, maps, upstream, groups)
    for a, b in zip(ours, keras_, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * max(1.0, np.abs(b).max()))


def test_its_gradient_is_the_slope_of_its_values():
    maps = RNG.normal(size=(2, 3, 4, 8)).astype("float32")
    layer = GroupNormalization(4)
    layer.build(maps.shape)
    in_theory, by_differences = tf.test.compute_gradient(layer, [tf.constant(maps)], delta=1e-2)
    np.testing.assert_allclose(in_theory[0], by_differences[0], atol=5e-3)


@pytest.mark.parametrize("value", [0.0, 3.7, 500.0])
def test_a_map_without_contrast_becomes_the_shift(value):
    """The variance is a difference, which rounding leaves a little beside zero."""
    maps = np.full((2, 25, 25, 8), value, dtype="float32")
    layer = GroupNormalization(8, name="norm")
    layer.build(maps.shape)
    layer.set_weights([np.ones(8), np.arange(8)])
    np.testing.assert_allclose(layer(maps), np.arange(8) + np.zeros_like(maps), atol=0.01)


def test_an_image_is_normalised_by_itself():
    maps = RNG.normal(size=(4, 5, 5, 8)).astype("float32")
    layer = GroupNormalization(2)
    np.testing.assert_allclose(layer(maps)[1:2], layer(maps[1:2]), atol=1e-6)


def test_the_layer_can_be_built_again_from_its_config():
    layer = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(GroupNormalization(4, name="norm_1"))
    )
    assert (type(layer), layer.groups, layer.name) == (GroupNormalization, 4, "norm_1")
