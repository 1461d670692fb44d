"""Shortcuts: what may tell the classes apart without a look at the tissue, as tables of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from histoclf.io._file_facts import FileFacts, read_file_facts
from histoclf.io._paths import as_paths
from histoclf.io._store import load_patches

COLOUR, HISTOGRAM, BLANK = "mean colour", "colour histogram", "blank share"
FILE_SIZE, METADATA, SITE = "file size", "file metadata", "site"
SHORTCUTS = (COLOUR, HISTOGRAM, BLANK, FILE_SIZE, METADATA, SITE)
_KINDS = {"all": SHORTCUTS, "colour": (COLOUR, HISTOGRAM)}

_SIZE = (32, 32)  # pixels: shrinking keeps the mean, and 300,000 patches of this size fit into memory
_BINS = 16  # per channel
_BLANK = 220 / 255  # an empty slide is at least this bright in every channel
_BLOCK = 256  # images at a time
_MOST_VALUES = 20  # of a fact about files that is named in words


@dataclass(frozen=True)
class Shortcuts:
    """Tables of n_samples rows by name, and what files tell."""

    tables: dict[str, np.ndarray] = field(default_factory=dict)
    facts: FileFacts | None = None


def mean_colours(
    X: Any,
    *,
    image_shape: tuple[int, int, int] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> np.ndarray:
    """Compute the mean colour of each patch.

    Parameters
    ----------
    X : array-like of str of shape (n_samples,), or ndarray
        Paths of image files; images of shape (n_samples, height, width, channels); or the same flattened.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of flattened images. None takes the mean of the whole row.
    n_jobs : int, default=None
        Number of threads that decode files; None is one per core.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    colours : ndarray of shape (n_samples, n_channels), float64
        In the units of X; 0-255 for files.

    Raises
    ------
    ImageReadError
        If files cannot be read. It names every one.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.evaluation import mean_colours
    >>> mean_colours(np.full((2, 8, 8, 3), (200, 100, 150), dtype=np.uint8)).tolist()
    [[200.0, 100.0, 150.0], [200.0, 100.0, 150.0]]
    """
    return _mean_colours(_small_images(X, image_shape, n_jobs, verbose))


def check_baselines(baselines: str | Sequence[str] | None) -> tuple[str, ...]:
    """Translate the parameter `baselines` of `evaluate` into names of shortcuts."""
    baselines = () if baselines is None else baselines
    names = _KINDS.get(baselines, (baselines,)) if isinstance(baselines, str) else tuple(baselines)
    unknown = [name for name in names if name not in SHORTCUTS]
    if unknown:
        raise ValueError(
            f"baselines={baselines!r}: expected 'all', 'colour', None, or names among {', '.join(SHORTCUTS)}."
        )
    return names


def find_shortcuts(
    X: Any,
    names: tuple[str, ...],
    *,
    image_shape: tuple[int, int, int] | None,
    sites: np.ndarray | None,
    verbose: int,
) -> Shortcuts:
    """Compute the shortcuts that X has; those that are the same for all patches are left out."""
    if not names:
        return Shortcuts()
    images = _small_images(X, image_shape, None, verbose)
    tables = {COLOUR: _mean_colours(images)}
    if images.shape[2] > 1:  # pictures, and not rows of any numbers
        tables |= {HISTOGRAM: _histograms(images), BLANK: _blank_shares(images)}
    paths, facts = as_paths(X), None
    if paths is not None and {FILE_SIZE, METADATA} & {*names}:
        facts = read_file_facts(paths)
        tables |= {FILE_SIZE: np.log(facts.n_bytes)[:, np.newaxis], METADATA: _metadata(facts)}
    if sites is not None:
        tables[SITE] = _one_hot(sites)
    kept = {name: tables[name] for name in names if name in tables and np.ptp(tables[name], axis=0).any()}
    return Shortcuts(kept, facts)


def describe_separation(facts: FileFacts | None, y: np.ndarray) -> list[str]:
    """Say which facts about files alone tell every class apart."""
    if facts is None:
        return []
    sizes = np.array([f"{height} x {width}" for height, width in zip(facts.height, facts.width, strict=True)])
    known = {
        "file format": facts.format,
        "size in pixels": sizes,
        "JPEG quality": facts.jpeg_quality.astype(str),
        "encoder": facts.encoder,
    }
    return [_separation(what, values, y) for what, values in known.items() if _separates(values, y)]


def _separates(values: np.ndarray, y: np.ndarray) -> bool:
    distinct = np.unique(values)
    if not 2 <= len(distinct) <= _MOST_VALUES:
        return False
    return all(len(np.unique(y[values == value])) == 1 for value in distinct)


def _separation(what: str, values: np.ndarray, y: np.ndarray) -> str:
    told = "; ".join(f"'{label}' {', '.join(np.unique(values[y == label]))}" for label in np.unique(y))
    return (
        f"the {what} alone tells the classes apart ({told}): a classifier can be right without a look at the "
        "tissue. Store all images in one and the same way, or get them from one source."
    )


def _small_images(
    X: Any, image_shape: tuple[int, int, int] | None, n_jobs: int | None, verbose: int
) -> np.ndarray:
    """Read paths at a small size; images of shape (n_samples, height, width, channels) in any case."""
    paths = as_paths(X)
    if paths is not None:
        return load_patches(paths, image_size=_SIZE, n_jobs=n_jobs, verbose=verbose).images
    X = np.asarray(X)
    if X.ndim == 2:
        return X.reshape(len(X), *(image_shape or (-1, 1, 1)))
    return X[..., np.newaxis] if X.ndim == 3 else X


def _mean_colours(images: np.ndarray) -> np.ndarray:
    return images.mean(axis=(1, 2), dtype=np.float64)


def _histograms(images: np.ndarray) -> np.ndarray:
    """Shares of the pixels in each bin of each channel."""
    low, high = _range(images)
    n, n_channels = len(images), images.shape[3]
    shares = np.empty((n, n_channels * _BINS))
    for start in range(0, n, _BLOCK):
        block = images[start : start + _BLOCK].reshape(min(_BLOCK, n - start), -1, n_channels)
        bins = ((block - low) * (_BINS / (high - low))).astype(int).clip(0, _BINS - 1)
        bins += np.arange(n_channels) * _BINS
        bins += np.arange(len(block))[:, np.newaxis, np.newaxis] * n_channels * _BINS
        counts = np.bincount(bins.ravel(), minlength=len(block) * n_channels * _BINS)
        shares[start : start + len(block)] = counts.reshape(len(block), -1) / block.shape[1]
    return shares


def _blank_shares(images: np.ndarray) -> np.ndarray:
    low, high = _range(images)
    limit = low + _BLANK * (high - low)
    return np.array([[np.mean(image.min(axis=-1) >= limit)] for image in images])


def _range(images: np.ndarray) -> tuple[float, float]:
    """Black and white: 0 and 255, or 0 and 1, or whatever else there is."""
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 255:
        return low, high
    return 0.0, 255.0 if images.dtype == np.uint8 or high > 1 else 1.0


def _metadata(facts: FileFacts) -> np.ndarray:
    """Put into numbers how files were made, without how many bytes the picture took."""
    quality = np.nan_to_num(facts.jpeg_quality, nan=0.0)
    numbers = np.stack([facts.height, facts.width, facts.height * facts.width, quality], axis=1)
    return np.hstack([numbers.astype(float), _one_hot(facts.format), _one_hot(facts.encoder)])


def _one_hot(values: np.ndarray) -> np.ndarray:
    distinct, codes = np.unique(values, return_inverse=True)
    return np.eye(len(distinct))[codes]
