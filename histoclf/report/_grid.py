"""From positions on a slide to the cells of a picture."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from histoclf.classifiers._neighbours import find_spacing
from histoclf.classifiers._places import Places

_MOST_CELLS = 2_000_000  # of one slide: more than a screen has; neighbours are then averaged


class Grid(NamedTuple):
    """Cells into which the patches of a slide fall.

    Parameters
    ----------
    origin, step : ndarray of shape (2,)
        x and y of the corner, and width and height of a cell.
    shape : tuple of (int, int)
        Rows and columns.
    """

    origin: np.ndarray
    step: np.ndarray
    shape: tuple[int, int]


def find_step(coords: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Infer width and height of the cells in which patches lie.

    That is the smallest distance along each axis if all distances are multiples of it, as on a grid, and the
    median distance to the nearest patch if they are not.

    Parameters
    ----------
    coords : ndarray of shape (n_samples, 2)
        Positions.
    groups : ndarray of shape (n_samples,)
        Slides.

    Returns
    -------
    step : ndarray of shape (2,)
        Width and height, positive.
    """
    order = np.argsort(groups, kind="stable")
    places = Places(groups, coords).take(order)
    slides = [places.coords[rows] for rows in places.slides()]
    step = np.array([_pitch([slide[:, axis] for slide in slides]) for axis in (0, 1)])
    step = np.where(np.isnan(step), find_spacing(places), step)
    step = np.where(np.isinf(step), np.min(step), step)  # a single row or column of patches
    return np.where(np.isfinite(step), step, 1.0)


def _pitch(positions: list[np.ndarray]) -> float:
    """Spacing along one axis: infinite if there is a single position a slide, NaN if it is not regular."""
    gaps = np.concatenate([np.diff(np.unique(each)) for each in positions])
    if not gaps.size:
        return np.inf
    ratios = gaps / gaps.min()
    return float(gaps.min()) if np.allclose(ratios, np.rint(ratios), rtol=0, atol=0.02) else np.nan


def make_grid(coords: np.ndarray, step: np.ndarray) -> Grid:
    """Divide the part of a slide that has patches into cells, larger ones if there would be too many."""
    origin, extent = coords.min(axis=0), np.ptp(coords, axis=0)
    n_cells = np.prod(extent / step + 1)
    step = step * max(1.0, math.ceil(math.sqrt(n_cells / _MOST_CELLS)))
    columns, rows = (np.rint(extent / step) + 1).astype(int)
    return Grid(origin, step, (int(rows), int(columns)))


def lay_out(grid: Grid, coords: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Average the values of the patches in each cell.

    Parameters
    ----------
    grid : Grid
        Cells.
    coords : ndarray of shape (n_samples, 2)
        Positions.
    values : ndarray of shape (n_samples, n_values)
        What to lay out.

    Returns
    -------
    picture : ndarray of shape (n_rows, n_columns, n_values)
        NaN where there is no patch.
    """
    x, y = np.rint((coords - grid.origin) / grid.step).astype(int).T
    sums, counts = np.zeros((*grid.shape, values.shape[1])), np.zeros((*grid.shape, 1))
    np.add.at(sums, (y, x), values)
    np.add.at(counts, (y, x), 1)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
