"""The rows of the table: one classifier each, scored per patch, per patient and within patients."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from histoclf.evaluation._spread import Interval, Spread, find_spread
from histoclf.metrics._calibration import (
    weighted_brier_score,
    weighted_calibration_error,
    weighted_log_loss,
)
from histoclf.metrics._patients import (
    patient_accuracy,
    patient_probabilities,
    patient_votes,
    within_patient_auc,
)
from histoclf.metrics._rates import weighted_rates
from histoclf.metrics._weighted import (
    weighted_accuracy,
    weighted_auc,
    weighted_average_precision,
    weighted_balanced_accuracy,
)

# Scores per patch, in the order in which `patch_scores` computes them, and the scale of their intervals.
PATCH_SCORES = {
    "balanced_accuracy": "logit",
    "auc": "logit",
    "accuracy": "logit",
    "average_precision": "logit",
    "sensitivity": "logit",
    "specificity": "logit",
    "f1": "logit",
    "log_loss": "log",
    "brier_score": "log",
}
BALANCED_ACCURACY, AUC = 0, 1


@dataclass(frozen=True)
class Row:
    """Scores of one classifier on patches it has not seen; NaN where not defined.

    Of two classes the second one is positive. Of more, what needs a positive class is the mean of each
    against the rest.

    Parameters
    ----------
    name : str
        Name of the classifier.
    balanced_accuracy : float
        Per patch, as the next ones: the mean of the recalls, 0-1.
    auc : float
        Area under the ROC curve, 0-1.
    accuracy : float
        Share of right answers, 0-1.
    average_precision : float
        Area under the precision-recall curve, 0-1.
    sensitivity : float
        Share of the positive patches that are found, 0-1.
    specificity : float
        Share of the negative patches that are left alone, 0-1.
    f1 : float
        Harmonic mean of sensitivity and precision, 0-1.
    log_loss : float
        Mean of minus the logarithm of the probability of the true class; 0 is best.
    brier_score : float
        Mean squared error of the probabilities; 0 is best.
    calibration_error : float
        Expected calibration error in 15 bins of equal mass, 0-1. It has no interval: resampling adds to it.
    patient_accuracy : float
        Mean of the accuracies within each patient.
    within_patient_auc : float
        Mean of the areas within each patient who holds more than one class.
    n_within : int
        Number of those patients.
    patient_balanced_accuracy : float
        Of the mean probability of each patient, where every patient has one class only.
    patient_auc : float
        The same.
    vote_balanced_accuracy : float
        Of the vote of each patient's patches, where every patient has one class only.
    intervals : dict of str to tuple of (float, float)
        95 % intervals over patients, by the name of the score.

    Examples
    --------
    >>> from histoclf.evaluation import Row
    >>> row = Row("model", balanced_accuracy=0.75, auc=0.81, intervals={"auc": (0.75, 0.86)})
    >>> row.auc_interval, row.to_dict()["accuracy"]
    ((0.75, 0.86), nan)
    """

    name: str
    balanced_accuracy: float
    auc: float
    accuracy: float = math.nan
    average_precision: float = math.nan
    sensitivity: float = math.nan
    specificity: float = math.nan
    f1: float = math.nan
    log_loss: float = math.nan
    brier_score: float = math.nan
    calibration_error: float = math.nan
    patient_accuracy: float = math.nan
    within_patient_auc: float = math.nan
    n_within: int = 0
    patient_balanced_accuracy: float = math.nan
    patient_auc: float = math.nan
    vote_balanced_accuracy: float = math.nan
    intervals: dict[str, Interval] = field(default_factory=dict)

    @property
    def balanced_accuracy_interval(self) -> Interval:
        """95 % interval of the balanced accuracy; NaN if there is none."""
        return self.intervals.get("balanced_accuracy", (math.nan, math.nan))

    @property
    def auc_interval(self) -> Interval:
        """95 % interval of the area under the ROC curve; NaN if there is none."""
        return self.intervals.get("auc", (math.nan, math.nan))

    def to_dict(self) -> dict[str, Any]:
        """Return the scores by name.

        Returns
        -------
        scores : dict
            Of numbers, the name, and the intervals by name of the score.
        """
        return asdict(self)


def patch_scores(y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the scores per patch, shape (n_sets, n_scores)."""
    predicted, n_classes = probabilities.argmax(axis=1), probabilities.shape[1]
    rates = weighted_rates(y, predicted, n_classes, weights)
    scores = [
        weighted_balanced_accuracy(y, predicted, n_classes, weights),
        weighted_auc(y, probabilities, weights),
        weighted_accuracy(y, predicted, weights),
        weighted_average_precision(y, probabilities, weights),
        *rates.T,
        weighted_log_loss(y, probabilities, weights),
        weighted_brier_score(y, probabilities, weights),
    ]
    return np.stack(scores, axis=1)


