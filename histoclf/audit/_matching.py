"""Which images may show the same tissue, and how one would lie on the other: from points that look alike.

No pair of images is compared that has no pair of points in common. Points are sorted into cells around some
of them, and each is compared with the points of the nearest cells only (an inverted file, Jégou, Douze &
Schmid 2011). A pair of points says how one image would lie on the other; where two pairs agree, the pair of
images is looked at more closely (a Hough transform, Lowe 2004).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from histoclf.audit._keypoints import SIDE, SPACINGS, Keypoints, join, mirrored

_NEIGHBOURS = 8  # of a point in one cell
_LEAST_ALIKE = 0.8  # correlation of two descriptors
_PER_CELL = 256  # points, on average
_MOST_CELLS = 8192  # more would cost more time to choose among than they save
_PROBES = 4  # cells that are looked at for each point
_BLOCK = 4096  # points at a time
_IMAGES = 4096  # that are compared with all others at a time
_LEAST_VOTES = 2
_TOLERANCE = 12.0  # pixels between where two pairs of points send the same place
_LEAST_APART = 6.0  # pixels between two points that count twice: one corner is often found at two scales
_MOST_LAGS = 24  # other pairs of points that each is compared with
_RIDGE = 200.0  # square pixels: how much the first guess of a map counts beside the points that agree with it
_PLACES = np.array([[0.25, 0.25], [0.75, 0.25], [0.5, 0.75]]) * SIDE  # three fix an affine map


@dataclass(frozen=True)
class Candidates:
    """Pairs of images, and how the first lies on the second: ``place @ matrix.T + shift``.

    Attributes
    ----------
    first, second : ndarray of shape (n_pairs,), int
        Numbers of the images.
    matrix : ndarray of shape (n_pairs, 2, 2)
        With a negative determinant for mirrored pairs.
    shift : ndarray of shape (n_pairs, 2)
        In pixels of the canvas, as (x, y).
    """

    first: np.ndarray
    second: np.ndarray
    matrix: np.ndarray
    shift: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: np.ndarray | slice) -> Candidates:
        """Return some of the pairs."""
        return Candidates(self.first[rows], self.second[rows], self.matrix[rows], self.shift[rows])

    def on(self, places: np.ndarray) -> np.ndarray:
        """Return where places (n_places, 2) of the first images lie on the second ones."""
        return places @ self.matrix.swapaxes(1, 2) + self.shift[:, None]


def join_candidates(parts: Iterable[Candidates]) -> Candidates:
    """Put several one after the other."""
    nobody = np.empty(0, dtype=np.int64)
    nothing = Candidates(nobody, nobody, np.empty((0, 2, 2)), np.empty((0, 2)))
    return join([nothing, *parts])


def find_candidates(
    points: Keypoints, side_of: np.ndarray | None = None, n_jobs: int | None = None, verbose: int = 0
) -> Candidates:
    """Find pairs of images that have points in common which agree on how the one lies on the other.

    Parameters
    ----------
    points : Keypoints
        Of all images, sorted by image.
    side_of : ndarray of shape (n_images,), default=None
        Only pairs of images with different entries are looked for.
    n_jobs : int, default=None
        Threads.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    candidates : Candidates
        Each pair once, the smaller number first.
    """
    if len(points) == 0:
        return join_candidates([])
    cells = _make_cells(points)
    # Images ask by turns: the pairs of points of all of them together would fill the memory.
    edges = np.searchsorted(points.image, range(0, int(points.image[-1]) + 1 + _IMAGES, _IMAGES))
    blocks = [np.arange(start, stop) for start, stop in pairwise(edges)]
    jobs = (delayed(_ask)(points, cells, rows, side_of) for rows in blocks)
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs)
    return join_candidates(
        tqdm(found, total=len(blocks), desc="Comparing points", unit="block", disable=verbose < 1)
    )


@dataclass(frozen=True)
class _Cells:
    """Points sorted by the centre that they are most like.

    Attributes
    ----------
    centres : ndarray of shape (n_cells, SAMPLES * SAMPLES), float32
        Descriptors.
    members : list of ndarray of int
        Rows of the points of each cell.
    """

    centres: np.ndarray
    members: list[np.ndarray]


def _make_cells(points: Keypoints) -> _Cells:
    n = len(points)
    n_cells = int(np.clip(n // _PER_CELL, 1, _MOST_CELLS))
    centres = points.descriptor[np.linspace(0, n - 1, n_cells).astype(int)].astype(np.float32)
    return _Cells(centres, _sorted_into(_nearest(points.descriptor, centres, 1), n_cells))


def _ask(points: Keypoints, cells: _Cells, rows: np.ndarray, side_of: np.ndarray | None) -> Candidates:
    """Find the partners of some images, among those with a larger number."""
    return _agree(points, *_look_alike(points, cells, rows, side_of))


def _look_alike(
    points: Keypoints, cells: _Cells, rows: np.ndarray, side_of: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find pairs of points, and whether the one looks like the other's mirror image."""
    nothing = np.empty(0, dtype=np.int32)
    found = [(nothing, nothing, np.empty(0, dtype=bool))]
    n_cells = len(cells.centres)
    for is_mirrored in (False, True):
        queries = points.descriptor[rows]
        queries = mirrored(queries) if is_mirrored else queries
        visitors = _sorted_into(_nearest(queries, cells.centres, min(_PROBES, n_cells)), n_cells)
        for inside, here in zip(cells.members, visitors, strict=True):
            later = inside[np.searchsorted(inside, rows[0]) :]  # the earlier ones have asked these already
            for start in range(0, len(here) if len(later) else 0, _BLOCK):
                some = here[start : start + _BLOCK]
                one, other = _compare(points, queries[some], rows[some], later, side_of)
                found.append((one, other, np.full(len(one), is_mirrored)))
    return tuple(map(np.concatenate, zip(*found, strict=True)))  # type: ignore[return-value]


