"""Scores under many sets of sample weights at once.

A bootstrap sample is a set of weights: how often each row was drawn. Scoring a thousand of them in a few
matrix products, rather than a thousand times, makes intervals as good as free.
"""

from __future__ import annotations

import numpy as np


def weighted_accuracy(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Compute the share of right answers.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_samples,), int
        True and predicted class numbers.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones.

    Returns
    -------
    accuracy : ndarray of shape (n_sets,)
        0-1; NaN where all weights are zero.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_accuracy
    >>> weighted_accuracy(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])).tolist()
    [0.75]
    """
    weights = as_weights(weights, len(y))
    return ratio(weights @ (y == predicted), weights.sum(axis=1))


def weighted_balanced_accuracy(
    y: np.ndarray, predicted: np.ndarray, n_classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Compute the mean of the classes' recalls.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_samples,), int
        True and predicted class numbers.
    n_classes : int
        Number of classes.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones.

    Returns
    -------
    balanced_accuracy : ndarray of shape (n_sets,)
        0-1; NaN where a class has no weight.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_balanced_accuracy
    >>> weighted_balanced_accuracy(np.array([0, 1, 1, 1, 1]), np.array([0, 1, 1, 0, 0]), 2).tolist()
    [0.75]
    """
    weights = as_weights(weights, len(y))
    hit = y == predicted
    recalls = [
        ratio(weights[:, y == c] @ hit[y == c], weights[:, y == c].sum(axis=1)) for c in range(n_classes)
    ]
    return np.mean(recalls, axis=0)


def weighted_auc(y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Compute the area under the ROC curve; of several classes, the mean of each against the rest.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        True class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Anything that rises with the probability of each class.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones.

    Returns
    -------
    auc : ndarray of shape (n_sets,)
        0-1, ties counting half; NaN where a class has no weight.

    References
    ----------
    D. J. Hand, R. J. Till. A simple generalisation of the area under the ROC curve for multiple class
    classification problems. Machine Learning 45, 171-186, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_auc
    >>> p = np.array([0.1, 0.4, 0.35, 0.8])
    >>> weighted_auc(np.array([0, 0, 1, 1]), np.stack([1 - p, p], axis=1)).tolist()
    [0.75]
    """
    return one_against_rest(y, probabilities, as_weights(weights, len(y))).mean(axis=1)


def weighted_average_precision(
    y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Compute the average precision; of several classes, the mean of each against the rest.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        True class numbers. Of two classes, 1 is the positive one.
    probabilities : ndarray of shape (n_samples, n_classes)
        Anything that rises with the probability of each class.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones.

    Returns
    -------
    average_precision : ndarray of shape (n_sets,)
        0-1, without interpolation as in scikit-learn; NaN where a class has no weight.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_average_precision
    >>> p = np.array([0.1, 0.4, 0.35, 0.8])
    >>> weighted_average_precision(np.array([0, 0, 1, 1]), np.stack([1 - p, p], axis=1)).round(3).tolist()
    [0.833]
    """
    weights = as_weights(weights, len(y))
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    return np.mean([_average_precision(y == c, probabilities[:, c], weights) for c in classes], axis=0)


def one_against_rest(y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the area of each class against the rest, (n_sets, n_classes); of two classes (n_sets, 1)."""
    n_classes = probabilities.shape[1]
    classes = [1] if n_classes == 2 else range(n_classes)
    return np.stack([_binary_auc(y == c, probabilities[:, c], weights) for c in classes], axis=1)


def _binary_auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of (positive, negative) pairs in the right order, after Mann and Whitney; a tie is half right."""
    rows, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    others = others[np.argsort(scores[others])]
    below = np.zeros((len(weights), len(others) + 1))
    np.cumsum(weights[:, others], axis=1, out=below[:, 1:])
    first, last = (np.searchsorted(scores[others], scores[rows], side) for side in ("left", "right"))
    pairs = (weights[:, rows] * (below[:, first] + below[:, last])).sum(axis=1) / 2
    return ratio(pairs, weights[:, rows].sum(axis=1) * below[:, -1])


def _average_precision(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # ties share a threshold
    above = np.cumsum(weights[:, order], axis=1)[:, ends]
    found = np.cumsum(weights[:, order] * positive[order], axis=1)[:, ends]
    precision = np.divide(found, above, out=np.zeros_like(found), where=above > 0)
    return ratio((np.diff(found, axis=1, prepend=0) * precision).sum(axis=1), found[:, -1])


def as_weights(weights: np.ndarray | None, n_samples: int) -> np.ndarray:
    """Take no weights for one set of ones."""
    return np.ones((1, n_samples)) if weights is None else weights


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, with NaN instead of a warning where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
