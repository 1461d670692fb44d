"""From finished fits to scores, intervals, and words."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf import __version__
from histoclf.audit._report import LeakageReport
from histoclf.classifiers._folds import Folds
from histoclf.evaluation._baselines import MAJORITY_NAME, constant_answer
from histoclf.evaluation._copies import warn_of_copies
from histoclf.evaluation._curve import LearningCurve, advise, find_point, mean_training_score
from histoclf.evaluation._fit import Fit, FitResult
from histoclf.evaluation._fits import gather_warnings, stack_probabilities
from histoclf.evaluation._identity import probe_identity
from histoclf.evaluation._inflation import Inflation, find_inflation
from histoclf.evaluation._paired import compare_rows
from histoclf.evaluation._plan import BY_PATIENT, Plan
from histoclf.evaluation._result import Evaluation
from histoclf.evaluation._rows import Row, make_rows, spread_of_patches
from histoclf.evaluation._shortcuts import Shortcuts, describe_separation
from histoclf.evaluation._spread import N_DRAWS, Spread
from histoclf.evaluation._words import (
    describe_extras,
    warn_of_data,
    warn_of_inflation,
    warn_of_intervals,
    warn_of_shortcuts,
)

# Those that were used are named in the settings.
_PACKAGES = {"numpy": "numpy", "scikit-learn": "sklearn", "tensorflow": "tensorflow", "keras": "keras"}


@dataclass(frozen=True)
class Evidence:
    """What the fits gave, and how they came about.

    Attributes
    ----------
    plan : Plan
        The fits.
    results : dict of str to FitResult
        By the key of the fit.
    folds : list of (train, test)
        Row numbers.
    shortcuts : Shortcuts
        What the baselines learned from.
    audit : LeakageReport or None
        What stands on both sides of the folds.
    left_out : list of str
        What was not looked for, in words.
    skipped : list of str
        Parameters of `evaluate` under which more would have been measured.
    random_state : int
        Seed of all that was drawn, and is drawn here.
    classifier : str
        The classifier with its parameters.
    """

    plan: Plan
    results: dict[str, FitResult]
    folds: Folds
    shortcuts: Shortcuts
    audit: LeakageReport | None
    left_out: list[str]
    skipped: list[str]
    random_state: int
    classifier: str

    def failures(self) -> list[str]:
        """Say what is not there beside the table, as a fit for it failed."""
        found: dict[str, str] = {}
        for fit in self.plan.fits:
            if (reason := self.results[fit.key].failure) is not None:
                found.setdefault(fit.part, reason)
        return [f"not measured, {part}: {reason}" for part, reason in found.items()]

    def worked(self, fits: list[Fit]) -> bool:
        """Whether there are probabilities from all of some fits."""
        return bool(fits) and all(self.results[fit.key].failure is None for fit in fits)


def summarise(
    evidence: Evidence,
    y: np.ndarray,
    groups: np.ndarray | None,
    sites: np.ndarray | None,
    patients: np.ndarray | None,
) -> Evaluation:
    """Score all fits.

    Parameters
    ----------
    evidence : Evidence
        Finished fits.
    y : ndarray of shape (n_samples,)
        Labels.
    groups, sites : ndarray of shape (n_samples,) or None
        Patients, and where they are from.
    patients : ndarray of shape (n_samples,) or None
        As in `groups`, or as file names tell them.

    Returns
    -------
    evaluation : Evaluation
    """
    classes, codes = np.unique(y, return_inverse=True)
    fold_of = _fold_numbers(evidence.folds, len(y))
    tested = fold_of >= 0
    in_table, extras = _probabilities(evidence, codes, len(classes))
    scored = {name: p[tested] for name, p in in_table.items()}
    judged = (codes[tested], None if groups is None else groups[tested], evidence.random_state)
    spread = spread_of_patches([*scored.values(), *(p[tested] for p in extras.values())], *judged)
    rows = make_rows(scored, spread, *judged)
    places = {name: len(rows) + number for number, name in enumerate(extras)}
    inflation = _inflation(evidence, in_table[rows[0].name], extras, codes, patients)
    curve = _curve(evidence, places, spread, rows[0], groups)
    probes = probe_identity(evidence.shortcuts.tables, groups, sites, evidence.random_state)
    described = [*evidence.left_out, *describe_extras(inflation, curve, probes, evidence.skipped)]
    return Evaluation(
        rows=rows,
        comparisons=compare_rows(scored, [(0, other) for other in range(1, len(rows))], spread, *judged),
        out_of_fold=in_table,
        classes=classes,
        y=y,
        groups=groups,
        folds=fold_of,
        fit_times=tuple(evidence.results[fit.key].seconds for fit in evidence.plan.model),
        warnings=(
            *warn_of_data(groups, evidence.folds, tested, patients),
            *warn_of_inflation(inflation),
            *warn_of_copies(evidence.audit),
            *warn_of_intervals(rows[0], y[tested], judged[1]),
            *_warn_of_ways(evidence, rows, y),
        ),
        training_score=mean_training_score(evidence.plan.model, evidence.results),
        inflation=inflation,
        learning_curve=curve,
        identity=probes,
        notes=(*described, *evidence.failures()),
        settings=_settings(evidence, spread),
        audit=evidence.audit,
    )


def _warn_of_ways(evidence: Evidence, rows: tuple[Row, ...], y: np.ndarray) -> list[str]:
    """Say what the classes may be told apart by, and what the fits warned of."""
    return [
        *describe_separation(evidence.shortcuts.facts, y),
        *warn_of_shortcuts(rows, len(np.unique(y))),
        *gather_warnings([evidence.results[fit.key] for fit in evidence.plan.model]),
    ]


def _probabilities(
    evidence: Evidence, codes: np.ndarray, n_classes: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Put the probabilities of the fits together: those of the table, and those beside it that worked."""
    plan = evidence.plan

    def stack(fits: list[Fit]) -> np.ndarray:
        return stack_probabilities(evidence.results, fits, len(codes), n_classes)

    in_table = {fits[0].task: stack(fits) for fits in [plan.model, *plan.rivals.values()]}
    in_table[MAJORITY_NAME] = constant_answer(codes, n_classes)
    beside = [plan.other, *plan.curve.values()]
    return in_table, {fits[0].part: stack(fits) for fits in beside if evidence.worked(fits)}


