"""What another laboratory or scanner may do to a patch, at a fixed strength: the same for every network."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

# Optical densities of haematoxylin, eosin and DAB in red, green and blue (Ruifrok & Johnston 2001).
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_STAINS /= np.linalg.norm(_STAINS, axis=1, keepdims=True)


def stain(images: np.ndarray, haematoxylin: float, eosin: float) -> np.ndarray:
    """Multiply what there is of two stains, in optical density."""
    density = -np.log((images.astype("float32") + 1) / 256)
    mixing = np.linalg.inv(_STAINS) @ np.diag([haematoxylin, eosin, 1.0]) @ _STAINS
    return to_uint8(256 * np.exp(-density @ mixing.astype("float32")) - 1)


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    """Compress and decompress, with the colours at half resolution."""
    shown = np.empty_like(images)
    for position, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=2)
        shown[position] = np.asarray(Image.open(file))
    return shown


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Put out of focus; `sigma` is in pixels."""
    return to_uint8(gaussian_filter(images.astype("float32"), (0, sigma, sigma, 0)))


def brighten(images: np.ndarray, factor: float) -> np.ndarray:
    """Turn the lamp up or down."""
    return to_uint8(images * np.float32(factor))


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Round, within 0-255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda images: images,
    "haematoxylin x 1.25, eosin x 0.8": lambda images: stain(images, 1.25, 0.8),
    "haematoxylin x 0.8, eosin x 1.25": lambda images: stain(images, 0.8, 1.25),
    "JPEG, quality 40": lambda images: jpeg(images, 40),
    "blur, 1 pixel": lambda images: blur(images, 1.0),
    "brightness x 0.85": lambda images: brighten(images, 0.85),
    "brightness x 1.15": lambda images: brighten(images, 1.15),
}
