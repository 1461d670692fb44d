"""Points sorted into cells of points that look alike, so that each is compared with a few cells only.

An inverted file (Jégou, Douze & Schmid 2011). There are as many cells as it takes to hold a fixed number of
points each, so that to compare a point with the centres of all of them would take the square of the number of
points. The centres are sorted into groups in turn, and only those of a few groups are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histoclf.audit._keypoints import Floats

_PER_CELL = 256  # points, on average
_PER_GROUP = 128  # cells, on average
_GROUPS = 8  # whose cells are looked at for each point: of as many groups or fewer, all are
_BLOCK = 65536  # points that choose their cells at a time


@dataclass(frozen=True)
class Centres:
    """Some of the points, and how to find the nearest ones.

    Attributes
    ----------
    descriptor : ndarray of shape (n_cells, n_samples), float32
        Of length 1.
    leads : ndarray of shape (n_groups, n_samples), float32
        Some of the descriptors.
    groups : list of ndarray of int
        Rows of the centres that are most like each lead.
    """

    descriptor: Floats
    leads: Floats
    groups: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.descriptor)

    def nearest(self, descriptors: np.ndarray, n_nearest: int) -> np.ndarray:
        """Choose the nearest cells of each point, shape (n_points, n_nearest)."""
        n_nearest = min(n_nearest, len(self))
        starts = range(0, len(descriptors), _BLOCK)
        blocks = (descriptors[start : start + _BLOCK].astype(np.float32) for start in starts)
        return np.concatenate([self._nearest(block, n_nearest) for block in blocks])

    def _nearest(self, queries: Floats, n_nearest: int) -> np.ndarray:
        cell = np.zeros((len(queries), n_nearest), dtype=np.int32)
        alike = np.full(cell.shape, -np.inf, dtype=np.float32)
        visits, _ = _largest(queries @ self.leads.T, _GROUPS)
        for inside, here in zip(self.groups, sorted_into(visits, len(self.groups)), strict=True):
            column, new = _largest(queries[here] @ self.descriptor[inside].T, n_nearest)
            known = np.concatenate([cell[here], inside[column]], axis=1)
            best, alike[here] = _largest(np.concatenate([alike[here], new], axis=1), n_nearest)
            cell[here] = np.take_along_axis(known, best, axis=1)
        return cell


def make_centres(descriptors: np.ndarray) -> Centres:
    """Choose the centres of cells among points.

    Parameters
    ----------
    descriptors : ndarray of shape (n_points, n_samples)
        At least one.

    Returns
    -------
    centres : Centres
    """
    chosen = _every(_PER_CELL, descriptors).astype(np.float32)
    leads = _every(_PER_GROUP, chosen)
    return Centres(chosen, leads, sorted_into((chosen @ leads.T).argmax(axis=1)[:, None], len(leads)))


def sorted_into(cells: np.ndarray, n_cells: int) -> list[np.ndarray]:
    """List the points of each cell, from the cells (n_points, n_each) of each point."""
    owner = np.repeat(np.arange(len(cells), dtype=np.int32), cells.shape[1])
    order = np.argsort(cells.ravel(), kind="stable")
    edges = np.searchsorted(cells.ravel()[order], np.arange(1, n_cells))
    return np.split(owner[order], edges)


def _every(step: int, descriptors: np.ndarray) -> np.ndarray:
    n = len(descriptors)
    return descriptors[np.linspace(0, n - 1, max(1, n // step)).astype(int)]


def _largest(values: Floats, n_largest: int) -> tuple[np.ndarray, Floats]:
    """Return columns and values of the largest ones of each row, and overwrite these in `values`."""
    # One pass for each takes a fifth of the time of a partial sort, and no second array of the same size.
    rows, n_largest = np.arange(len(values)), min(n_largest, values.shape[1])
    columns = np.empty((len(values), n_largest), dtype=np.int32)
    found = np.empty((len(values), n_largest), dtype=np.float32)
    for place in range(n_largest):
        columns[:, place] = values.argmax(axis=1)
        found[:, place] = values[rows, columns[:, place]]
        values[rows, columns[:, place]] = -np.inf
    return columns, found
