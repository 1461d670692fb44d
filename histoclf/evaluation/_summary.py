"""From finished fits to scores, intervals, and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf import __version__
from histoclf.classifiers._folds import Folds
from histoclf.evaluation._baselines import MAJORITY_NAME, constant_answer
from histoclf.evaluation._curve import LearningCurve, advise, find_point, mean_training_score
from histoclf.evaluation._fit import Fit, FitResult
from histoclf.evaluation._fits import gather_warnings, stack_probabilities
from histoclf.evaluation._identity import probe_identity
from histoclf.evaluation._inflation import find_inflation
from histoclf.evaluation._paired import compare_rows
from histoclf.evaluation._plan import Plan
from histoclf.evaluation._result import Evaluation
from histoclf.evaluation._rows import Row, make_rows, spread_of_patches
from histoclf.evaluation._shortcuts import Shortcuts, describe_separation
from histoclf.evaluation._spread import N_DRAWS, Spread
from histoclf.evaluation._words import describe_extras, warn_of_data, warn_of_intervals, warn_of_shortcuts


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
    skipped : list of str
        Parameters of `evaluate` under which more would have been measured.
    random_state : int
        Seed of all that was drawn, and is drawn here.
    """

    plan: Plan
    results: dict[str, FitResult]
    folds: Folds
    shortcuts: Shortcuts
    skipped: list[str]
    random_state: int

    def failures(self) -> list[str]:
        """Say which of the fits that are not needed could not be made."""
        found = [(fit, self.results[fit.key].failure) for fit in self.plan.fits]
        return [f"{fit.key} could not be fitted: {reason}" for fit, reason in found if reason is not None]

    def worked(self, fits: list[Fit]) -> bool:
        """Whether there are probabilities from all of some fits."""
        return bool(fits) and all(self.results[fit.key].failure is None for fit in fits)


def summarise(
    evidence: Evidence, y: np.ndarray, groups: np.ndarray | None, sites: np.ndarray | None
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

    Returns
    -------
    evaluation : Evaluation
    """
    plan, seed = evidence.plan, evidence.random_state
    classes, codes = np.unique(y, return_inverse=True)
    fold_of = _fold_numbers(evidence.folds, len(y))
    tested = fold_of >= 0
    out_of_fold = _stack(evidence, {plan.model[0].task: plan.model} | plan.rivals, len(y), len(classes))
    out_of_fold[MAJORITY_NAME] = constant_answer(codes, len(classes))
    extras = _stack(evidence, {"random split": plan.random} | _named(plan.curve), len(y), len(classes))
    scored = {name: p[tested] for name, p in (out_of_fold | extras).items()}
    in_table = {name: scored[name] for name in out_of_fold}
    patients = None if groups is None else groups[tested]
    spread = spread_of_patches(list(scored.values()), codes[tested], patients, seed)
    rows = make_rows(in_table, spread, codes[tested], patients, seed)
    pairs = [(0, other) for other in range(1, len(rows))]
    inflation = (
        find_inflation(spread, list(scored).index("random split")) if "random split" in extras else None
    )
    curve = _curve(evidence, list(scored), spread, rows[0], groups)
    probes = probe_identity(evidence.shortcuts.tables, groups, sites, seed)
    of_fits = [evidence.results[fit.key] for fit in plan.model]
    warnings = [
        *warn_of_data(groups, evidence.folds, tested),
        *warn_of_intervals(rows[0], y[tested], patients),
        *describe_separation(evidence.shortcuts.facts, y),
        *warn_of_shortcuts(rows, len(classes)),
    ]
    return Evaluation(
        rows=rows,
        comparisons=compare_rows(in_table, pairs, spread, codes[tested], patients, seed),
        out_of_fold=out_of_fold,
        classes=classes,
        y=y,
        groups=groups,
        folds=fold_of,
        fit_times=tuple(result.seconds for result in of_fits),
        warnings=(*warnings, *gather_warnings(of_fits), *evidence.failures()),
        training_score=mean_training_score(plan.model, evidence.results),
        inflation=inflation,
        learning_curve=curve,
        identity=probes,
        notes=tuple(describe_extras(inflation, curve, probes, evidence.skipped)),
        settings=_settings(evidence, spread),
    )


def _stack(
    evidence: Evidence, named: dict[str, list[Fit]], n_samples: int, n_classes: int
) -> dict[str, np.ndarray]:
    """Put the probabilities of fits together, where all of them could be made."""
    return {
        name: stack_probabilities(evidence.results, fits, n_samples, n_classes)
        for name, fits in named.items()
        if evidence.worked(fits)
    }


def _named(curve: dict[tuple[str, float], list[Fit]]) -> dict[str, list[Fit]]:
    return {fits[0].part: fits for fits in curve.values()}


def _curve(
    evidence: Evidence, names: list[str], spread: Spread, model: Row, groups: np.ndarray | None
) -> LearningCurve | None:
    points = [
        find_point(kind, share, fits, evidence.results, groups, spread, names.index(fits[0].part))
        for (kind, share), fits in evidence.plan.curve.items()
        if evidence.worked(fits)
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
        "histoclf": __version__,
        "random_state": evidence.random_state,
        "n_folds": len(evidence.folds),
        "n_fits": len(evidence.plan.fits),
        "interval": drawn if spread.drawn else left_out,
        "test": "sign-flip test over patients' contributions to the difference of balanced accuracies",
    }