def _nearest(descriptors: np.ndarray, centres: np.ndarray, n_nearest: int) -> np.ndarray:
    """Choose the nearest cells of each point, shape (n_points, n_nearest)."""
    chosen = np.empty((len(descriptors), n_nearest), dtype=np.int32)
    for start in range(0, len(descriptors), _BLOCK):
        alike = descriptors[start : start + _BLOCK].astype(np.float32) @ centres.T
        if n_nearest == 1:
            chosen[start : start + _BLOCK, 0] = alike.argmax(axis=1)
        else:
            chosen[start : start + _BLOCK] = np.argpartition(-alike, n_nearest - 1, axis=1)[:, :n_nearest]
    return chosen


def _sorted_into(cells: np.ndarray, n_cells: int) -> list[np.ndarray]:
    """List the points of each cell."""
    owner = np.repeat(np.arange(len(cells), dtype=np.int32), cells.shape[1])
    order = np.argsort(cells.ravel(), kind="stable")
    edges = np.searchsorted(cells.ravel()[order], np.arange(1, n_cells))
    return np.split(owner[order], edges)


def _compare(
    points: Keypoints, queries: np.ndarray, rows: np.ndarray, inside: np.ndarray, side_of: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the points that visit a cell with all that lie inside."""
    mine, theirs = points.image[rows], points.image[inside]
    alike = queries.astype(np.float32) @ points.descriptor[inside].astype(np.float32).T
    forbidden = mine[:, None] >= theirs
    if side_of is not None:
        forbidden |= side_of[mine][:, None] == side_of[theirs]
    alike[forbidden] = -1
    most = min(_NEIGHBOURS, len(inside))
    best = np.argpartition(-alike, most - 1, axis=1)[:, :most]
    row, column = np.nonzero(np.take_along_axis(alike, best, axis=1) > _LEAST_ALIKE)
    return rows[row].astype(np.int32), inside[best[row, column]]


def _agree(points: Keypoints, one: np.ndarray, other: np.ndarray, is_mirrored: np.ndarray) -> Candidates:
    """Keep pairs of images on which at least two pairs of points agree."""
    pair = points.image[one].astype(np.int64) * (int(points.image.max()) + 1) + points.image[other]
    several = _run_lengths(pair) >= _LEAST_VOTES  # most are alone: the others are few enough to be sorted
    one, other, is_mirrored, pair = one[several], other[several], is_mirrored[several], pair[several]
    order = np.lexsort((is_mirrored, pair))
    one, other, is_mirrored, pair = one[order], other[order], is_mirrored[order], pair[order]
    guess = _guess(points, one, other, is_mirrored)
    where = guess.on(_PLACES)
    votes = np.ones(len(one), dtype=np.int64)
    for lag in range(1, _MOST_LAGS):
        row = np.flatnonzero(pair[:-lag] == pair[lag:])
        near = _distance(where[row], where[row + lag]) < _TOLERANCE
        apart = np.abs(points.xy[one[row]] - points.xy[one[row + lag]]).max(axis=1) >= _LEAST_APART
        row = row[near & apart]
        np.add.at(votes, row, 1)
        np.add.at(votes, row + lag, 1)
    order = np.lexsort((-votes, pair))
    first_of_pair = order[np.flatnonzero(np.diff(pair[order], prepend=-1))]
    best = first_of_pair[votes[first_of_pair] >= _LEAST_VOTES]
    return _fit(points, one, other, pair, where, guess, best)


def _guess(points: Keypoints, one: np.ndarray, other: np.ndarray, is_mirrored: np.ndarray) -> Candidates:
    """Say how images lie on each other if two points are the same: shifted, turned, scaled and mirrored."""
    grow = SPACINGS[points.scale[other]] / SPACINGS[points.scale[one]]
    into = _frame(points.angle[one])
    back = _frame(points.angle[other]).swapaxes(1, 2)
    flip = np.where(is_mirrored, -1.0, 1.0)
    matrix = grow[:, None, None] * back @ (into * np.stack([np.ones_like(flip), flip], axis=1)[:, :, None])
    shift = points.xy[other] - np.einsum("nij,nj->ni", matrix, points.xy[one])
    return Candidates(points.image[one], points.image[other], matrix, shift)


def _fit(
    points: Keypoints,
    one: np.ndarray,
    other: np.ndarray,
    pair: np.ndarray,
    where: np.ndarray,
    guess: Candidates,
    best: np.ndarray,
) -> Candidates:
    """Fit an affine map to all pairs of points that agree with the best one, by ridge regression."""
    start, stop = np.searchsorted(pair, pair[best], "left"), np.searchsorted(pair, pair[best], "right")
    group = np.repeat(np.arange(len(best)), stop - start)
    member = np.arange(len(group)) - np.repeat(np.cumsum(stop - start) - (stop - start), stop - start)
    member += np.repeat(start, stop - start)
    agrees = _distance(where[member], where[best[group]]) < _TOLERANCE
    group, member = group[agrees], member[agrees]
    from_xy, to_xy = points.xy[one[member]].astype(float), points.xy[other[member]].astype(float)
    count = np.bincount(group, minlength=len(best))[:, None]
    centre, target = (_sum(group, xy, len(best)) / count for xy in (from_xy, to_xy))
    from_xy, to_xy = from_xy - centre[group], to_xy - target[group]
    square = _sum(group, from_xy[:, :, None] * from_xy[:, None], len(best)) + _RIDGE * np.eye(2)
    cross = _sum(group, to_xy[:, :, None] * from_xy[:, None], len(best)) + _RIDGE * guess.matrix[best]
    matrix = np.linalg.solve(square, cross.swapaxes(1, 2)).swapaxes(1, 2)
    shift = target - np.einsum("nij,nj->ni", matrix, centre)
    return Candidates(guess.first[best].astype(int), guess.second[best].astype(int), matrix, shift)


def _frame(angle: np.ndarray) -> np.ndarray:
    """Return the directions along and across, as rows."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, sin], axis=-1), np.stack([-sin, cos], axis=-1)], axis=-2)


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other).max(axis=(1, 2))


def _run_lengths(values: np.ndarray) -> np.ndarray:
    """Return for each value how often it occurs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[inverse]


def _sum(group: np.ndarray, values: np.ndarray, n_groups: int) -> np.ndarray:
    total = np.zeros((n_groups, *values.shape[1:]))
    np.add.at(total, group, values)
    return total
