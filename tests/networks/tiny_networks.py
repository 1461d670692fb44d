"""Networks of a few numbers, quick to build."""

import keras
import numpy as np
from keras import layers

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype("uint8")


def tiny_network(input_shape=(None, None, 3), width=4, last=None):
    """Build a network with what makes real ones hard: learned normalisation and batch statistics."""
    images = keras.Input(input_shape)
    x = layers.Normalization(name="normalise")(images)
    x = layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(2 * width, 3, padding="same")(x)
    return keras.Model(images, x if last is None else last(x), name="tiny")


def trained_network(seed=0, **options):
    """Build one whose every weight is far from where it started."""
    model = tiny_network(**options)
    generator = np.random.default_rng(seed)
    weights = []
    for variable in model.weights:
        name = variable.path.rpartition("/")[2]
        drawn = (
            generator.uniform(0.5, 1.5, variable.shape)
            if name != "kernel"
            else generator.normal(0, 0.3, variable.shape)
        )
        weights.append({"mean": 120 * drawn, "variance": 2500 * drawn}.get(name, drawn).astype("float32"))
    model.set_weights(weights)
    model.get_layer("normalise").finalize_state()
    return model
