"""Who is near whom on a slide, and how much they weigh: a Gaussian of the distance, from a KD-tree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from histoclf.classifiers._places import Places

# Beyond, a neighbour would weigh 1 %. The hair more than 3 keeps the ring of a regular grid that is exactly 3
# radii away, whatever the unit rounds it to.
_REACH = 3 * (1 + 1e-9)
_ROWS = 1024  # patches whose neighbours are held in memory at a time


def find_spacing(places: Places) -> float:
    """Compute the median distance of a position to the nearest other one on the same slide.

    Parameters
    ----------
    places : Places
        Slides and positions, in their order.

    Returns
    -------
    spacing : float
        In the unit of the coordinates; NaN if no slide has two positions.
    """
    nearest = [np.empty(0)]
    for rows in places.slides():
        positions = np.unique(places.coords[rows], axis=0)
        if len(positions) > 1:
            nearest.append(cKDTree(positions).query(positions, k=2)[0][:, 1])
    distances = np.concatenate(nearest)
    return float(np.median(distances)) if distances.size else float("nan")


def sum_neighbours(places: Places, values: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Add up the values of each patch's neighbours, weighted by a Gaussian of their distance.

    Neighbours are the other patches of the same slide within three radii; one at the same position has the
    full weight of 1.

    Parameters
    ----------
    places : Places
        Slides and positions, in their order, which is what makes the sums the same to the last bit.
    values : ndarray of shape (n_samples, n_values), float32 or float64
        What to add up.
    radius : float
        Standard deviation of the Gaussian, in the unit of the coordinates.

    Returns
    -------
    sums : ndarray of shape (n_samples, n_values), dtype of `values`
        Weighted sums; 0 where there is no neighbour.
    weights : ndarray of shape (n_samples,), float64
        Sum of the weights; 0 where there is no neighbour.
    """
    sums, weights = np.zeros_like(values), np.zeros(len(values))
    for slide in places.slides():
        coords = places.coords[slide]
        tree = cKDTree(coords)
        for part in _parts(len(coords)):
            kernel = _kernel(tree, coords[part], part.start, radius)
            rows = slice(slide.start + part.start, slide.start + part.stop)
            sums[rows] = kernel.astype(values.dtype) @ values[slide]
            weights[rows] = kernel @ np.ones(len(coords))
    return sums, weights


def add_neighbours(values: np.ndarray, places: Places, radius: float) -> np.ndarray:
    """Put the neighbours' mean values, weighted as in `sum_neighbours`, beside each patch's own.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_values), float32 or float64
        Of each patch.
    places : Places
        Slides and positions, in their order.
    radius : float
        Of the Gaussian.

    Returns
    -------
    table : ndarray of shape (n_samples, 2 * n_values), dtype of `values`
        A patch without neighbours has its own values twice.
    """
    means, weights = sum_neighbours(places, values, radius)
    alone = weights == 0
    means[alone] = values[alone]
    means /= np.where(alone, 1, weights)[:, np.newaxis].astype(values.dtype)
    return np.hstack([values, means])


def _parts(n_rows: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS, n_rows)) for start in range(0, n_rows, _ROWS))


def _kernel(tree: cKDTree, coords: np.ndarray, first: int, radius: float) -> csr_matrix:
    """Weigh every patch of the tree for some of them, of which `first` is the first one's number."""
    pairs = cKDTree(coords).sparse_distance_matrix(tree, _REACH * radius, output_type="ndarray")
    pairs = pairs[pairs["i"] + first != pairs["j"]]  # nobody is a neighbour of himself
    values = np.exp(-0.5 * np.square(pairs["v"] / radius))
    kernel = csr_matrix((values, (pairs["i"], pairs["j"])), shape=(len(coords), tree.n))
    kernel.sort_indices()
    return kernel
