"""Rates of right and wrong answers, under many sets of sample weights at once."""

from __future__ import annotations

import numpy as np

from histoclf.metrics._weighted import as_weights, ratio


def weighted_rates(
    y: np.ndarray, predicted: np.ndarray, n_classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Compute sensitivity, specificity and F1 score.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_samples,), int
        True and predicted class numbers.
    n_classes : int
        Number of classes. Of two, 1 is the positive one; of more, each is taken against the rest, and the
        three are means over the classes.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones.

    Returns
    -------
    rates : ndarray of shape (n_sets, 3)
        Sensitivity, specificity and F1 score, in 0-1; NaN where they divide by no weight.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_rates
    >>> weighted_rates(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2).round(3).tolist()
    [[1.0, 0.5, 0.8]]
    """
    weights = as_weights(weights, len(y))
    classes = [1] if n_classes == 2 else range(n_classes)
    return np.mean([_against_rest(y == c, predicted == c, weights) for c in classes], axis=0)


def _against_rest(positive: np.ndarray, called: np.ndarray, weights: np.ndarray) -> np.ndarray:
    n_positive, n_called = weights @ positive, weights @ called
    hits, rejections = weights @ (positive & called), weights @ (~positive & ~called)
    rates = [
        ratio(hits, n_positive),
        ratio(rejections, weights @ ~positive),
        ratio(2 * hits, n_positive + n_called),
    ]
    return np.stack(rates, axis=1)
