"""Which labels are probably wrong, from out-of-fold probabilities: confident learning [1]_.

The answers are those of cleanlab, whose rules for rounding and for ties are followed.

.. [1] C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset labels",
   Journal of Artificial Intelligence Research 70, 2021, 1373-1411.
"""

from __future__ import annotations

import numpy as np

from histoclf.networks._optional import require

FILTERS = ("prune_by_noise_rate", "prune_by_class", "both")
SCORES = ("normalized_margin", "self_confidence")
ENGINES = ("histoclf", "cleanlab")
_TOLERANCE = 1e-6  # of a probability against a threshold that is the mean of such


def self_confidence(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of the given label, shape (n_samples,)."""
    return probabilities[np.arange(len(codes)), codes]


def normalized_margin(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the lead of the given label over the best other one, mapped to 0-1, shape (n_samples,)."""
    own = self_confidence(codes, probabilities)
    others = probabilities.copy()
    others[np.arange(len(codes)), codes] = -np.inf
    return (own - others.max(axis=1) + 1) / 2


def confident_thresholds(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the mean probability of each class over the samples labelled so; above 1 for a class of none."""
    n_classes = probabilities.shape[1]
    sums = np.bincount(codes, self_confidence(codes, probabilities), minlength=n_classes)
    counts = np.bincount(codes, minlength=n_classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), 2.0)


def confident_joint(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Estimate how many samples of each given label have which true label.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Given labels as class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Out of fold.

    Returns
    -------
    joint : ndarray of shape (n_classes, n_classes), int
        Rows are given labels and sum to their counts; columns are true labels.
    """
    n_classes = probabilities.shape[1]
    confident = probabilities >= confident_thresholds(codes, probabilities) - _TOLERANCE
    # Of several classes a sample confidently belongs to, the most probable one counts.
    several = confident.sum(axis=1) > 1
    guess = np.where(several, probabilities.argmax(axis=1), confident.argmax(axis=1))
    counted = confident.any(axis=1)
    joint = np.zeros((n_classes, n_classes))
    np.add.at(joint, (codes[counted], guess[counted]), 1)
    np.fill_diagonal(joint, joint.diagonal().clip(min=1))
    totals = np.bincount(codes, minlength=n_classes)
    return _round_rows(joint / joint.sum(axis=1, keepdims=True) * totals[:, None])


def find_issues(
    codes: np.ndarray,
    probabilities: np.ndarray,
    *,
    filter_by: str = "prune_by_noise_rate",
    engine: str = "histoclf",
) -> np.ndarray:
    """Find the samples whose label is probably wrong.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Given labels as class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Out of fold.
    filter_by : {"prune_by_noise_rate", "prune_by_class", "both"}
        Of each pair of given and true label, those with the largest margin; of each given label, those with
        the least confidence; or what is in both.
    engine : {"histoclf", "cleanlab"}
        What computes.

    Returns
    -------
    wrong : ndarray of shape (n_samples,), bool
        True where the label is probably wrong.

    Raises
    ------
    MissingDependencyError
        If cleanlab is asked for and not installed.
    """
    if engine == "cleanlab":
        require("cleanlab", "engine='cleanlab'", "cleanlab")
        from cleanlab.filter import find_label_issues

        return find_label_issues(codes, probabilities, filter_by=filter_by, n_jobs=1)
    joint = confident_joint(codes, probabilities)
    by_rate = _prune_by_noise_rate(codes, probabilities, joint)
    by_class = _prune_by_class(codes, probabilities, joint)
    chosen = {"prune_by_noise_rate": by_rate, "prune_by_class": by_class, "both": by_rate & by_class}
    return chosen[filter_by] & (
        self_confidence(codes, probabilities) + _TOLERANCE < probabilities.max(axis=1)
    )


def _prune_by_noise_rate(codes: np.ndarray, probabilities: np.ndarray, joint: np.ndarray) -> np.ndarray:
    wrong = np.zeros(len(codes), dtype=bool)
    for given, true in zip(*np.nonzero(joint), strict=True):
        if given == true:
            continue
        rows = np.flatnonzero(codes == given)
        margin = probabilities[rows, true] - probabilities[rows, given]
        wrong[rows[np.argsort(-margin, kind="stable")[: joint[given, true]]]] = True
    return wrong


def _prune_by_class(codes: np.ndarray, probabilities: np.ndarray, joint: np.ndarray) -> np.ndarray:
    wrong = np.zeros(len(codes), dtype=bool)
    for given, right in enumerate(joint.diagonal()):
        rows = np.flatnonzero(codes == given)
        order = np.argsort(probabilities[rows, given], kind="stable")
        wrong[rows[order[: max(0, len(rows) - right)]]] = True
    return wrong


def _round_rows(counts: np.ndarray) -> np.ndarray:
    """Round to whole numbers so that the sum of each row, which is whole, stays as it is."""
    whole = np.rint(counts).astype(int)
    missing = np.rint(counts.sum(axis=1)).astype(int) - whole.sum(axis=1)
    for row, n_missing in enumerate(missing):
        order = np.argsort(counts[row] - whole[row])  # first what was rounded up most
        chosen = order[::-1][:n_missing] if n_missing > 0 else order[:-n_missing]
        whole[row, chosen] += np.sign(n_missing)
    return whole
