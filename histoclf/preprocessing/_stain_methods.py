"""The arithmetic of stain normalisation, on blocks of images: what their stains are, and how to move them.

Images come as uint8 *planes* of shape (n, 3, n_pixels). Each method measures a *profile* of every image (two
arrays with one entry per image), says which images have one, and moves an image from its profile to another.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Macenko", "Profile", "Reinhard", "StainMethod"]

Floats = NDArray[np.floating]
Planes = NDArray[np.uint8]
Profile = tuple[Floats, Floats]

_MIN_TISSUE = 0.01  # share of an image's pixels that must be stained to estimate its stains
_MIN_ANGLE = np.radians(10.0)  # between two stains; closer ones are one stain and noise
_EXTREME = 99.0  # percentile that stands for an image's largest concentration: no single pixel decides
# Least concentration, in units of the largest. Where pale eosin stays below the threshold, both stains are
# taken from nuclei, and the rest of the tissue holds a negative amount of one: it would be bleached to white.
_MOST_NEGATIVE = -0.5
_MIN_SPREAD = 1.0  # units of CIELAB: 8-bit rounding makes up to about half of one
_NO_ANGLE = 4.0  # beyond pi: sorts behind every angle


class StainMethod(Protocol):
    """What `StainNormalizer` asks of a method."""

    def measure(self, planes: Planes) -> tuple[Profile, NDArray[np.bool_]]:
        """Return the profile of each image, and whether the image has one at all."""

    def typical(self, profile: Profile) -> Profile:
        """Return the one profile in the middle of many."""

    def move(self, planes: Planes, source: Profile, target: Profile) -> Floats:
        """Return the pixels of the images, moved from their profiles to another."""


# --- Macenko -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Macenko:
    """Stain vectors and concentrations in optical density.

    A profile is the stain vectors, (n, 2, 3), and the largest concentrations, (n, 2), haematoxylin first.
    """

    light: float
    threshold: float
    angle_percentile: float

    def measure(self, planes: Planes) -> tuple[Profile, NDArray[np.bool_]]:
        """Find the two stains of each image: the extreme directions in the plane of its optical densities."""
        density = self._density(planes)
        tissue = np.all(density >= self.threshold, axis=1)
        counts = np.count_nonzero(tissue, axis=1)
        axes = _plane_axes(density, tissue, counts)
        low, high = self._extreme_angles(axes, density, tissue, counts)
        stains = _haematoxylin_first(np.stack([_direction(axes, low), _direction(axes, high)], axis=1))
        weakest, strongest = _extremes(_unmixing(stains), density)
        usable = (
            (counts >= max(2, _MIN_TISSUE * planes.shape[2]))
            & (high - low >= _MIN_ANGLE)
            & (strongest >= self.threshold).all(axis=1)
            & (weakest >= _MOST_NEGATIVE * strongest).all(axis=1)
        )
        return (stains, strongest), usable

    def typical(self, profile: Profile) -> Profile:
        """Return the median over the images, stain vectors again of length 1."""
        stains, strongest = (np.median(part, axis=0) for part in profile)
        return stains / np.linalg.norm(stains, axis=1, keepdims=True), strongest

    def move(self, planes: Planes, source: Profile, target: Profile) -> Floats:
        """Unmix, scale the concentrations and mix again: together one 3 x 3 matrix for each image."""
        gain = target[1] / source[1]
        matrix = (target[0].T * gain[:, np.newaxis]) @ _unmixing(source[0])
        density = matrix.astype(np.float32) @ self._density(planes)
        # No brighter than white, before exp() could overflow.
        np.maximum(density, np.log(self.light / 256), out=density)
        return self.light * np.exp(-density) - 1

    def _density(self, planes: Planes) -> Floats:
        # One added to each pixel, as 0 has no logarithm.
        table = -np.log((np.arange(256) + 1) / self.light)
        return np.take(table.astype(np.float32), planes)

    def _extreme_angles(
        self, axes: Floats, density: Floats, tissue: NDArray[np.bool_], counts: NDArray[np.intp]
    ) -> tuple[Floats, Floats]:
        along, across = (axes.astype(np.float32) @ density).swapaxes(0, 1)
        angles = np.where(tissue, np.arctan2(across, along), np.float32(_NO_ANGLE))
        angles.sort(axis=1)
        share = self.angle_percentile
        return _percentile(angles, counts, share), _percentile(angles, counts, 100 - share)


def _plane_axes(density: Floats, tissue: NDArray[np.bool_], counts: NDArray[np.intp]) -> Floats:
    """Return two unit vectors, (n, 2, 3), in the plane in which each image's tissue varies most.

    The first points to their mean. Angles to it cannot run past 180 degrees, which they can to eigenvectors:
    those have no sign.
    """
    weight = tissue.astype(np.float32)[:, np.newaxis]
    mean = (density * weight).sum(axis=2) / np.maximum(counts, 1)[:, np.newaxis]
    centred = (density - mean[..., np.newaxis].astype(np.float32)) * weight
    normal = np.linalg.eigh((centred @ centred.swapaxes(1, 2)).astype(np.float64))[1][:, :, 0]
    first = mean - (mean * normal).sum(axis=1, keepdims=True) * normal
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.stack([first, np.cross(normal, first)], axis=1)


def _direction(axes: Floats, angle: Floats) -> Floats:
    angle = angle[:, np.newaxis]
    return np.cos(angle) * axes[:, 0] + np.sin(angle) * axes[:, 1]


def _haematoxylin_first(stains: Floats) -> Floats:
    """Order the two stains of each image: haematoxylin, which is blue, takes more out of red than eosin."""
    swap = stains[:, 0, 0] <= stains[:, 1, 0]
    return np.where(swap[:, np.newaxis, np.newaxis], stains[:, ::-1], stains)


def _unmixing(stains: Floats) -> Floats:
    """Return the matrices, (n, 2, 3), that turn optical densities into concentrations by least squares."""
    return np.linalg.pinv(stains.swapaxes(1, 2))


def _extremes(unmixing: Floats, density: Floats) -> tuple[Floats, Floats]:
    """Return the smallest and the largest concentration, (n, 2), of each stain, but for outliers."""
    n, _, n_pixels = density.shape
    concentrations = (unmixing.astype(np.float32) @ density).reshape(2 * n, n_pixels)
    concentrations.sort(axis=1)
    counts = np.full(2 * n, n_pixels)
    low, high = (_percentile(concentrations, counts, share) for share in (100 - _EXTREME, _EXTREME))
    return low.reshape(n, 2), high.reshape(n, 2)


def _percentile(ascending: Floats, counts: NDArray[np.intp], share: float) -> Floats:
    """Return the percentile of the first `counts` values of each sorted row, as `numpy.percentile` does."""
    last = np.maximum(counts - 1, 0)
    place = share / 100 * last
    below = place.astype(np.intp)
    rows = np.arange(len(ascending))
    low = ascending[rows, below].astype(np.float64)
    return low + (place - below) * (ascending[rows, np.minimum(below + 1, last)] - low)


# --- Reinhard ----------------------------------------------------------------------------------------------


class Reinhard:
    """Mean and standard deviation of lightness and colour.

    A profile is the means, (n, 3), and the standard deviations, (n, 3), of L*, a* and b* of CIELAB.
    """

    def measure(self, planes: Planes) -> tuple[Profile, NDArray[np.bool_]]:
        """Take the two moments of each channel."""
        lab = _to_lab(planes)
        means, spreads = lab.mean(axis=2), lab.std(axis=2)
        return (means, spreads), (spreads >= _MIN_SPREAD).all(axis=1)

    def typical(self, profile: Profile) -> Profile:
        """Return the median over the images."""
        means, spreads = (np.median(part, axis=0) for part in profile)
        return means, spreads

    def move(self, planes: Planes, source: Profile, target: Profile) -> Floats:
        """Stretch and shift each channel from its own moments to the wanted ones."""
        gain = target[1] / source[1]
        shift = target[0] - gain * source[0]
        lab = _to_lab(planes)
        lab *= gain[..., np.newaxis].astype(np.float32)
        lab += shift[..., np.newaxis].astype(np.float32)
        return _from_lab(lab)


# Linear sRGB to CIE XYZ under daylight (D65), each row divided by the white point's X, Y or Z.
_XYZ_OF_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
) / np.array([[0.950470], [1.0], [1.088830]])
# L*, a* and b* of the "cube roots" of X, Y and Z; of L* without its constant.
_LAB_OF_ROOTS = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_EPSILON, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116  # the straight part near black
_DARKEST = 0.0031308  # of linear sRGB; below it the curve is straight too

_SRGB = np.arange(256) / 255
_LIGHT_OF_SRGB = np.where(_SRGB > 0.04045, ((_SRGB + 0.055) / 1.055) ** 2.4, _SRGB / 12.92).astype(np.float32)


def _to_lab(planes: Planes) -> Floats:
    xyz = _XYZ_OF_RGB.astype(np.float32) @ np.take(_LIGHT_OF_SRGB, planes)
    roots = np.where(xyz > _EPSILON, _power(xyz, 1 / 3, _EPSILON), _SLOPE * xyz + _OFFSET)
    lab = _LAB_OF_ROOTS.astype(np.float32) @ roots
    lab[:, 0] -= 16
    return lab


def _from_lab(lab: Floats) -> Floats:
    lab[:, 0] += 16
    roots = np.linalg.inv(_LAB_OF_ROOTS).astype(np.float32) @ lab
    xyz = np.where(roots > _EPSILON ** (1 / 3), roots * roots * roots, (roots - _OFFSET) / _SLOPE)
    rgb = np.clip(np.linalg.inv(_XYZ_OF_RGB).astype(np.float32) @ xyz, 0, 1)
    return 255 * np.where(rgb > _DARKEST, 1.055 * _power(rgb, 1 / 2.4, _DARKEST) - 0.055, 12.92 * rgb)


def _power(values: Floats, exponent: float, least: float) -> Floats:
    """Raise what is at least `least`: NumPy's cube roots and powers of float32 take several times as long."""
    logs = np.log(np.maximum(values, np.float32(least)))
    logs *= np.float32(exponent)
    return np.exp(logs, out=logs)
