"""Folds for out-of-fold probabilities: by patient, and refused where they could not give an honest number."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from histoclf.exceptions import SplitError

Folds = list[tuple[np.ndarray, np.ndarray]]


def check_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Return the patients as an array of one kind.

    Raises
    ------
    SplitError
        If there is not one patient for each sample.
    """
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise SplitError(f"groups has shape {groups.shape}; expected one patient per sample, ({n_samples},).")
    missing = np.flatnonzero([patient is None or patient != patient for patient in groups])
    if missing.size:
        raise SplitError(
            f"groups has no patient in {missing.size} rows ({missing[:10].tolist()}). Expected the patient "
            "of every sample; drop those rows or name their patient."
        )
    return groups


def make_folds(
    y: np.ndarray, groups: np.ndarray | None, cv: Any, random_state: Any, *, X: Any = None
) -> Folds:
    """Split rows into folds.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    cv : int, splitter or iterable of (train, test)
        A number of folds is stratified, shuffled and by patient.
    random_state : int, RandomState instance or None
        Seed of the shuffling.
    X : array-like of n_samples rows, default=None
        What is split, for splitters that look at it.

    Returns
    -------
    folds : list of (train, test)
        Row numbers; every row is tested once at most.

    Raises
    ------
    SplitError
        If folds cannot be filled, or a class is missing from a training part.
    """
    if isinstance(cv, Integral):
        _refuse_too_many(y, groups, int(cv))
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(int(cv), shuffle=True, random_state=random_state)
    else:
        splitter = check_cv(cv, y, classifier=True)
    with warnings.catch_warnings():
        # What matters of these is checked in our own words: a class that a training part lacks, and patients
        # on both sides.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        split = splitter.split(np.zeros(len(y)) if X is None else X, y, groups)
        folds = [(np.asarray(train), np.asarray(test)) for train, test in split]
    _check_folds(folds, y, groups)
    return folds


def _refuse_too_many(y: np.ndarray, groups: np.ndarray | None, n_folds: int) -> None:
    if n_folds < 2:
        raise SplitError(f"cv={n_folds}: expected at least 2 folds, one to test on while the others train.")
    available = int(np.unique(y, return_counts=True)[1].min()) if groups is None else len(np.unique(groups))
    what = "samples of the rarest class" if groups is None else "patients"
    if available < n_folds:
        raise SplitError(
            f"cv={n_folds} folds need at least {n_folds} {what}, but there are {available}. "
            + (f"Use cv={available} at most, or add {what}." if available > 1 else f"Add {what}.")
        )


def _check_folds(folds: Folds, y: np.ndarray, groups: np.ndarray | None) -> None:
    tested = np.zeros(len(y), dtype=int)
    for number, (train, test) in enumerate(folds, start=1):
        if not len(test):
            raise SplitError(f"Fold {number} of {len(folds)} has nothing to test on. Use fewer folds.")
        tested[test] += 1
        missing = np.setdiff1d(y, y[train])
        if missing.size:
            raise SplitError(_complaint(missing[0], number, len(folds), y, groups))
    if tested.max() > 1:
        raise SplitError(
            "cv tests some samples more than once, so that they have no single out-of-fold probability. "
            "Expected a splitter that tests each sample once at most, such as StratifiedGroupKFold."
        )


def _complaint(label: Any, number: int, n_folds: int, y: np.ndarray, groups: np.ndarray | None) -> str:
    of_class = y == label
    where = "" if groups is None else f" in {len(np.unique(groups[of_class]))} patients"
    return (
        f"The training part of fold {number} of {n_folds} has no sample of class '{label}', which has "
        f"{of_class.sum()} samples{where}. Expected every class in every training part; add patients or "
        "samples of it, use other folds (cv, random_state), or leave the class out."
    )


def shared_patients(folds: Folds, groups: np.ndarray | None) -> list[str]:
    """Name the patients who are in both parts of a fold, as a splitter of the caller's may do."""
    if groups is None:
        return []
    shared = [np.intersect1d(groups[train], groups[test]) for train, test in folds]
    return np.unique(np.concatenate(shared)).tolist()
