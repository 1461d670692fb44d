"""What an evaluation found, and how it says so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf.evaluation._rows import Comparison, Interval, Row

MODEL, RIVAL = 0, 1  # rows of the table


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Result of :func:`histoclf.evaluate`; ``print(evaluation)`` shows the table.

    Parameters
    ----------
    rows : tuple of Row
        The classifier, the mean colour and the majority class, in this order; for a classifier that looks at
        neighbours, the mean colour with the same context comes second.
    out_of_fold : dict of str to ndarray of shape (n_samples, n_classes)
        Probabilities by the name of the row; NaN in rows of X that no fold tested.
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the columns.
    y : ndarray of shape (n_samples,)
        True labels.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    folds : ndarray of shape (n_samples,), int
        Number of the fold that tested each sample, from 0; -1 for none.
    fit_times : tuple of float
        Seconds that each fold's fit took.
    warnings : tuple of str
        What to know before believing the numbers, in words.
    comparison : Comparison
        Difference of the classifier's balanced accuracy to that of the second row, with its 95 % interval.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from histoclf import evaluate, make_patches
    >>> made = make_patches(n_patients=4, patches_per_patient=10, image_size=16, random_state=0)
    >>> X = made.images.reshape(len(made.images), -1)
    >>> evaluation = evaluate(DummyClassifier(), X, made.labels, groups=made.groups, cv=2)
    >>> evaluation.probabilities.shape, evaluation.rows[0].name
    ((40, 2), 'DummyClassifier')
    >>> evaluation.beats_mean_colour
    False
    """

    rows: tuple[Row, ...]
    out_of_fold: dict[str, np.ndarray]
    classes: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None
    folds: np.ndarray
    fit_times: tuple[float, ...]
    warnings: tuple[str, ...]
    comparison: Comparison

    @property
    def probabilities(self) -> np.ndarray:
        """Out-of-fold probabilities of the classifier, shape (n_samples, n_classes)."""
        return self.out_of_fold[self.rows[MODEL].name]

    @property
    def beats_mean_colour(self) -> bool:
        """Whether the whole 95 % interval of the difference to the second row is above 0."""
        return self.comparison.difference > 0 and self.comparison.interval[0] > 0

    @property
    def verdict(self) -> str:
        """Whether the classifier found more than colour, in words."""
        model, colour = self.rows[MODEL], self.rows[RIVAL]
        difference, (low, high) = self.comparison.difference, self.comparison.interval
        if not difference > 0:
            return (
                f"{model.name} does NOT beat the {colour.name} (three numbers a patch): balanced accuracy "
                f"{model.balanced_accuracy:.3f} against {colour.balanced_accuracy:.3f}."
            )
        said = f"{100 * difference:.1f} points of balanced accuracy better than the {colour.name}"
        if math.isnan(low):
            return f"{model.name} is {said}, on too few {self._units} for an interval: that may be chance."
        limits = f"95 % interval {100 * low:+.1f} to {100 * high:+.1f}"
        if low > 0:
            return f"{model.name} is {said} ({limits})."
        return f"{model.name} is {said}, but that may be chance ({limits})."

    def to_text(self) -> str:
        """Write the table for people.

        Returns
        -------
        text : str
            Several lines.
        """
        parts = [self._summary(), "", *self._table(), "", *self._footnotes(), "", self.verdict]
        return "\n".join([*parts, *(f"Warning: {text}" for text in self.warnings)])

    def to_dict(self) -> dict[str, Any]:
        """Return the scores and how they came about, as JSON takes them.

        Returns
        -------
        content : dict
            Of strings, numbers, lists and None (what is not defined); single patches are left out.
        """
        content = {
            "n_patches": len(self.y),
            "n_patients": self._n_patients,
            "classes": self.classes.tolist(),
            "n_folds": len(self.fit_times),
            "fit_seconds": list(self.fit_times),
            "rows": [row.to_dict() for row in self.rows],
            "compared_with": self.rows[RIVAL].name,
            "difference_to_mean_colour": self.comparison.difference,
            "difference_interval": list(self.comparison.interval),
            "verdict": self.verdict,
            "warnings": list(self.warnings),
        }
        return _without_nan(content)

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    @property
    def _n_patients(self) -> int | None:
        return None if self.groups is None else len(np.unique(self.groups))

    @property
    def _units(self) -> str:
        return "patches" if self.groups is None else "patients"

    def _summary(self) -> str:
        known = "patients unknown" if self.groups is None else f"{self._n_patients} patients"
        tested = int((self.folds >= 0).sum())
        return (
            f"{tested:,} patches, {len(self.classes)} classes, {known}; {len(self.fit_times)} folds, "
            f"{sum(self.fit_times):.0f} s of training"
        )

    def _table(self) -> list[str]:
        columns = [["", "", *(row.name for row in self.rows)], *(self._columns())]
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*columns, strict=True)
        return [
            "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines
        ]

    def _columns(self) -> list[list[str]]:
        """Two lines of heading, then a line for each row."""
        rows = self.rows
        columns = [
            ["per patch:", "balanced accuracy"]
            + [_estimate(r.balanced_accuracy, r.balanced_accuracy_interval) for r in rows],
            ["", "AUC", *(_estimate(r.auc, r.auc_interval) for r in rows)],
            ["", "accuracy", *(_number(r.accuracy) for r in rows)],
        ]
        if self.groups is None:
            return columns
        columns.append(["per patient:", "accuracy", *(_number(r.patient_accuracy) for r in rows)])
        if rows[MODEL].n_within:
            columns.append(["", "AUC within", *(_number(r.within_patient_auc) for r in rows)])
        if not math.isnan(rows[MODEL].patient_balanced_accuracy):
            columns.append(["", "balanced accuracy", *(_number(r.patient_balanced_accuracy) for r in rows)])
            columns.append(["", "AUC", *(_number(r.patient_auc) for r in rows)])
        return columns

    def _footnotes(self) -> list[str]:
        drawn = self._units if self.groups is None else f"the {self._n_patients} patients"
        notes = [f"In brackets: 95 % intervals, from 1,000 random draws of {drawn}."]
        n_within = self.rows[MODEL].n_within
        if n_within:
            notes.append(
                f"AUC within: within one patient, where the stain tells nothing; mean of the {n_within} "
                f"{'patient' if n_within == 1 else 'patients'} with more than one class."
            )
        if self.groups is not None and not n_within:
            notes.append(
                "Every patient has one class; the last two columns score each patient's mean probability."
            )
        return notes


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _estimate(value: float, interval: Interval) -> str:
    low, high = interval
    if math.isnan(low) or low == high:
        return _number(value)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _without_nan(content: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    if isinstance(content, float):
        return None if math.isnan(content) else float(content)
    return content
