"""Deal units to folds of equal size and equal classes: greedy starts, then moves and swaps."""

from __future__ import annotations

import numpy as np

_HOLE = 10.0  # what a fold without a class costs: more than all imbalance together
_TOO_LITTLE = 1e-8  # a smaller gain is not worth a step: it moves sizes by less than 0.1 %
_MOST_STARTS = 20
_UNITS_DEALT = 5000  # in all starts together: more units need fewer starts
_MOST_SWAPPED = 500  # units among which all swaps are looked at, in each step
_MOST_STEPS = 1000
_NOISE = 0.5  # of the order of units in all starts but the first

Cost = tuple[int, int, float]


def deal(table: np.ndarray, n_folds: int, generator: np.random.Generator) -> np.ndarray:
    """Assign units to folds.

    Of several starts the best is kept: the one with fewest classes that are in one fold only, then with
    fewest folds without a class, then with the least imbalance.

    Parameters
    ----------
    table : ndarray of shape (n_units, n_classes), int
        Samples of each class in each unit; no class is empty.
    n_folds : int
        Number of folds, at most the number of units.
    generator : numpy.random.Generator
        Decides ties, the order of units in all starts but the first, and the numbers of the folds.

    Returns
    -------
    fold_of : ndarray of shape (n_units,), int
        Fold of each unit; none is empty.
    """
    n_starts = int(np.clip(_UNITS_DEALT // len(table), 1, _MOST_STARTS))
    best, best_cost = None, (len(table), 0, 0.0)
    vectors = to_vectors(table)
    for start in range(n_starts):
        fold_of = _deal_by_size(vectors, n_folds, generator, _NOISE if start else 0.0)
        fold_of = _improve(vectors, table > 0, fold_of, n_folds, generator)
        cost = _cost(vectors, table > 0, fold_of, n_folds)
        if best is None or cost < best_cost:
            best, best_cost = fold_of, cost
    return generator.permutation(n_folds)[best]


def to_vectors(table: np.ndarray) -> np.ndarray:
    """Write each unit as columns whose squared distances from a fair share add up to the imbalance.

    The imbalance is Pearson's chi-square of the samples of each class in each fold, plus that of the samples
    in each fold, both against equal folds, and divided by samples and folds. (The first alone takes uneven
    sizes for no worse than uneven classes.)
    """
    total = table.sum(axis=0)
    by_class = table / np.sqrt(total * total.sum())
    return np.column_stack([by_class, table.sum(axis=1) / total.sum()])


def imbalance(vectors: np.ndarray, fold_of: np.ndarray, n_folds: int) -> float:
    """Measure how far folds are from fair shares: 0 is perfect."""
    fair = vectors.sum(axis=0) / n_folds
    return float(((sum_by_fold(vectors, fold_of, n_folds) - fair) ** 2).sum())


def sum_by_fold(values: np.ndarray, fold_of: np.ndarray, n_folds: int) -> np.ndarray:
    """Add up the rows of each fold, shape (n_folds, n_columns)."""
    total = np.zeros((n_folds, values.shape[1]), dtype=np.int64 if values.dtype.kind in "bi" else float)
    np.add.at(total, fold_of, values)
    return total


def _cost(vectors: np.ndarray, has: np.ndarray, fold_of: np.ndarray, n_folds: int) -> Cost:
    inside = sum_by_fold(has, fold_of, n_folds) > 0
    return int((inside.sum(axis=0) < 2).sum()), int((~inside).sum()), imbalance(vectors, fold_of, n_folds)


def _deal_by_size(
    vectors: np.ndarray, n_folds: int, generator: np.random.Generator, noise: float
) -> np.ndarray:
    """Give the largest unit to the fold that it unbalances least, then the next."""
    size = np.linalg.norm(vectors, axis=1) * np.exp(noise * generator.standard_normal(len(vectors)))
    order = np.lexsort((generator.random(len(size)), -size))
    held = np.zeros((n_folds, vectors.shape[1]))
    fold_of = np.empty(len(vectors), dtype=np.int64)
    for unit in order:
        fold_of[unit] = (held @ vectors[unit]).argmin()
        held[fold_of[unit]] += vectors[unit]
    return fold_of


def _improve(
    vectors: np.ndarray, has: np.ndarray, fold_of: np.ndarray, n_folds: int, generator: np.random.Generator
) -> np.ndarray:
    """Take the best move of one unit, or swap of two, until none helps."""
    fold_of, n_units = fold_of.copy(), len(vectors)
    for _ in range(_MOST_STEPS):
        some = np.arange(n_units)
        if n_units > _MOST_SWAPPED:
            some = generator.choice(n_units, _MOST_SWAPPED, replace=False)
        sums, present = sum_by_fold(vectors, fold_of, n_folds), sum_by_fold(has, fold_of, n_folds)
        moves = _cost_of_moves(vectors, has, fold_of, sums, present)
        swaps = _cost_of_swaps(vectors[some], has[some], fold_of[some], sums, present)
        if min(moves.min(), swaps.min()) > -_TOO_LITTLE:
            break
        if moves.min() <= swaps.min():
            unit, fold = np.unravel_index(moves.argmin(), moves.shape)
            fold_of[unit] = fold
        else:
            pair = some[list(np.unravel_index(swaps.argmin(), swaps.shape))]
            fold_of[pair] = fold_of[pair[::-1]]
    return fold_of


def _cost_of_moves(
    vectors: np.ndarray, has: np.ndarray, fold_of: np.ndarray, sums: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """Cost of moving each unit to each fold, shape (n_units, n_folds); to where it is, nothing negative."""
    reach = vectors @ sums.T
    here = np.take_along_axis(reach, fold_of[:, np.newaxis], axis=1)
    change = 2 * (reach - here + (vectors**2).sum(axis=1, keepdims=True))
    leaves = (has & (present == 1)[fold_of]).sum(axis=1, keepdims=True)
    fills = has.astype(float) @ (present == 0).T.astype(float)
    return change + _HOLE * (leaves - fills)


def _cost_of_swaps(
    vectors: np.ndarray, has: np.ndarray, fold_of: np.ndarray, sums: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """Cost of swapping each two units, shape (n_units, n_units); within a fold nothing negative."""
    reach = (vectors @ sums.T)[:, fold_of]  # [i, j]: unit i, and the fold of unit j
    here = np.diagonal(reach)
    norm = (vectors**2).sum(axis=1)
    apart = norm[:, np.newaxis] + norm - 2 * vectors @ vectors.T
    change = 2 * (reach + reach.T - here[:, np.newaxis] - here + apart)
    if present.min() > 1:
        return change  # no swap can empty or fill anything
    # Unit i leaves a hole that unit j does not fill, or j fills one that was there.
    leaves = (has & (present == 1)[fold_of]).astype(float) @ (~has).T.astype(float)
    fills = (present == 0)[fold_of].astype(float) @ has.T.astype(float)
    holes = leaves - fills
    return change + _HOLE * (holes + holes.T)
