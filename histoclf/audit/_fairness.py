"""What no dealing of patients can mend: said in words, with names and numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from histoclf.audit._balance import sum_by_fold
from histoclf.audit._units import Units
from histoclf.exceptions import SplitError

_MOST = 0.5  # of a class
_UNEVEN = 2.0  # times the smallest fold


def refuse_too_few(units: Units, n_folds: int) -> None:
    """Refuse more folds than units.

    Raises
    ------
    SplitError
        It names how many folds there can be.
    """
    if len(units) >= n_folds:
        return
    cure = f"Use n_splits={len(units)} at most, or add" if len(units) > 1 else "Add"
    linked = [units.name(unit) for unit in range(len(units)) if (units.of_member == unit).sum() > 1]
    because = f" In one piece are {'; '.join(linked)}." if linked else ""
    raise SplitError(
        f"n_splits={n_folds} folds need at least {n_folds} {units.noun}s, or sets of {units.noun}s that "
        f"share duplicates, but there are {units.count()}.{because} {cure} {units.noun}s."
    )


def refuse_missing(
    table: np.ndarray, units: Units, classes: np.ndarray, fold_of: np.ndarray, n_folds: int
) -> None:
    """Refuse folds whose training part lacks a class.

    Raises
    ------
    SplitError
        It names the classes and who has them.
    """
    lonely = np.flatnonzero((sum_by_fold(table, fold_of, n_folds) > 0).sum(axis=0) < 2)
    if not lonely.size:
        return
    where = [f"class '{classes[c]}' is in {_owners(table[:, c], units)} only" for c in lonely]
    raise SplitError(
        f"{'; '.join(where)}, so when that is tested, no training part has it. Expected every class in at "
        f"least two folds; add {units.noun}s who have it, leave the class out, or join it to another one."
    )


def find_unfair(
    table: np.ndarray, units: Units, classes: np.ndarray, fold_of: np.ndarray, n_folds: int
) -> Iterator[str]:
    """Say what is uneven about the folds.

    Parameters
    ----------
    table : ndarray of shape (n_units, n_classes), int
        Samples of each class in each unit.
    units : Units
        Their names.
    classes : ndarray of shape (n_classes,)
        Labels.
    fold_of : ndarray of shape (n_units,), int
        Fold of each unit.
    n_folds : int
        Number of folds.

    Yields
    ------
    finding : str
        One sentence or two for each kind of unfairness, with all whom it concerns.
    """
    in_folds = sum_by_fold(table, fold_of, n_folds)
    yield from _find_owners_of_most(table, units, classes)
    yield from _find_holes(table, units, classes, in_folds)
    yield from _find_uneven_sizes(table, units, in_folds.sum(axis=1))


def _find_owners_of_most(table: np.ndarray, units: Units, classes: np.ndarray) -> Iterator[str]:
    total, largest = table.sum(axis=0), table.max(axis=0)
    found = [
        f"{_percent(largest[c], total[c])} of class '{classes[c]}' ({largest[c]:,} of {total[c]:,} samples) "
        f"is from {units.name(int(table[:, c].argmax()))}"
        for c in np.flatnonzero(largest > _MOST * total)
    ]
    if found:
        yield (
            f"{'; '.join(found)}: scores of such a class are mostly about one {units.noun}, and are learned "
            f"from the rest of it. More {units.noun}s who have it are the only cure."
        )


def _find_holes(table: np.ndarray, units: Units, classes: np.ndarray, in_folds: np.ndarray) -> Iterator[str]:
    n_folds, n_holes, n_owners = len(in_folds), (in_folds == 0).sum(axis=0), (table > 0).sum(axis=0)
    found = [
        f"class '{classes[c]}' is in {units.count(int(n_owners[c]))} only, so {n_holes[c]} of the {n_folds} "
        f"folds {'has' if n_holes[c] == 1 else 'have'} none to test"
        for c in np.flatnonzero(n_holes)
    ]
    if found:
        fewest = int(n_owners[n_holes > 0].min())
        cure = f"Use n_splits={fewest} at most, or pool" if fewest > 1 else "Pool"
        yield (
            f"{'; '.join(found)}: scores of single folds are about different classes. {cure} the answers of "
            "all folds before scoring, as evaluate does."
        )


def _find_uneven_sizes(table: np.ndarray, units: Units, sizes: np.ndarray) -> Iterator[str]:
    if sizes.max() <= _UNEVEN * sizes.min():
        return
    by_unit = table.sum(axis=1)
    largest = int(by_unit.argmax())
    yield (
        f"the {len(sizes)} folds hold {sizes.min():,} to {sizes.max():,} samples, where {sizes.mean():,.0f} "
        f"would be even; {by_unit[largest]:,} of {sizes.sum():,} are from {units.name(largest)}. Use fewer "
        "folds, or pool the answers of all folds before scoring, as evaluate does."
    )


def _owners(counts: np.ndarray, units: Units) -> str:
    return " and ".join(units.name(int(unit)) for unit in np.flatnonzero(counts))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"
