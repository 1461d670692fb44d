"""Whether probabilities mean what they say, under many sets of sample weights at once."""

from __future__ import annotations

import numpy as np

from histoclf.metrics._weighted import as_weights, ratio

_LEAST = float(np.finfo(np.float64).eps)  # a probability of 0 would cost infinitely much, if it is wrong


def weighted_log_loss(
    y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Compute the mean of minus the logarithm of the probability given to the true class.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        True class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones.

    Returns
    -------
    log_loss : ndarray of shape (n_sets,)
        0 and above, in natural units; NaN where all weights are zero.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_log_loss
    >>> weighted_log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    of_truth = np.take_along_axis(probabilities, y[:, np.newaxis], axis=1)[:, 0]
    return _mean(-np.log(np.clip(of_truth, _LEAST, 1)), weights)


def weighted_brier_score(
    y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Compute the mean squared error of the probabilities.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        True class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones.

    Returns
    -------
    brier_score : ndarray of shape (n_sets,)
        Of two classes the error of the second one, 0-1; of more the sum over the classes, 0-2, as in
        scikit-learn. NaN where all weights are zero.

    References
    ----------
    G. W. Brier. Verification of forecasts expressed in terms of probability. Monthly Weather Review 78(1),
    1-3, 1950.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_brier_score
    >>> weighted_brier_score(np.array([0, 1]), np.array([[0.5, 0.5], [0.0, 1.0]])).tolist()
    [0.125]
    """
    n_classes = probabilities.shape[1]
    errors = np.square(probabilities - np.eye(n_classes)[y]).sum(axis=1)
    return _mean(errors / 2 if n_classes == 2 else errors, weights)


def weighted_calibration_error(
    y: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, *, n_bins: int = 15
) -> np.ndarray:
    """Compute the expected calibration error of the most probable class.

    The samples are sorted by the probability of the class that is answered, and cut into bins that hold
    equally many. In each, this probability is compared with the share of right answers [1]_; bins of equal
    mass estimate it better than bins of equal width [2]_. It is biased upwards: with few samples, also
    perfect probabilities have an error above 0.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        True class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    weights : ndarray of shape (n_sets, n_samples), default=None
        Non-negative weights of the samples; None is one set of ones. The bins do not depend on them.
    n_bins : int, default=15
        Number of bins, at most that of the samples.

    Returns
    -------
    calibration_error : ndarray of shape (n_sets,)
        0-1: the mean distance of both, over the weights; NaN where all weights are zero.

    References
    ----------
    .. [1] C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    .. [2] R. Roelofs et al., "Mitigating bias in calibration error estimation", AISTATS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import weighted_calibration_error
    >>> p = np.full((10, 2), (0.25, 0.75))  # sure by 0.75, and right in 6 of 10
    >>> y = np.array([1] * 6 + [0] * 4)
    >>> weighted_calibration_error(y, p, n_bins=1).round(3).tolist()
    [0.15]
    """
    weights = as_weights(weights, len(y))
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    # Equal confidences share a bin: what their order happens to be must not make up an error.
    _, level, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    bins = np.minimum((middle * n_bins / len(y)).astype(int), n_bins - 1)[level]
    excess = (right - confidence)[:, np.newaxis] * (bins[:, np.newaxis] == np.arange(n_bins))
    return ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def _mean(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    weights = as_weights(weights, len(values))
    return ratio(weights @ values, weights.sum(axis=1))
