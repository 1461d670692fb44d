"""Random augmentation as a Keras layer: images in the range 0 to 255 go in and come out."""

import keras
import numpy as np
from keras import ops

# Optical density of haematoxylin, eosin and their cross product (the residual), one stain a row
# (Ruifrok & Johnston 2001, table 1), normalised to unit length.
_HAEMATOXYLIN = np.array([0.650, 0.704, 0.286])
_EOSIN = np.array([0.072, 0.990, 0.105])


def stain_matrix() -> np.ndarray:
    """Rows: unit optical-density vectors of haematoxylin, eosin and what neither explains."""
    rows = [_HAEMATOXYLIN, _EOSIN, np.cross(_HAEMATOXYLIN, _EOSIN)]
    return np.stack([row / np.linalg.norm(row) for row in rows]).astype("float32")


@keras.saving.register_keras_serializable(package="histoclf")
class RandomAugment(keras.layers.Layer):
    """Flip, turn, rotate, zoom and recolour each image of a batch independently.

    Parameters
    ----------
    spec : dict
        The fields of :class:`histoclf.Augmentation`.
    seed : int
        Start of the layer's own random stream.
    """

    def __init__(self, spec: dict, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.spec = dict(spec)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        spec = self.spec
        if spec["flip"]:
            images = self._flip_and_turn(images)
        if spec["rotation"] or spec["zoom"]:
            images = self._rotate_and_zoom(images, spec["rotation"], spec["zoom"])
        if spec["stain"]:
            images = self._jitter_stain(images, spec["stain"])
        if spec["brightness"] or spec["contrast"]:
            images = self._jitter_light(images, spec["brightness"], spec["contrast"])
        return images

    def _uniform(self, images, low, high, *trailing):
        shape = (ops.shape(images)[0], *trailing)
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)

    def _coin(self, images):
        return self._uniform(images, 0.0, 1.0, 1, 1, 1) < 0.5

    def _flip_and_turn(self, images):
        """One of the eight symmetries of the square; of the four of the rectangle if not square."""
        images = ops.where(self._coin(images), ops.flip(images, axis=2), images)
        images = ops.where(self._coin(images), ops.flip(images, axis=1), images)
        if images.shape[1] == images.shape[2]:
            images = ops.where(self._coin(images), ops.transpose(images, (0, 2, 1, 3)), images)
        return images

    def _rotate_and_zoom(self, images, degrees, zoom):
        """One bilinear resampling for both, mirrored at the border so that no black wedge appears."""
        height, width = images.shape[1], images.shape[2]
        angle = self._uniform(images, -degrees, degrees) * (np.pi / 180)
        scale = ops.exp(self._uniform(images, -zoom, zoom))
        cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
        cx, cy = (width - 1) / 2, (height - 1) / 2
        zero = ops.zeros_like(cos)
        rows = [cos, -sin, cx - cos * cx + sin * cy, sin, cos, cy - sin * cx - cos * cy, zero, zero]
        return ops.image.affine_transform(
            images, ops.stack(rows, axis=1), interpolation="bilinear", fill_mode="reflect"
        )

    def _jitter_stain(self, images, strength):
        """Scale and shift the concentration of each stain (in optical density)."""
        stains = stain_matrix()
        gain = 1.0 + self._uniform(images, -strength, strength, 3)
        offset = self._uniform(images, -strength, strength, 3) * 0.25
        mixing = ops.einsum("ij,bj,jk->bik", np.linalg.inv(stains), gain, stains)
        shift = ops.matmul(offset, stains)
        density = -ops.log((images + 1.0) / 256.0)
        density = ops.einsum("bhwi,bij->bhwj", density, mixing) + shift[:, None, None, :]
        return ops.clip(256.0 * ops.exp(-density) - 1.0, 0.0, 255.0)

    def _jitter_light(self, images, brightness, contrast):
        gain = 1.0 + self._uniform(images, -contrast, contrast, 1, 1, 1)
        shift = 255.0 * self._uniform(images, -brightness, brightness, 1, 1, 1)
        centre = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return ops.clip((images - centre) * gain + centre + shift, 0.0, 255.0)

    def get_config(self) -> dict:
        return {**super().get_config(), "spec": self.spec, "seed": self.seed}
