"""Labels and weights on their way into a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite

from histoclf.exceptions import LabelError


def check_labels(y: Any) -> np.ndarray:
    """Return y as a 1-D array of labels.

    Raises
    ------
    ValueError
        If labels are missing, not discrete, or not one per sample.
    """
    if y is None:
        # The wording is what scikit-learn's own checks look for.
        raise ValueError("This classifier requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "fc":
        assert_all_finite(y, input_name="y")
    missing = [row for row, label in enumerate(y) if _is_missing(label)] if y.dtype == object else []
    if missing:
        raise LabelError(
            f"Input y contains NaN or None: {len(missing)} labels are missing (rows {missing[:10]}"
            f"{'...' if len(missing) > 10 else ''}). Expected a label for every image; drop those rows, or "
            "clean y with LabelCleaner(on_unknown='drop')."
        )
    check_classification_targets(y)
    return y


def _is_missing(label: Any) -> bool:
    return label is None or (not isinstance(label, str) and str(label) in {"nan", "NaN", "<NA>", "NaT"})


def encode_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Turn labels into class numbers.

    Raises
    ------
    LabelError
        If a label is not among `classes`.
    """
    known = np.isin(y, classes)
    if not known.all():
        unknown = np.unique(np.asarray(y)[~known].astype(str))
        raise LabelError(
            f"y has labels that fit did not see: {unknown[:10].tolist()}. Expected only "
            f"{classes.tolist()[:20]}; check the spelling (LabelCleaner unifies spellings) or fit on data "
            "that holds every class."
        )
    return np.searchsorted(classes, y)


def combine_weights(
    class_weight: Any, y: np.ndarray, classes: np.ndarray, sample_weight: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Multiply class and sample weights; learn the balance of the classes from `rows` alone.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        By label; a label that is not in it weighs 1.
    y : ndarray of shape (n_samples,)
        Labels.
    classes : ndarray of shape (n_classes,)
        All labels that there are.
    sample_weight : ndarray of shape (n_samples,)
        The caller's weights; not changed.
    rows : ndarray of int
        The training part.

    Returns
    -------
    weights : ndarray of shape (n_samples,), float64
        In the unit of `sample_weight`.

    Raises
    ------
    LabelError
        If `class_weight` has a label that y has not.
    ValueError
        If no weight is left.
    """
    _refuse_unknown_classes(class_weight, classes)
    by_label = class_weight or {}
    if isinstance(class_weight, str):
        present = np.unique(y[rows])
        balance = compute_class_weight(
            class_weight, classes=present, y=y[rows], sample_weight=sample_weight[rows]
        )
        by_label = dict(zip(present.tolist(), balance.tolist(), strict=True))
    # Looked up here: scikit-learn's compute_sample_weight takes the label "0" for the number 0 in a dict.
    by_class = np.array([by_label.get(label, 1.0) for label in y.tolist()])
    weights = by_class * sample_weight
    if not weights[rows].sum() > 0:
        raise ValueError("sample_weight and class_weight leave no training sample with a positive weight.")
    return weights


def _refuse_unknown_classes(class_weight: Any, classes: np.ndarray) -> None:
    """Refuse a weight for a label that does not occur: misspelt, it would be without effect."""
    if not isinstance(class_weight, dict):
        return
    unknown = [label for label in class_weight if label not in classes.tolist()]
    if unknown:
        raise LabelError(
            f"class_weight has weights for {unknown}, which are no labels of y. Expected only "
            f"{classes.tolist()}; check the spelling, and whether the labels are numbers or strings."
        )
