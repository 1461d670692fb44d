"""Tables and notes on a terminal of 100 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable

import numpy as np

from histoclf.evaluation._rows import Row
from histoclf.evaluation._spread import Interval

_WIDTH = 100
_DETAILS = {
    "accuracy": "accuracy",
    "average_precision": "avg. precision",
    "sensitivity": "sens.",
    "specificity": "spec.",
    "f1": "F1",
    "log_loss": "log-loss",
    "brier_score": "Brier",
    "calibration_error": "calib. error",
}


def headline_table(rows: tuple[Row, ...], patients_known: bool) -> list[str]:
    """Write balanced accuracy and AUC with their intervals, and the scores per patient."""
    columns = [
        ["", "", *(row.name for row in rows)],
        ["per patch:", "balanced accuracy"]
        + [estimate(row.balanced_accuracy, row.balanced_accuracy_interval) for row in rows],
        ["", "AUC", *(estimate(row.auc, row.auc_interval) for row in rows)],
    ]
    if patients_known:
        columns += _patient_columns(rows)
    return _lines(columns)


def details_table(rows: tuple[Row, ...]) -> list[str]:
    """Write the other scores per patch."""
    columns = [["", *(row.name for row in rows)]]
    columns += [
        [heading, *(number(getattr(row, score)) for row in rows)] for score, heading in _DETAILS.items()
    ]
    return _lines(columns)


def footnotes(rows: tuple[Row, ...], n_patients: int | None, classes: np.ndarray | None) -> list[str]:
    """Say what the columns are; `classes` only if the second table is there."""
    over = "the patches" if n_patients is None else f"the {n_patients} patients"
    notes = [f"In brackets: 95 % intervals, from how much {over} differ."]
    n_within = rows[0].n_within
    if n_within:
        notes.append(
            f"AUC within: within one patient, where the stain tells nothing; mean of the {n_within} "
            f"{'patient' if n_within == 1 else 'patients'} with more than one class."
        )
    if n_patients is not None and not n_within:
        notes.append(
            "Every patient has one class: balanced accuracy of the mean probability and of the vote of the "
            "patches, and AUC of the mean probability."
        )
    if classes is not None and len(classes) == 2:
        notes.append(f"Sensitivity, F1 and average precision are those of class '{classes[1]}'.")
    return notes


def wrap(texts: Iterable[str]) -> list[str]:
    """Break long texts into lines."""
    wrapper = textwrap.TextWrapper(_WIDTH, break_long_words=False, break_on_hyphens=False)
    lines = []
    for text in texts:
        wrapper.subsequent_indent = "  " if text.startswith("- ") else ""
        lines += wrapper.wrap(text)
    return lines


def format_p_value(value: float) -> str:
    """Write a p-value with as many digits as matter."""
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def number(value: float) -> str:
    """Write a score."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def estimate(value: float, interval: Interval, between: str = " ") -> str:
    """Write a score and its interval, if it has one, with something `between` them."""
    low, high = interval
    if math.isnan(low) or low == high:
        return number(value)
    return f"{value:.3f}{between}[{low:.3f}, {high:.3f}]"


def _patient_columns(rows: tuple[Row, ...]) -> list[list[str]]:
    if not math.isnan(rows[0].patient_balanced_accuracy):
        found = {
            "of mean": "patient_balanced_accuracy",
            "of vote": "vote_balanced_accuracy",
            "AUC": "patient_auc",
        }
    else:
        found = {"accuracy": "patient_accuracy", "AUC within": "within_patient_auc"}
    columns = [["", name, *(number(getattr(row, score)) for row in rows)] for name, score in found.items()]
    columns[0][0] = "per patient:"
    return columns


def _lines(columns: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return ["  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines]
