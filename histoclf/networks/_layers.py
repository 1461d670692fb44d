"""Small layers without weights: from the user's units to 0-255, and from there to optical density."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

_CENTRE = 0.4  # about the mean optical density of an H&E patch: the first convolution sees values around zero


def to_optical_density(images: Any) -> Any:
    """Beer-Lambert: the natural logarithm of how much light is missing; one grey level keeps it finite."""
    return -ops.log((ops.maximum(images, 0.0) + 1.0) / 256.0)


def from_optical_density(density: Any) -> Any:
    """Undo `to_optical_density`."""
    return 256.0 * ops.exp(-density) - 1.0


@keras.saving.register_keras_serializable(package="histoclf")
class ToPixels(keras.layers.Layer):
    """Bring images from the units that `fit` saw to float32 in 0 to 255: the one place where scaling happens.

    Parameters
    ----------
    scale, offset : array-like of float of shape (1 or width, 1 or channels)
        ``images * scale + offset`` is in 0 to 255.
    """

    def __init__(self, scale: Any = ((1.0,),), offset: Any = ((0.0,),), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = np.asarray(scale, dtype="float32")
        self.offset = np.asarray(offset, dtype="float32")

    def call(self, images: Any) -> Any:
        """Scale a batch of shape (n, height, width, channels)."""
        return ops.cast(images, "float32") * self.scale + self.offset

    def get_config(self) -> dict[str, Any]:
        """Return what `keras.saving` needs to build the layer again."""
        return {**super().get_config(), "scale": self.scale.tolist(), "offset": self.offset.tolist()}


@keras.saving.register_keras_serializable(package="histoclf")
class OpticalDensity(keras.layers.Layer):
    """Optical density of images in 0 to 255, roughly centred.

    Stains add up linearly in optical density and multiply in pixel values (Ruifrok & Johnston 2001), and a
    lamp that is dimmer by some factor only shifts it by a constant, which the normalisation of the next
    layers removes.
    """

    def call(self, images: Any) -> Any:
        """Transform a batch of any shape."""
        return to_optical_density(images) - _CENTRE
