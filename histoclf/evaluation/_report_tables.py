"""The numbers of an evaluation as tables of a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from histoclf.evaluation._curve import CurvePoint
from histoclf.evaluation._identity import IdentityProbe
from histoclf.evaluation._inflation import Inflation
from histoclf.evaluation._paired import Comparison
from histoclf.evaluation._plan import SHARE_NAMES
from histoclf.evaluation._rows import Row
from histoclf.evaluation._spread import Interval
from histoclf.evaluation._tables import estimate, format_p_value, number
from histoclf.report._page import Table

if TYPE_CHECKING:
    from histoclf.evaluation._result import Evaluation

_OVERALL = {
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "accuracy": "accuracy",
    "average_precision": "average precision",
}
_ONE_CLASS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
}
_PROBABILITIES = {
    "log_loss": "log-loss",
    "brier_score": "Brier score",
    "calibration_error": "calibration error",
}
_PATIENTS = {
    "patient_accuracy": "accuracy",
    "within_patient_auc": "AUC within",
    "patient_balanced_accuracy": "balanced accuracy of mean",
    "patient_auc": "AUC of mean",
    "vote_balanced_accuracy": "balanced accuracy of vote",
}
_NBSP = "\N{NO-BREAK SPACE}"
_MOST_NAMES = 20  # patients that are named in a cell


def score_tables(rows: Sequence[Row]) -> list[Table]:
    """List all scores with their intervals, in tables that fit on paper."""
    tables = [
        _scores(rows, _OVERALL, "Per patch (1 is best)"),
        _scores(rows, _ONE_CLASS, "Per patch, by class (1 is best)"),
        _scores(rows, _PROBABILITIES, "Probabilities, per patch (0 is best)"),
        _scores(rows, _PATIENTS, "Per patient (1 is best)"),
    ]
    return [table for table in tables if len(table.header) > 1]


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """List by how much the classifier is better than each of the others."""
    return Table(
        ("compared with", "balanced accuracy, points", "p", "p after Holm", "AUC, points"),
        [
            (
                found.second,
                _points(found.difference, found.interval),
                format_p_value(found.p_value),
                format_p_value(found.adjusted_p_value),
                _points(found.auc_difference, found.auc_interval),
            )
            for found in comparisons
        ],
        f"{comparisons[0].first} minus each of the others",
    )


def inflation_table(inflation: Inflation) -> Table:
    """Set a split with patients on both sides beside folds by patient."""
    found = [
        (inflation.balanced_accuracy, inflation.by_patient, inflation.difference, inflation.interval),
        (inflation.auc, inflation.auc_by_patient, inflation.auc_difference, inflation.auc_interval),
    ]
    claimed = "these folds" if inflation.of_these_folds else "random split of patches"
    return Table(
        ("", claimed, "folds by patient", "inflation, points"),
        [
            (name, number(with_them), number(score), _points(difference, interval))
            for name, (with_them, score, difference, interval) in zip(
                ("balanced accuracy", "AUC"), found, strict=True
            )
        ],
        "With patients on both sides, and without",
    )


def identity_table(probes: Sequence[IdentityProbe]) -> Table:
    """List how well colour tells where a patch is from."""
    return Table(
        ("known", "asked for", "balanced accuracy", "chance", "to choose from"),
        [
            (p.shortcut, p.target, number(p.balanced_accuracy), number(p.chance), str(p.n_targets))
            for p in probes
        ],
        "How well colour tells where a patch is from",
    )


def curve_table(points: Sequence[CurvePoint]) -> Table:
    """List the scores after learning from parts of the training data."""
    return Table(
        (
            "learned from",
            "patients",
            "patches",
            "balanced accuracy",
            "on what it learned from",
            "gain of all",
        ),
        [
            (
                f"{SHARE_NAMES[point.share]} of the {point.kind}",
                "-" if math.isnan(point.n_patients) else f"{point.n_patients:.3g}",
                f"{point.n_patches:,.0f}",
                number(point.balanced_accuracy),
                number(point.training),
                _points(point.gain, point.interval),
            )
            for point in points
        ],
        "Scores with parts of the training data; gain of all, in points of balanced accuracy",
    )


def fold_table(evaluation: Evaluation) -> Table:
    """Say whom each fold tested."""
    rows = []
    for fold, seconds in enumerate(evaluation.fit_times):
        tested = evaluation.folds == fold
        whom = "unknown" if evaluation.groups is None else _list(np.unique(evaluation.groups[tested]))
        rows.append((str(fold + 1), f"{tested.sum():,}", whom, f"{seconds:.1f}"))
    return Table(("fold", "patches tested", "patients tested", "seconds of training"), rows, "Folds")


def settings_table(evaluation: Evaluation) -> Table:
    """Say what is needed to repeat it."""
    rows = [
        (name.replace("n_", "number of ").replace("_", " "), str(value))
        for name, value in evaluation.settings.items()
    ]
    return Table(("setting", "value"), rows, "Settings and versions")


def _scores(rows: Sequence[Row], names: Mapping[str, str], caption: str) -> Table:
    known = [name for name in names if not all(math.isnan(getattr(row, name)) for row in rows)]
    unknown = (math.nan, math.nan)
    cells = [
        [row.name, *(_estimate(getattr(row, name), row.intervals.get(name, unknown)) for name in known)]
        for row in rows
    ]
    return Table(["", *(names[name] for name in known)], cells, caption)


def _estimate(value: float, interval: Interval) -> str:
    """Write the interval into a line of its own, which is not to be broken."""
    return estimate(value, interval, "\n").replace(" ", _NBSP)


def _points(difference: float, interval: Interval) -> str:
    if math.isnan(difference):
        return "-"
    said = f"{100 * difference:+.1f}"
    if math.isnan(interval[0]):
        return said
    return f"{said} [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]".replace(" ", _NBSP)


def _list(names: np.ndarray) -> str:
    left_out = len(names) - _MOST_NAMES
    return ", ".join(map(str, names[:_MOST_NAMES])) + (f" and {left_out:,} more" if left_out > 0 else "")
