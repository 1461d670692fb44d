"""Which fits an evaluation needs: the folds, and perhaps a random split and parts of the training data."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import ceil
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import StratifiedKFold

from histoclf._seeding import make_generator
from histoclf.classifiers._base import BaseHistoClassifier
from histoclf.classifiers._folds import Folds, make_folds, shared_patients
from histoclf.classifiers._transfer import HistoTransferClassifier
from histoclf.evaluation._fit import Fit
from histoclf.exceptions import SplitError

BY_PATIENT = "folds by patient"
SHARE_NAMES = {0.25: "a quarter", 0.5: "half"}
_KINDS = ("patients", "patches")
_FEWEST = 2  # patients, or patches of a class, to train on
_KNOWN_AS_QUICK = {"sklearn", "histoclf", "imblearn"}


def refits_are_cheap(estimator: Any) -> bool:
    """Whether another fit costs little beside the first, as embeddings are kept or there is no network.

    True for a transfer classifier with a frozen network and the logistic head, and for plain estimators of
    scikit-learn; False for networks that train, for searches, which fit many times, and for what is unknown.
    """
    parts = [estimator, *estimator.get_params().values()]
    return all(_is_cheap(part) for part in parts if isinstance(part, BaseEstimator) or hasattr(part, "fit"))


def _is_cheap(part: Any) -> bool:
    if isinstance(part, BaseHistoClassifier):
        frozen = isinstance(part, HistoTransferClassifier) and not part.fine_tune_layers
        return frozen and part.head == "logistic" and not part.augmented_copies
    module = type(part).__module__
    return module.split(".")[0] in _KNOWN_AS_QUICK and not module.startswith("sklearn.model_selection")


@dataclass(frozen=True)
class Plan:
    """All fits of an evaluation.

    Attributes
    ----------
    model : list of Fit
        The classifier, in each fold.
    rivals : dict of str to list of Fit
        The same for each of the others.
    other : list of Fit
        The classifier in the other kind of split, see `plan_other_split`; empty if that is not wanted or not
        possible.
    curve : dict of (kind, share) to list of Fit
        The classifier with parts of the training data.
    """

    model: list[Fit]
    rivals: dict[str, list[Fit]]
    other: list[Fit] = field(default_factory=list)
    curve: dict[tuple[str, float], list[Fit]] = field(default_factory=dict)

    @property
    def fits(self) -> list[Fit]:
        """All of them, the quick ones first: what is wrong with the data shows soon."""
        of_rivals = [fit for fits in self.rivals.values() for fit in fits]
        of_curve = [fit for fits in self.curve.values() for fit in fits]
        return [*of_rivals, *self.model, *self.other, *of_curve]


def plan_folds(name: str, folds: Folds, *, is_rival: bool = False) -> list[Fit]:
    """Plan the fits that the scores are of."""
    return [
        Fit(name, "folds", number, train, test, scores_training=not is_rival, quick=is_rival)
        for number, (train, test) in enumerate(folds)
    ]


def plan_other_split(
    name: str, folds: Folds, y: np.ndarray, patients: np.ndarray | None, random_state: int
) -> list[Fit]:
    """Plan the fits of a split into as many folds, random if the folds are by patient, else by patient.

    None where it could not be compared: if the folds do not test everything, they train on another number.
    """
    n_tested, rarest = sum(len(test) for _, test in folds), np.unique(y, return_counts=True)[1].min()
    if patients is None or n_tested < len(y):
        return []
    split: Any
    if shared_patients(folds, patients):
        part = BY_PATIENT
        try:
            split = make_folds(y, patients, len(folds), random_state)
        except SplitError:  # too few patients, or a class in one alone
            return []
    elif rarest < len(folds):
        return []
    else:
        part = "random split"
        split = StratifiedKFold(len(folds), shuffle=True, random_state=random_state).split(y, y)
    return [Fit(name, part, number, train, test, optional=True) for number, (train, test) in enumerate(split)]


def plan_curve(
    name: str, folds: Folds, y: np.ndarray, groups: np.ndarray | None, random_state: int
) -> dict[tuple[str, float], list[Fit]]:
    """Plan the fits of the learning curve: nested parts of each training part, tested as before."""
    curve = {}
    for kind, share in product(_KINDS if groups is not None else _KINDS[1:], SHARE_NAMES):
        take = _some_patients if kind == "patients" else _some_patches
        fits = []
        for number, (train, test) in enumerate(folds):
            generator = make_generator(random_state, number)  # the same for each share: parts are nested
            rows = take(train, y, groups, share, generator)
            part = f"{SHARE_NAMES[share]} of the {kind}"
            fits.append(Fit(name, part, number, rows, test, scores_training=True, optional=True))
        if all(_is_enough(fit.train, y, groups) for fit in fits):
            curve[kind, share] = fits
    return curve


def _some_patients(
    train: np.ndarray, y: np.ndarray, groups: np.ndarray | None, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Keep some patients; those who come first have all classes between them."""
    assert groups is not None
    order = generator.permutation(np.unique(groups[train]))
    first, missing = [], set(np.unique(y[train]).tolist())
    for patient in order:
        classes = set(y[train][groups[train] == patient].tolist())
        if classes & missing:
            first.append(patient)
            missing -= classes
    order = np.concatenate([first, order[~np.isin(order, first)]])
    return train[np.isin(groups[train], order[: ceil(share * len(order))])]


def _some_patches(
    train: np.ndarray, y: np.ndarray, groups: np.ndarray | None, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Keep some patches of each class of each patient."""
    cells = np.unique(y[train], return_inverse=True)[1]
    if groups is not None:
        patients = np.unique(groups[train], return_inverse=True)[1]
        cells = cells + (cells.max() + 1) * patients
    kept = []
    for cell in np.unique(cells):
        rows = generator.permutation(np.flatnonzero(cells == cell))
        kept.append(rows[: ceil(share * len(rows))])
    return train[np.sort(np.concatenate(kept))]


def _is_enough(rows: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> bool:
    classes, counts = np.unique(y[rows], return_counts=True)
    if len(classes) < len(np.unique(y)) or counts.min() < _FEWEST:
        return False
    return groups is None or len(np.unique(groups[rows])) >= _FEWEST
