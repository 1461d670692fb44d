"""What displays are made from, checked: labels, probabilities, patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from histoclf.classifiers._folds import check_groups
from histoclf.classifiers._labels import check_labels, encode_labels
from histoclf.classifiers._metadata import takes
from histoclf.io._names import read_names
from histoclf.io._paths import as_paths


@dataclass(frozen=True)
class Answers:
    """What was answered, and what is true.

    Attributes
    ----------
    probabilities : ndarray of shape (n_samples, n_classes), float64
        Rows sum to 1.
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the columns.
    codes : ndarray of shape (n_samples,), int, or None
        True class numbers, if they are known.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    codes: np.ndarray | None

    @property
    def truth(self) -> np.ndarray:
        """True class numbers, where they must be known."""
        assert self.codes is not None, "asked for with y_true"
        return self.codes

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the most probable classes."""
        return self.probabilities.argmax(axis=1)


def check_answers(y_true: Any, probabilities: Any, classes: Any = None) -> Answers:
    """Check probabilities, and the labels beside them.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or None
        True labels.
    probabilities : array-like of shape (n_samples, n_classes) or (n_samples,)
        Of each class; of two classes those of the second are enough.
    classes : array-like of shape (n_classes,), default=None
        Labels, in the order of the columns; None are the sorted labels of `y_true`.

    Raises
    ------
    ValueError
        If shapes do not fit, or probabilities are missing or out of 0-1.
    LabelError
        If labels are missing, or not among `classes`.
    """
    table = _check_probabilities(probabilities)
    y = None if y_true is None else check_labels(y_true)
    if classes is None:
        classes = np.arange(table.shape[1]) if y is None else np.unique(y)
    known = np.asarray(classes)
    if len(known) != table.shape[1]:
        raise ValueError(
            f"probabilities has {table.shape[1]} columns, but there are {len(known)} classes "
            f"({known.tolist()[:20]}). Expected a column for each class; if y_true lacks some, give all as "
            "classes=, in the order of the columns."
        )
    if y is None:
        return Answers(table, known, None)
    check_consistent_length(y, table)
    order = np.argsort(known)
    return Answers(table, known, order[encode_labels(y, known[order])])


def ask(estimator: Any, X: Any, y: Any = None, groups: Any = None, coords: Any = None) -> Answers:
    """Let a fitted classifier answer; it is given `groups` and `coords` if it takes them.

    Raises
    ------
    TypeError
        If it gives no probabilities.
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba. Expected a fitted classifier that gives "
            "probabilities; CalibratedClassifierCV(estimator) adds them."
        )
    where = {"groups": groups, "coords": coords}
    given = {
        name: value
        for name, value in where.items()
        if value is not None and takes(estimator, "predict_proba", name)
    }
    return check_answers(y, estimator.predict_proba(X, **given), estimator.classes_)


def find_target(target: Any, classes: np.ndarray) -> int:
    """Find the number of a class that is asked for.

    Raises
    ------
    ValueError
        If there is no such class.
    """
    found = np.flatnonzero([name == target for name in classes.tolist()])
    if not found.size:
        raise ValueError(f"target={target!r} is no class. Expected one of {classes.tolist()}.")
    return int(found[0])


def find_groups(X: Any, groups: Any) -> np.ndarray | None:
    """Take patients as given, or else from the names of files; None if they are unknown."""
    if groups is not None:
        return np.asarray(groups)
    paths = as_paths(X)
    names = read_names(paths) if paths is not None else None
    return None if names is None else names.groups


def require_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Check patients that must be known.

    Raises
    ------
    ValueError
        If they are not known, or not one for each sample.
    """
    if groups is None:
        raise ValueError(
            "Patients are unknown. Expected groups=patients, one for each row; or X as paths whose names "
            "tell them, such as 8863_idx5_x51_y1251_class1.png."
        )
    return check_groups(groups, n_samples)


def _check_probabilities(probabilities: Any) -> np.ndarray:
    table = check_array(
        probabilities, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name="probabilities"
    )
    if np.isnan(table).any():
        rows = np.flatnonzero(np.isnan(table.reshape(len(table), -1)).any(axis=1))
        raise ValueError(
            f"probabilities are NaN in {len(rows)} rows ({rows[:10].tolist()}"
            f"{'...' if len(rows) > 10 else ''}): no fold tested them, perhaps. Expected a number for each; "
            "leave these rows out of every argument."
        )
    if table.ndim == 1 or table.shape[1] == 1:
        table = np.column_stack([1 - table.ravel(), table.ravel()])
    low, high = table.min(), table.max()
    if low < -1e-6 or high > 1 + 1e-6 or not np.allclose(table.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            f"probabilities lie in {low:.4g} to {high:.4g}. Expected 0 to 1, each row adding up to 1, as "
            "predict_proba gives them; scores of a decision_function are no probabilities."
        )
    return table