def spread_of_patches(
    candidates: list[np.ndarray], y: np.ndarray, groups: np.ndarray | None, random_state: int
) -> Spread:
    """Score classifiers on the same patches; the numbers have the places (classifier, score)."""
    units = np.arange(len(y)) if groups is None else groups

    def statistic(weights: np.ndarray) -> np.ndarray:
        return np.stack([patch_scores(y, p, weights) for p in candidates], axis=1)

    return find_spread(statistic, units, random_state)


def make_rows(
    named: dict[str, np.ndarray], spread: Spread, y: np.ndarray, groups: np.ndarray | None, random_state: int
) -> tuple[Row, ...]:
    """Put scores and intervals into rows.

    Parameters
    ----------
    named : dict of str to ndarray of shape (n_samples, n_classes)
        Probabilities by name of the classifier.
    spread : Spread
        Of `spread_of_patches`, for the same classifiers.
    y : ndarray of shape (n_samples,), int
        Class numbers.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    random_state : int
        Seed of the draws.

    Returns
    -------
    rows : tuple of Row
        In the order of `named`.
    """
    rows = []
    for number, (name, p) in enumerate(named.items()):
        scores: dict[str, Any] = {
            score: float(spread.estimate[number, place]) for place, score in enumerate(PATCH_SCORES)
        }
        intervals = {
            score: spread.interval(number, place, scale=scale)
            for place, (score, scale) in enumerate(PATCH_SCORES.items())
        }
        scores["calibration_error"] = float(weighted_calibration_error(y, p)[0])
        if groups is not None:
            of_patients, their_intervals = _per_patient(y, p, groups, random_state)
            scores |= of_patients
            intervals |= their_intervals
        if np.ptp(p, axis=0).max() == 0:  # one answer for all: it cannot become another with other patients
            intervals = {}
        rows.append(Row(name, **scores, intervals=intervals))
    return tuple(rows)


def _per_patient(
    y: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, random_state: int
) -> tuple[dict[str, Any], dict[str, Interval]]:
    within = within_patient_auc(y, probabilities, groups)
    means = {
        "patient_accuracy": patient_accuracy(y, probabilities.argmax(axis=1), groups),
        "within_patient_auc": within,
    }
    found = {name: _mean(values, random_state) for name, values in means.items() if len(values)}
    patients = patient_probabilities(y, probabilities, groups)
    if patients is not None:
        found |= _of_patients(*patients, patient_votes(probabilities, groups), random_state)
    scores = {name: value for name, (value, _) in found.items()}
    intervals = {name: interval for name, (_, interval) in found.items()}
    return scores | {"n_within": len(within)}, intervals


def _mean(values: np.ndarray, random_state: int) -> tuple[float, Interval]:
    """Average over patients."""
    spread = find_spread(
        lambda weights: weights @ values / weights.sum(axis=1), np.arange(len(values)), random_state
    )
    return float(spread.estimate), spread.interval(scale="logit")


def _of_patients(
    y: np.ndarray, mean: np.ndarray, votes: np.ndarray, random_state: int
) -> dict[str, tuple[float, Interval]]:
    """Score one answer for each patient."""
    n_classes = mean.shape[1]

    def statistic(weights: np.ndarray) -> np.ndarray:
        scores = [
            weighted_balanced_accuracy(y, mean.argmax(axis=1), n_classes, weights),
            weighted_auc(y, mean, weights),
            weighted_balanced_accuracy(y, votes.argmax(axis=1), n_classes, weights),
        ]
        return np.stack(scores, axis=1)

    spread = find_spread(statistic, np.arange(len(y)), random_state)
    names = ("patient_balanced_accuracy", "patient_auc", "vote_balanced_accuracy")
    return {
        name: (float(spread.estimate[place]), spread.interval(place, scale="logit"))
        for place, name in enumerate(names)
    }
