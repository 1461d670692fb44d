"""Small layers without weights: from the user's units to 0-255, and from there to what a network wants."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype="float32") * 255  # of red, green and blue
_IMAGENET_STDDEV = np.array([0.229, 0.224, 0.225], dtype="float32") * 255
_CAFFE_MEAN = np.array([103.939, 116.779, 123.68], dtype="float32")  # of blue, green and red
# Share of red, green and blue optical density in the concentration of haematoxylin: the first column of the
# inverse of the stain vectors of haematoxylin, eosin and DAB (Ruifrok & Johnston 2001), each of length one.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True))[:, :1].astype("float32")
_DARKEST = 2.5  # concentration that is shown black; nuclei have 1 to 2
_CENTRE = 0.4  # about the mean optical density of an H&E patch: the first convolution sees values around zero


def to_optical_density(images: Any) -> Any:
    """Beer-Lambert: the natural logarithm of how much light is missing; one grey level keeps it finite."""
    return -ops.log((ops.maximum(images, 0.0) + 1.0) / 256.0)


def from_optical_density(density: Any) -> Any:
    """Undo `to_optical_density`."""
    return 256.0 * ops.exp(-density) - 1.0


def to_haematoxylin(images: Any) -> Any:
    """Show the concentration of haematoxylin of RGB images in 0 to 255 as gray: white where there is none."""
    concentration = ops.matmul(to_optical_density(images), _UNMIX)
    return ops.clip(255.0 * (1.0 - concentration / _DARKEST), 0.0, 255.0)


def preprocess(images: Any, mode: str) -> Any:
    """Bring RGB images, tensor or array, from 0-255 into the range named by `mode`, once."""
    if mode == "tf":
        return images / 127.5 - 1.0
    if mode == "torch":
        return (images - _IMAGENET_MEAN) / _IMAGENET_STDDEV
    if mode == "caffe":
        return images[..., ::-1] - _CAFFE_MEAN
    return images


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


@keras.saving.register_keras_serializable(package="histoclf")
class Haematoxylin(keras.layers.Layer):
    """The concentration of haematoxylin as a gray image, 255 where there is none and dark in nuclei.

    By colour deconvolution with fixed stain vectors (Ruifrok & Johnston 2001): what eosin adds, and with it
    much of what differs between laboratories, is gone.
    """

    def call(self, images: Any) -> Any:
        """Transform a batch of shape (n, height, width, 3) in 0 to 255 into one of (n, height, width, 1)."""
        return to_haematoxylin(images)


@keras.saving.register_keras_serializable(package="histoclf")
class Preprocess(keras.layers.Layer):
    """Bring images from 0-255 into the range that a backbone was trained on; gray ones become RGB.

    Parameters
    ----------
    mode : str
        A key of `histoclf.networks._catalogue.PREPROCESSING`; what `keras.applications` calls "mode".
    """

    def __init__(self, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, images: Any) -> Any:
        """Transform a batch of shape (n, height, width, 1 or 3)."""
        if images.shape[-1] == 1:
            images = ops.concatenate([images, images, images], axis=-1)
        return preprocess(images, self.mode)

    def get_config(self) -> dict[str, Any]:
        """Return what `keras.saving` needs to build the layer again."""
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable(package="histoclf")
class PoolBoth(keras.layers.Layer):
    """Average and maximum over all places of feature maps: both, so that one pass serves every pooling.

    Maps of shape (n, height, width, depth) and tokens of shape (n, n_tokens, depth) become (n, 2, depth);
    what is one vector per image already becomes (n, 1, depth). Several maps become one row after the other.
    """

    def call(self, features: Any) -> Any:
        """Pool a batch, or one batch from each of several layers."""
        if not isinstance(features, list | tuple):
            return _pool_both(features)
        pooled = [_pool_both(each) for each in features]
        rows = max(each.shape[1] for each in pooled)
        return ops.concatenate([ops.repeat(each, rows // each.shape[1], axis=1) for each in pooled], axis=-1)


def _pool_both(features: Any) -> Any:
    places = tuple(range(1, len(features.shape) - 1))
    features = ops.cast(features, "float32")
    if not places:
        return ops.expand_dims(features, 1)
    return ops.stack([ops.mean(features, axis=places), ops.max(features, axis=places)], axis=1)
