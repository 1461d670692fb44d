"""The same network, data and training as HistoCNNClassifier's defaults, written by hand in plain Keras.

It is what a script has: layers of Keras, augmentation in Keras' operations, one `fit`. Nothing in it is ours
but the synthetic patches and the values of the defaults.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from histoclf import HistoCNNClassifier, make_patches
from histoclf.preprocessing._augmentation import augmentation_fields

BATCH_SIZE = 64
DEFAULTS = HistoCNNClassifier()
N_GROUPS = 8
STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]])  # haematoxylin, eosin (Ruifrok & Johnston)


def training_data(n_patches: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Make 8-bit images and class numbers."""
    made = make_patches(
        n_patients=4, patches_per_patient=n_patches // 4, image_size=image_size, random_state=0
    )
    return made.images, (made.labels == made.classes[1]).astype(int)


def stain_matrix() -> np.ndarray:
    """Return optical densities of haematoxylin, eosin and what neither explains, in rows of length one."""
    rows = np.vstack([STAINS, np.cross(*STAINS)])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")


class PlainAugment(layers.Layer):
    """Flips, turns, rotation, zoom, stain and light: one after the other, as one writes them down."""

    def __init__(self, strengths: dict[str, Any]) -> None:
        super().__init__(name="augment", dtype="float32")
        self.strengths = strengths
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, images: Any, training: bool = False) -> Any:
        """Change images in 0 to 255."""
        if not training:
            return images
        for change in (self.flip, self.rotate_and_zoom, self.stain, self.light):
            images = change(images)
        return images

    def draw(self, images: Any, name: str, *trailing: int) -> Any:
        """Draw a number for each image, uniform between minus and plus the strength."""
        strength = self.strengths[name]
        shape = (ops.shape(images)[0], *trailing)
        return keras.random.uniform(shape, -strength, strength, seed=self.seed_generator)

    def flip(self, images: Any) -> Any:
        """Draw one of the eight symmetries of the square."""
        for change in (
            lambda x: ops.flip(x, axis=2),
            lambda x: ops.flip(x, axis=1),
            lambda x: ops.transpose(x, (0, 2, 1, 3)),
        ):
            images = ops.where(self.draw(images, "flip", 1, 1, 1) < 0, change(images), images)
        return images

    def rotate_and_zoom(self, images: Any) -> Any:
        """Resample once."""
        angle = self.draw(images, "rotation") * (np.pi / 180)
        scale = ops.exp(self.draw(images, "zoom"))
        cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
        x, y = (images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2
        zero = ops.zeros_like(cos)
        rows = [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y, zero, zero]
        return ops.image.affine_transform(
            images, ops.stack(rows, axis=1), interpolation="bilinear", fill_mode="reflect"
        )

    def stain(self, images: Any) -> Any:
        """Scale and shift the concentration of each stain."""
        stains = stain_matrix()
        gain, offset = 1.0 + self.draw(images, "stain", 3), 0.25 * self.draw(images, "stain", 3)
        mixing = ops.einsum("ij,bj,jk->bik", np.linalg.inv(stains), gain, stains)
        density = ops.einsum("bhwi,bij->bhwj", -ops.log((images + 1.0) / 256.0), mixing)
        density = density + ops.matmul(offset, stains)[:, None, None, :]
        return ops.clip(256.0 * ops.exp(-density) - 1.0, 0.0, 255.0)

    def light(self, images: Any) -> Any:
        """Shift each image, and stretch it around its mean."""
        gain = 1.0 + self.draw(images, "contrast", 1, 1, 1)
        shift = 255.0 * self.draw(images, "brightness", 1, 1, 1)
        centre = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return ops.clip((images - centre) * gain + centre + shift, 0.0, 255.0)


def strengths() -> dict[str, Any]:
    """Name the strengths of the default augmentation; a flip is drawn from -1 to 1."""
    return {**dict(augmentation_fields(DEFAULTS.augmentation) or ()), "flip": 1.0}


def network(image_size: int) -> tuple[Any, Any]:
    """Connect images in 0 to 255 with logits."""
    images = keras.Input((image_size, image_size, 3), dtype="uint8")
    x = PlainAugment(strengths())(ops.cast(images, "float32"))
    x = -ops.log((x + 1.0) / 256.0) - 0.4
    for position, width in enumerate(DEFAULTS.filters):
        size, stride = (5 if position == 0 else 3), (2 if position % 2 == 0 else 1)
        x = layers.Conv2D(
            width, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)
        x = layers.ReLU()(layers.GroupNormalization(N_GROUPS)(x))
    x = layers.Dropout(DEFAULTS.dropout)(layers.GlobalAveragePooling2D()(x))
    return images, layers.Dense(2)(x)


def build_model(image_size: int, n_steps: int) -> keras.Model:
    """Build and compile what the classifier's defaults say, as a script would."""
    model = keras.Model(*network(image_size))
    compile_model(model, n_steps, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def build_model_for_rows(image_size: int, n_steps: int) -> keras.Model:
    """Build the same for a wrapper that takes rows of numbers, and hands over one column for each class."""
    rows = keras.Input((image_size * image_size * 3,), dtype="uint8")
    model = keras.Model(*network(image_size))
    model = keras.Model(rows, model(layers.Reshape((image_size, image_size, 3), dtype="uint8")(rows)))
    compile_model(model, n_steps, keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


def compile_model(model: keras.Model, n_steps: int, loss: Any) -> None:
    """Compile with the classifier's optimizer and schedule."""
    warm_up = max(1, round(0.05 * n_steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, n_steps - warm_up), warmup_target=DEFAULTS.learning_rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.Adam(rate, weight_decay=DEFAULTS.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer=optimizer, loss=loss)


def n_steps(n_patches: int, epochs: int) -> int:
    """Count the steps of a training run."""
    return epochs * math.ceil(n_patches / BATCH_SIZE)
