"""The inner validation part: shuffled, stratified, seeded, and by patient where patients are known."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import train_test_split

from histoclf._seeding import draw_seed
from histoclf.exceptions import SplitError

_N_TRIALS = 500  # random sets of patients that are compared

Split = tuple[np.ndarray, np.ndarray]


def split_validation(
    y: np.ndarray,
    groups: np.ndarray | None,
    fraction: float,
    generator: np.random.Generator,
    classes: np.ndarray,
) -> Split:
    """Hold out a part of the training data for early stopping.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Class numbers 0 to n_classes - 1.
    groups : ndarray of shape (n_samples,) or None
        Patient of each sample; none is ever on both sides.
    fraction : float
        Share of samples to hold out, between 0 and 1; with `groups`, as near to it as patients allow.
    generator : numpy.random.Generator
        Source of the draw.
    classes : ndarray of shape (n_classes,)
        Labels, for messages.

    Returns
    -------
    train, validation : ndarray of int
        Sorted row numbers.

    Raises
    ------
    SplitError
        If a class would be missing from either side.
    """
    if groups is None:
        return _split_samples(y, fraction, generator, classes)
    return _split_groups(y, groups, fraction, generator, classes)


def _split_samples(
    y: np.ndarray, fraction: float, generator: np.random.Generator, classes: np.ndarray
) -> Split:
    counts = np.bincount(y, minlength=len(classes))
    if counts.min() < 2:
        raise SplitError(
            f"early_stopping=True holds out a validation part, but class {str(classes[counts.argmin()])!r} "
            f"has only {counts.min()} sample; expected at least 2 of each class. Add samples of it, leave "
            "the class out, or set early_stopping=False."
        )
    # Each class needs one sample on each side, whatever the fraction says.
    n_validation = np.clip(round(fraction * len(y)), len(counts), len(y) - len(counts))
    train, validation = train_test_split(
        np.arange(len(y)), test_size=int(n_validation), stratify=y, random_state=draw_seed(generator)
    )
    _refuse_missing_class(y, train, validation, fraction)
    return np.sort(train), np.sort(validation)


def _split_groups(
    y: np.ndarray, groups: np.ndarray, fraction: float, generator: np.random.Generator, classes: np.ndarray
) -> Split:
    """Compare random sets of patients: size and class shares near those asked for, no class missing."""
    patients, patient_of = np.unique(groups, return_inverse=True)
    table = np.zeros((len(patients), len(classes)), dtype=np.int64)
    np.add.at(table, (patient_of, y), 1)
    _refuse_lonely_class(table, classes)
    best, best_cost = None, np.inf
    for _ in range(_N_TRIALS):
        chosen = _draw_patients(table, fraction, generator)
        cost = _cost(table, chosen, fraction)
        if cost < best_cost:
            best, best_cost = chosen, cost
    if best is None:
        raise SplitError(
            f"No set of patients was found with every class both inside and outside of it ({len(patients)} "
            "patients). Expected each class in several patients; add patients, set "
            "early_stopping=False, or hold out single samples with groups=np.arange(len(y))."
        )
    held_out = best[patient_of]
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _draw_patients(table: np.ndarray, fraction: float, generator: np.random.Generator) -> np.ndarray:
    """Take patients in random order until the share of samples asked for is reached; always leave one."""
    order = generator.permutation(len(table))
    reached = np.cumsum(table.sum(axis=1)[order])
    n_taken = min(int(np.searchsorted(reached, fraction * reached[-1])) + 1, len(table) - 1)
    chosen = np.zeros(len(table), dtype=bool)
    chosen[order[:n_taken]] = True
    return chosen


def _cost(table: np.ndarray, chosen: np.ndarray, fraction: float) -> float:
    """Distance of each class' held-out share from the fraction; infinite if a class is missing on a side."""
    total, inside = table.sum(axis=0), table[chosen].sum(axis=0)
    if np.any(inside == 0) or np.any(inside == total):
        return np.inf
    return float(np.abs(inside / total - fraction).mean() + abs(inside.sum() / total.sum() - fraction))


def _refuse_lonely_class(table: np.ndarray, classes: np.ndarray) -> None:
    lonely = np.flatnonzero((table > 0).sum(axis=0) < 2)
    if lonely.size:
        raise SplitError(
            "early_stopping=True with groups holds out whole patients, but class "
            f"{str(classes[lonely[0]])!r} is in one patient only, so it would be missing from one side. "
            "Expected every class in at least 2 patients; add patients, set "
            "early_stopping=False, or hold out single samples with groups=np.arange(len(y))."
        )


def _refuse_missing_class(y: np.ndarray, train: np.ndarray, validation: np.ndarray, fraction: float) -> None:
    n_classes = len(np.unique(y))
    if min(len(np.unique(y[train])), len(np.unique(y[validation]))) < n_classes:
        raise SplitError(
            f"validation_fraction={fraction} of {len(y)} samples leaves a class out of one side. Expected "
            "every class in both; change validation_fraction, add samples of the rarest class, or set "
            "early_stopping=False."
        )
