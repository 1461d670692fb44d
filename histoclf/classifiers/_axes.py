"""The principal axes of a set of embeddings, found once for all heads that are solved on it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np

_BLOCK_BYTES = 4 * 2**20  # of float64 rows converted at a time
_PROJECTED_BYTES = (
    64 * 2**20
)  # larger sets are read again in each step, as fast as a copy too large for caches
_CACHE_BYTES = 512 * 2**20  # ten sets, 2,000 x 1,280 and 2,000 x 2,560: five folds, two kinds of pooling


def row_blocks(embeddings: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield consecutive rows as float64, contiguous: sums round differently where they are not."""
    size = max(1, _BLOCK_BYTES // (8 * embeddings.shape[1]))
    for start in range(0, len(embeddings), size):
        rows = slice(start, start + size)
        yield rows, np.ascontiguousarray(embeddings[rows], dtype=np.float64)


@dataclass(frozen=True)
class Axes:
    """Principal axes of standardised embeddings.

    `variances` (n_axes,) are those along each. `directions` (n_features, n_axes) are None where there are
    fewer rows than features: they follow from `projected`, and would be larger. `projected` (n_samples,
    n_axes) are the embeddings along the axes; None where too large to keep.
    """

    mean: np.ndarray
    scale: np.ndarray
    variances: np.ndarray
    directions: np.ndarray | None
    projected: np.ndarray | None

    @property
    def n_bytes(self) -> int:
        return sum(array.nbytes for array in vars(self).values() if array is not None)


class _AxesCache:
    """The axes used last, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[bytes, Axes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> Axes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: bytes, axes: Axes) -> None:
        with self._lock:
            self._kept[key] = axes
            while sum(kept.n_bytes for kept in self._kept.values()) > self.max_bytes:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


cache = _AxesCache(_CACHE_BYTES)


def shared_axes(embeddings: np.ndarray, weights: np.ndarray) -> Axes:
    """Find the axes, or take them from an earlier call with the same content.

    Parameters
    ----------
    embeddings : ndarray of shape (n_samples, n_features)
        Embeddings; a memory map will do.
    weights : ndarray of shape (n_samples,), float64
        Positive weights.

    Returns
    -------
    axes : Axes
        Not to be changed: others hold the same.
    """
    key = _digest(embeddings, weights)
    axes = cache.get(key)
    if axes is None:
        axes = _find_axes(embeddings, weights / weights.sum())
        cache.put(key, axes)
    return axes


def _digest(embeddings: np.ndarray, weights: np.ndarray) -> bytes:
    digest = hashlib.blake2b(repr((embeddings.shape, embeddings.dtype)).encode(), digest_size=32)
    size = max(1, _BLOCK_BYTES // embeddings[:1].nbytes)
    for start in range(0, len(embeddings), size):
        digest.update(np.ascontiguousarray(embeddings[start : start + size]).data)
    digest.update(weights.data)
    return digest.digest()


def _find_axes(embeddings: np.ndarray, shares: np.ndarray) -> Axes:
    mean, scale = standardisation(embeddings, shares)
    if len(embeddings) < embeddings.shape[1]:
        return _axes_of_few_rows(embeddings, shares, mean, scale)
    gram = np.zeros((len(mean), len(mean)))
    for rows, block in _standardised(embeddings, mean, scale):
        gram += (block.T * shares[rows]) @ block
    variances, directions = np.linalg.eigh(gram)
    projected = None
    if 8 * embeddings.size <= _PROJECTED_BYTES:
        projected = np.empty(embeddings.shape)
        for rows, block in _standardised(embeddings, mean, scale):
            projected[rows] = block @ directions
    return Axes(mean, scale, variances.clip(0), directions, projected)


def _axes_of_few_rows(
    embeddings: np.ndarray, shares: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> Axes:
    """Find the axes through the products of the rows with each other, a smaller matrix."""
    root = np.sqrt(shares)[:, np.newaxis]
    weighted = np.concatenate([block for _, block in _standardised(embeddings, mean, scale)])
    weighted *= root
    variances, vectors = np.linalg.eigh(weighted @ weighted.T)
    real = variances > 1e-12 * variances[-1]  # the rest is rounding error, and would be divided by
    return Axes(mean, scale, variances[real], None, vectors[:, real] * np.sqrt(variances[real]) / root)


def standardisation(embeddings: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and scale of each column, given the share of each row in the whole.

    Relative to the first row, so that a constant column has variance 0 exactly; its scale is 1.
    """
    first = embeddings[0].astype(np.float64)
    mean = first + sum(shares[rows] @ (block - first) for rows, block in row_blocks(embeddings))
    variance = sum(shares[rows] @ np.square(block - mean) for rows, block in row_blocks(embeddings))
    return mean, np.where(variance > 0, np.sqrt(variance), 1.0)


def _standardised(
    embeddings: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    for rows, block in row_blocks(embeddings):
        yield rows, (block - mean) / scale


@dataclass(frozen=True)
class Features:
    """Standardised embeddings along their axes, as a linear map.

    Solutions have the shape (n_outputs, n_axes), residuals and logits (n_outputs, n_samples).
    """

    axes: Axes
    embeddings: np.ndarray
    shares: np.ndarray

    def forward(self, solution: np.ndarray) -> np.ndarray:
        """Compute the logits, less the intercept."""
        if self.axes.projected is not None:
            return np.stack([self.axes.projected @ output for output in solution])
        coef = self.expand(solution)
        blocks = [coef @ block.T for _, block in row_blocks(self.embeddings)]
        return np.concatenate(blocks, axis=1) - (coef @ self.axes.mean)[:, np.newaxis]

    def backward(self, residuals: np.ndarray) -> np.ndarray:
        """Multiply with the transposed map."""
        if self.axes.projected is not None:
            return np.stack([output @ self.axes.projected for output in residuals])
        return self._sum_rows(residuals) @ self.axes.directions

    def expand(self, solution: np.ndarray) -> np.ndarray:
        """Turn a solution into weights of the raw embeddings, shape (n_outputs, n_features)."""
        if self.axes.directions is not None:
            return solution @ self.axes.directions.T / self.axes.scale
        assert self.axes.projected is not None  # one of the two always is there
        rows = self.shares * ((solution / self.axes.variances) @ self.axes.projected.T)
        return self._sum_rows(rows) / self.axes.scale

    def _sum_rows(self, factors: np.ndarray) -> np.ndarray:
        """Add up the standardised embeddings, each times its factor."""
        total = sum(factors[:, rows] @ block for rows, block in row_blocks(self.embeddings))
        return (total - np.outer(factors.sum(axis=1), self.axes.mean)) / self.axes.scale
