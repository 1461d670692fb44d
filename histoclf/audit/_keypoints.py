"""Points that are found again in a copy of a patch, and what they look like, whichever way up.

Corners of the nuclei's pattern (Harris & Stephens 1988) at two scales, each with the 8 x 8 samples of its
surroundings, turned so that light falls from the left (the multi-scale oriented patches of Brown, Szeliski &
Winder 2005). Samples are of a band of spatial frequencies, with mean 0 and length 1: neither brightness nor
contrast nor how strong the stain is changes them much. The descriptor of a mirrored patch is the mirrored
descriptor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Columns = TypeVar("Columns", bound=Any)  # a dataclass of arrays

SIDE = 96  # pixels: what all images are brought to
SAMPLES = 8  # a descriptor is SAMPLES x SAMPLES
# Standard deviation of the blur in which corners are found, and distance of samples, in pixels of the canvas.
_SCALES = ((2.0, 3.5), (2.45, 4.29), (3.0, 5.25))
SPACINGS = np.array([spacing for _, spacing in _SCALES], dtype=np.float32)
_MOST = 16  # points of an image and scale
_MARGIN = 4  # pixels at the border of the image where no point is looked for
_LEAST_CONTRAST = 4.0  # length of the samples in gray levels, before it becomes 1: less is noise


@dataclass(frozen=True)
class Keypoints:
    """Points of many images, one after the other.

    Attributes
    ----------
    image : ndarray of shape (n_points,), int32
        Number of the image.
    xy : ndarray of shape (n_points, 2), float32
        Place, in pixels of the canvas.
    angle : ndarray of shape (n_points,), float32
        Where it gets brighter, in radians.
    scale : ndarray of shape (n_points,), int8
        Row of `SPACINGS`.
    descriptor : ndarray of shape (n_points, SAMPLES * SAMPLES), float16
        Of length 1.
    """

    image: NDArray[np.int32]
    xy: Floats
    angle: Floats
    scale: NDArray[np.int8]
    descriptor: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: np.ndarray) -> Keypoints:
        """Return some of the points."""
        return Keypoints(*(getattr(self, field.name)[rows] for field in fields(self)))


def find_keypoints(canvases: np.ndarray, first: int = 0) -> Keypoints:
    """Find and describe the points of a block of images.

    Parameters
    ----------
    canvases : ndarray of shape (n_images, SIDE, SIDE), uint8
        Gray images.
    first : int, default=0
        Number of the first image.

    Returns
    -------
    keypoints : Keypoints
        Sorted by image.
    """
    gray = canvases.astype(np.float32)
    points = join([_of_scale(gray, scale, first) for scale in range(len(_SCALES))])
    return points.take(np.argsort(points.image, kind="stable"))


def join(parts: Sequence[Columns]) -> Columns:
    """Put dataclasses of arrays one after the other, column by column."""
    names = [field.name for field in fields(parts[0])]
    return type(parts[0])(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def mirrored(descriptor: np.ndarray) -> np.ndarray:
    """Return what descriptors would be in a mirrored image."""
    return descriptor.reshape(-1, SAMPLES, SAMPLES)[:, ::-1].reshape(len(descriptor), -1)


def sample(stack: Any, image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Read images (n, SIDE, SIDE) between pixels, bilinearly; beyond the border they go on mirrored."""
    x, y = _reflect(x), _reflect(y)
    left, top = np.minimum(x.astype(np.int32), SIDE - 2), np.minimum(y.astype(np.int32), SIDE - 2)
    right, down = x - left, y - top
    flat, at = stack.reshape(-1), (image.astype(np.int64) * SIDE + top) * SIDE + left
    upper = flat[at] * (1 - right) + flat[at + 1] * right
    lower = flat[at + SIDE] * (1 - right) + flat[at + SIDE + 1] * right
    return upper * (1 - down) + lower * down


def blur(stack: Any, sigma: float) -> np.ndarray:
    """Blur each image of a stack (n, SIDE, SIDE)."""
    # A product of matrices takes the same time for any sigma, where a filter takes longer for a wide one.
    weights = _weights(sigma)
    for _ in range(2):  # along x, then along y
        stack = (stack.reshape(-1, SIDE) @ weights).reshape(stack.shape).swapaxes(1, 2)
    return np.ascontiguousarray(stack)


@cache
def _weights(sigma: float) -> Floats:
    """Return how much each pixel of a line counts in each pixel of the blurred line; symmetric."""
    return ndimage.gaussian_filter1d(
        np.eye(SIDE, dtype=np.float32), sigma, axis=0, mode="reflect", truncate=3.0
    )


def _of_scale(gray: Floats, scale: int, first: int) -> Keypoints:
    sigma, spacing = _SCALES[scale]
    image, y, x = _corners(blur(gray, sigma), sigma)
    # One blur for the direction, wide enough to be the same in every copy, and a band for the samples.
    slope_y, slope_x = np.gradient(blur(gray, 1.3 * spacing), axis=(1, 2))
    angle = np.arctan2(slope_y[image, y, x], slope_x[image, y, x])
    band = blur(gray, 0.6 * spacing) - blur(gray, 1.6 * spacing)
    steps = (np.arange(SAMPLES, dtype=np.float32) - (SAMPLES - 1) / 2) * spacing
    along, across = np.meshgrid(steps, steps)
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    around_x = x[:, None, None] + cos * along - sin * across
    around_y = y[:, None, None] + sin * along + cos * across
    found = sample(band, image[:, None, None], around_x, around_y).reshape(-1, SAMPLES**2)
    found -= found.mean(axis=1, keepdims=True)
    length = np.linalg.norm(found, axis=1)
    keep = length > _LEAST_CONTRAST
    return Keypoints(
        (image[keep] + first).astype(np.int32),
        np.stack([x[keep], y[keep]], axis=1).astype(np.float32),
        angle[keep].astype(np.float32),
        np.full(keep.sum(), scale, dtype=np.int8),
        (found[keep] / length[keep, None]).astype(np.float16),
    )


def _corners(blurred: Floats, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the strongest corners of each image: number of the image, and y and x in whole pixels."""
    slope_y, slope_x = np.gradient(blurred, axis=(1, 2))
    xx, yy, xy = (blur(product, 1.5 * sigma) for product in (slope_x**2, slope_y**2, slope_x * slope_y))
    # The harmonic mean of the two curvatures (Brown et al. 2005): it needs no constant, unlike Harris'.
    strength = (xx * yy - xy**2) / (xx + yy + 1e-9)
    size = int(2 * round(sigma) + 1)
    peak = strength == ndimage.maximum_filter(strength, (1, size, size))
    peak[:, :_MARGIN] = peak[:, -_MARGIN:] = peak[:, :, :_MARGIN] = peak[:, :, -_MARGIN:] = False
    strength = np.where(peak, strength, 0).reshape(len(blurred), SIDE * SIDE)
    strongest = np.argpartition(-strength, _MOST, axis=1)[:, :_MOST]
    image, column = np.nonzero(np.take_along_axis(strength, strongest, axis=1) > 0)
    y, x = np.divmod(strongest[image, column], SIDE)
    return image, y, x


def _reflect(position: np.ndarray) -> np.ndarray:
    position = np.abs(position)
    return np.clip(np.where(position > SIDE - 1, 2 * (SIDE - 1) - position, position), 0, SIDE - 1)