def _inflation(
    evidence: Evidence,
    model: np.ndarray,
    extras: dict[str, np.ndarray],
    codes: np.ndarray,
    patients: np.ndarray | None,
) -> Inflation | None:
    """Set the random split beside the folds by patient, whichever of them the scores are of."""
    part = evidence.plan.other[0].part if evidence.plan.other else None
    if part not in extras:
        return None
    spread = spread_of_patches([model, extras[part]], codes, patients, evidence.random_state)
    if part == BY_PATIENT:
        return find_inflation(spread, 0, 1, of_these_folds=True)
    return find_inflation(spread, 1, 0, of_these_folds=False)


def _curve(
    evidence: Evidence, places: dict[str, int], spread: Spread, model: Row, groups: np.ndarray | None
) -> LearningCurve | None:
    points = [
        find_point(kind, share, fits, evidence.results, groups, spread, places[fits[0].part])
        for (kind, share), fits in evidence.plan.curve.items()
        if fits[0].part in places
    ]
    if not points:
        return None
    training = mean_training_score(evidence.plan.model, evidence.results)
    advice = advise(points, training, model.balanced_accuracy, model.balanced_accuracy_interval)
    return LearningCurve(tuple(points), advice)


def _fold_numbers(folds: Folds, n_samples: int) -> np.ndarray:
    numbers = np.full(n_samples, -1)
    for number, (_, test) in enumerate(folds):
        numbers[test] = number
    return numbers


def _settings(evidence: Evidence, spread: Spread) -> dict[str, Any]:
    drawn = f"percentiles of {N_DRAWS:,} bootstrap samples of patients"
    left_out = "Student's t with the jackknife over patients"
    return {
        "classifier": evidence.classifier,
        "histoclf": __version__,
        "python": platform.python_version(),
        **{
            name: sys.modules[module].__version__
            for name, module in _PACKAGES.items()
            if module in sys.modules
        },
        "random_state": evidence.random_state,
        "n_folds": len(evidence.folds),
        "n_fits": len(evidence.plan.fits),
        "interval": drawn if spread.drawn else left_out,
        "test": "sign-flip test over patients' contributions to the difference of balanced accuracies",
    }
