"""Random augmentation as a Keras layer: images in the range 0 to 255 go in and come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from histoclf.networks._layers import from_optical_density, to_optical_density

# Optical density of haematoxylin and eosin in red, green and blue (Ruifrok & Johnston 2001).
_HAEMATOXYLIN = np.array([0.650, 0.704, 0.286])
_EOSIN = np.array([0.072, 0.990, 0.105])
_OFFSET_SHARE = 0.25  # a stain is shifted by at most this share of the strength, in units of optical density

Draw = Callable[
    ..., Any
]  # (low, high, *trailing shape) -> one independent draw per image, uniform in between


def stain_matrix() -> np.ndarray:
    """Return unit optical-density vectors (rows) of haematoxylin, eosin and what neither explains."""
    rows = [_HAEMATOXYLIN, _EOSIN, np.cross(_HAEMATOXYLIN, _EOSIN)]
    return np.stack([row / np.linalg.norm(row) for row in rows]).astype("float32")


@keras.saving.register_keras_serializable(package="histoclf")
class RandomAugment(keras.layers.Layer):
    """Flip, turn, rotate, zoom and recolour each image of a batch independently, in training only.

    Parameters
    ----------
    spec : dict
        The fields of :class:`histoclf.Augmentation`.
    seed : int
        Start of the layer's own random stream.
    """

    def __init__(self, spec: Mapping[str, Any], seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = dict(spec)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Augment a batch of shape (n, height, width, channels), float32 in 0 to 255."""
        if not training:
            return images

        def draw(low: float, high: float, *trailing: int) -> Any:
            shape = (ops.shape(images)[0], *trailing)
            return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)

        return augment(images, self.spec, draw)

    def get_config(self) -> dict[str, Any]:
        """Return what `keras.saving` needs to build the layer again."""
        return {**super().get_config(), "spec": self.spec, "seed": self.seed}


def augment_by_content(
    images: np.ndarray, spec: Mapping[str, Any], keys: Sequence[bytes], seed: int
) -> np.ndarray:
    """Augment images (n, height, width, channels) in 0-255, each by what its own key and `seed` draw.

    The same image is changed in the same way to the last bit whatever company it is in, so that what is made
    of it can be kept: that is why they are changed one by one.
    """
    changed = np.empty_like(images)
    for row, key in enumerate(keys):
        stream = np.random.default_rng([seed, *key])

        def draw(low: float, high: float, *trailing: int, stream: Any = stream) -> np.ndarray:
            return stream.uniform(low, high, (1, *trailing)).astype("float32")

        image = ops.convert_to_tensor(images[row : row + 1], "float32")
        result = ops.convert_to_numpy(augment(image, spec, draw))[0]
        changed[row] = np.rint(result) if images.dtype == np.uint8 else result
    return changed


def augment(images: Any, spec: Mapping[str, Any], draw: Draw) -> Any:
    """Change each image of a batch; all randomness comes from `draw`."""
    symmetry = _draw_symmetry(images, draw) if spec["flip"] else None
    if spec["rotation"] or spec["zoom"]:
        images = _rotate_and_zoom(images, symmetry, spec["rotation"], spec["zoom"], draw)
    elif symmetry:
        images = _flip_and_turn(images, symmetry)
    if spec["stain"] and images.shape[-1] == 3:  # a gray image has no stains to tell apart
        images = _jitter_stain(images, spec["stain"], draw)
    if spec["brightness"] or spec["contrast"]:
        images = _jitter_light(images, spec["brightness"], spec["contrast"], draw)
    return images


def _draw_symmetry(images: Any, draw: Draw) -> list[Any]:
    """Draw one of the eight symmetries of the square, or of the four of a rectangle.

    Returned are coins of shape (n,): mirror left and right, mirror top and bottom and, of a square, exchange
    rows and columns, in this order.
    """
    square = images.shape[1] == images.shape[2]
    return [draw(0.0, 1.0) < 0.5 for _ in range(3 if square else 2)]


def _flip_and_turn(images: Any, symmetry: list[Any]) -> Any:
    """Move pixels; no interpolation."""
    coins = [coin[:, None, None, None] for coin in symmetry]
    images = ops.where(coins[0], ops.flip(images, axis=2), images)
    images = ops.where(coins[1], ops.flip(images, axis=1), images)
    if len(coins) == 3:
        images = ops.where(coins[2], ops.transpose(images, (0, 2, 1, 3)), images)
    return images


def _rotate_and_zoom(images: Any, symmetry: list[Any] | None, degrees: float, zoom: float, draw: Draw) -> Any:
    """Resample once for everything, mirrored at the border so that no black wedge gives the angle away."""
    height, width = images.shape[1], images.shape[2]
    angle = draw(-degrees, degrees) * (np.pi / 180)
    scale = ops.exp(draw(-zoom, zoom))
    cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
    x, y = (width - 1) / 2, (height - 1) / 2
    to_x = ops.stack([cos, -sin, x - cos * x + sin * y], axis=1)
    to_y = ops.stack([sin, cos, y - sin * x - cos * y], axis=1)
    if symmetry:
        to_x, to_y = _through_symmetry(to_x, to_y, symmetry, height, width)
    rows = [to_x, to_y, ops.zeros_like(to_x[:, :2])]
    return ops.image.affine_transform(
        images, ops.concatenate(rows, axis=1), interpolation="bilinear", fill_mode="reflect"
    )


def _through_symmetry(to_x: Any, to_y: Any, symmetry: list[Any], height: int, width: int) -> tuple[Any, Any]:
    """Look up the pixels of the flipped images where they are in the images as they came.

    That saves `_flip_and_turn`, which took as long as the resampling itself.
    """
    coins = [coin[:, None] for coin in symmetry]
    if len(coins) == 3:
        to_x, to_y = ops.where(coins[2], to_y, to_x), ops.where(coins[2], to_x, to_y)
    to_x = ops.where(coins[0], np.array([0, 0, width - 1], dtype="float32") - to_x, to_x)
    to_y = ops.where(coins[1], np.array([0, 0, height - 1], dtype="float32") - to_y, to_y)
    return to_x, to_y


def _jitter_stain(images: Any, strength: float, draw: Draw) -> Any:
    """Scale and shift the concentration of each stain: linear in optical density."""
    stains = stain_matrix()
    gain = 1.0 + draw(-strength, strength, 3)
    offset = draw(-strength, strength, 3) * _OFFSET_SHARE
    mixing = ops.einsum("ij,bj,jk->bik", np.linalg.inv(stains), gain, stains)
    shift = ops.matmul(offset, stains)[:, None, None, :]
    density = ops.einsum("bhwi,bij->bhwj", to_optical_density(images), mixing) + shift
    return ops.clip(from_optical_density(density), 0.0, 255.0)


def _jitter_light(images: Any, brightness: float, contrast: float, draw: Draw) -> Any:
    """Shift each image as a whole, and stretch it around its own mean."""
    gain = 1.0 + draw(-contrast, contrast, 1, 1, 1)
    shift = 255.0 * draw(-brightness, brightness, 1, 1, 1)
    centre = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return ops.clip((images - centre) * gain + centre + shift, 0.0, 255.0)
