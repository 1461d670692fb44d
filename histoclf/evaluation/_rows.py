"""The rows of the table: one classifier each, scored per patch and per patient."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from histoclf.metrics._bootstrap import bootstrap_patients, percentile_interval
from histoclf.metrics._patients import patient_accuracy, patient_probabilities, within_patient_auc
from histoclf.metrics._weighted import weighted_accuracy, weighted_auc, weighted_balanced_accuracy

Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """Scores of one classifier on patches it has not seen; all in 0-1, NaN where not defined.

    Parameters
    ----------
    name : str
        Name of the classifier.
    balanced_accuracy : float
        Per patch: the mean of the recalls.
    balanced_accuracy_interval : tuple of (float, float)
        95 % interval, by drawing patients.
    auc : float
        Per patch; of several classes the mean of each against the rest.
    auc_interval : tuple of (float, float)
        95 % interval, by drawing patients.
    accuracy : float
        Per patch.
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

    Examples
    --------
    >>> from histoclf.evaluation import Row
    >>> row = Row("model", 0.75, (0.7, 0.8), 0.81, (0.75, 0.86), 0.74)
    >>> row.to_dict()["auc_interval"]
    (0.75, 0.86)
    """

    name: str
    balanced_accuracy: float
    balanced_accuracy_interval: Interval
    auc: float
    auc_interval: Interval
    accuracy: float
    patient_accuracy: float = float("nan")
    within_patient_auc: float = float("nan")
    n_within: int = 0
    patient_balanced_accuracy: float = float("nan")
    patient_auc: float = float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the scores by name.

        Returns
        -------
        scores : dict
            Of numbers, pairs of numbers and the name.
        """
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """Balanced accuracy of one row minus that of another, and the 95 % interval over the same draws."""

    difference: float
    interval: Interval


def score_rows(
    out_of_fold: dict[str, np.ndarray], y: np.ndarray, groups: np.ndarray | None, random_state: Any
) -> tuple[tuple[Row, ...], Comparison]:
    """Score classifiers on the same patches.

    Parameters
    ----------
    out_of_fold : dict of str to ndarray of shape (n_samples, n_classes)
        Probabilities by name of the classifier.
    y : ndarray of shape (n_samples,), int
        Class numbers.
    groups : ndarray of shape (n_samples,) or None
        Patients; None draws patches for the intervals.
    random_state : int, RandomState instance or None
        Seed of the draws.

    Returns
    -------
    rows : tuple of Row
        In the order of `out_of_fold`.
    comparison : Comparison
        Of the first row with the second.
    """
    units = np.arange(len(y)) if groups is None else groups
    candidates = list(out_of_fold.values())

    def statistic(weights: np.ndarray) -> np.ndarray:
        return np.stack([_scores(y, p, weights) for p in candidates], axis=1)

    # One seed for all: the rows are compared on the same draws.
    draws = bootstrap_patients(statistic, units, random_state=random_state)
    here = statistic(np.ones((1, len(y))))[0]
    rows = tuple(
        _row(name, p, y, groups, point, values)
        for (name, p), point, values in zip(out_of_fold.items(), here, draws.swapaxes(0, 1), strict=True)
    )
    comparison = Comparison(
        float(here[0, 0] - here[1, 0]), percentile_interval(draws[:, 0, 0] - draws[:, 1, 0])
    )
    return rows, comparison


def _scores(y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Balanced accuracy and area, shape (n_sets, 2)."""
    balanced = weighted_balanced_accuracy(y, probabilities.argmax(axis=1), probabilities.shape[1], weights)
    return np.stack([balanced, weighted_auc(y, probabilities, weights)], axis=1)


def _row(
    name: str,
    probabilities: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray | None,
    point: np.ndarray,
    draws: np.ndarray,
) -> Row:
    predicted = probabilities.argmax(axis=1)
    return Row(
        name=name,
        balanced_accuracy=float(point[0]),
        balanced_accuracy_interval=percentile_interval(draws[:, 0]),
        auc=float(point[1]),
        auc_interval=percentile_interval(draws[:, 1]),
        accuracy=float(weighted_accuracy(y, predicted)[0]),
        **({} if groups is None else _per_patient(y, probabilities, groups)),
    )


def _per_patient(y: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    auc, n_within = within_patient_auc(y, probabilities, groups)
    scores = {
        "patient_accuracy": patient_accuracy(y, probabilities.argmax(axis=1), groups),
        "within_patient_auc": auc,
        "n_within": n_within,
    }
    patients = patient_probabilities(y, probabilities, groups)
    if patients is not None:
        of_patients = _scores(*patients, np.ones((1, len(patients[0]))))[0]
        scores |= {"patient_balanced_accuracy": float(of_patients[0]), "patient_auc": float(of_patients[1])}
    return scores
