"""Which images may show the same tissue, and how one would lie on the other: from points that look alike.

No pair of images is compared that has no pair of points in common. Each point is compared with those of the
nearest cells only, and keeps a few that are most like it: the number of points that look a little like it
grows with the number of images, that of its true copies does not. A pair of points says how one image would
lie on the other; where two pairs agree, the pair of images is looked at more closely (a Hough transform, Lowe
2004).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from histoclf.audit._cells import Centres, make_centres, sorted_into
from histoclf.audit._keypoints import SIDE, SPACINGS, Keypoints, join, mirrored

_NEIGHBOURS = 12  # of a point, whichever way round
_LEAST_ALIKE = 0.8  # correlation of two descriptors
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
    centres = make_centres(points.descriptor)
    members = sorted_into(centres.nearest(points.descriptor, 1), len(centres))
    # Images ask by turns: the pairs of points of all of them together would fill the memory.
    edges = np.searchsorted(points.image, range(0, int(points.image[-1]) + 1 + _IMAGES, _IMAGES))
    blocks = [np.arange(start, stop) for start, stop in pairwise(edges)]
    jobs = (delayed(_ask)(points, centres, members, rows, side_of) for rows in blocks)
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs)
    return join_candidates(
        tqdm(found, total=len(blocks), desc="Comparing points", unit="block", disable=verbose < 1)
    )


def _ask(
    points: Keypoints,
    centres: Centres,
    members: list[np.ndarray],
    rows: np.ndarray,
    side_of: np.ndarray | None,
) -> Candidates:
    """Find the partners of some images, among those with a larger number."""
    return _agree(points, *_look_alike(points, centres, members, rows, side_of))


def _look_alike(
    points: Keypoints,
    centres: Centres,
    members: list[np.ndarray],
    rows: np.ndarray,
    side_of: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find pairs of points, and whether the one looks like the other's mirror image."""
    nothing = np.empty(0, dtype=np.int32)
    found = [(nothing, nothing, np.empty(0, dtype=np.float32), np.empty(0, dtype=bool))]
    for is_mirrored in (False, True):
        queries = points.descriptor[rows]
        queries = mirrored(queries) if is_mirrored else queries
        visitors = sorted_into(centres.nearest(queries, _PROBES), len(members))
        for inside, here in zip(members, visitors, strict=True):
            later = inside[np.searchsorted(inside, rows[0]) :]  # the earlier ones have asked these already
            for start in range(0, len(here) if len(later) else 0, _BLOCK):
                some = here[start : start + _BLOCK]
                one, other, alike = _compare(points, queries[some], rows[some], later, side_of)
                found.append((one, other, alike, np.full(len(one), is_mirrored)))
    one, other, alike, mirror_images = map(np.concatenate, zip(*found, strict=True))
    best = _most_alike(one, alike)
    return one[best], other[best], mirror_images[best]


def _compare(
    points: Keypoints, queries: np.ndarray, rows: np.ndarray, inside: np.ndarray, side_of: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare the points that visit a cell with all that lie inside: pairs, and how much they are alike."""
    alike = queries.astype(np.float32) @ points.descriptor[inside].astype(np.float32).T
    row, column = np.divmod(np.flatnonzero(alike > _LEAST_ALIKE), len(inside))
    mine, theirs = points.image[rows[row]], points.image[inside[column]]
    allowed = mine < theirs
    if side_of is not None:
        allowed &= side_of[mine] != side_of[theirs]
    row, column = row[allowed], column[allowed]
    alike = alike[row, column]
    best = _most_alike(row, alike)
    return rows[row[best]].astype(np.int32), inside[column[best]], alike[best]


def _most_alike(point: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Choose the pairs of points that are most alike, at most `_NEIGHBOURS` of a point, sorted by point."""
    order = np.lexsort((-alike, point))
    rank = np.arange(len(order)) - np.searchsorted(point[order], point[order])
    return order[rank < _NEIGHBOURS]


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
