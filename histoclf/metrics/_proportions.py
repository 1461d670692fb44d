"""Intervals of shares: how well the rate behind a count of right answers is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri


def wilson_interval(n_right: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Compute the score interval of a share.

    It takes the samples for independent, which patches of one patient are not: among patients use
    `bootstrap_patients`, and within one patient read it as the least that is uncertain. It stays within 0-1,
    and is of use even where all answers are right.

    Parameters
    ----------
    n_right, n : array-like of int
        Numbers of right answers, and of all.
    level : float, default=0.95
        Share of such intervals that hold the rate.

    Returns
    -------
    low, high : ndarray of float
        Limits, 0-1; NaN where `n` is 0.

    References
    ----------
    E. B. Wilson. Probable inference, the law of succession, and statistical inference. Journal of the
    American Statistical Association 22(158), 209-212, 1927.

    Examples
    --------
    >>> from histoclf.metrics import wilson_interval
    >>> low, high = wilson_interval(10, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.722, 1.0)
    """
    n = np.asarray(n, dtype=np.float64)
    z2 = ndtri((1 + level) / 2) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        share = n_right / n
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def mean_share(
    n_right: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average shares, such as the recalls of some classes, and compute the interval of their mean.

    The intervals of the single shares are joined as [1]_ shows. Of a single share it is `wilson_interval`,
    whose assumption it makes.

    Parameters
    ----------
    n_right, n : array-like of int of shape (..., n_shares)
        Numbers of right answers, and of all, of each share; those with `n` = 0 do not count.
    level : float, default=0.95
        Share of such intervals that hold the mean of the rates.

    Returns
    -------
    mean, low, high : ndarray of float of shape (...)
        Mean and limits, 0-1; NaN where every `n` is 0.

    References
    ----------
    .. [1] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: A general
       approach", Statistics in Medicine 27 (2008), 1693-1702.

    Examples
    --------
    >>> from histoclf.metrics import mean_share
    >>> mean, low, high = mean_share([8, 2], [10, 4])  # recalls of two classes
    >>> round(float(mean), 3), round(float(low), 3), round(float(high), 3)
    (0.65, 0.416, 0.839)
    """
    n_right, n = np.broadcast_arrays(np.asarray(n_right, dtype=np.float64), np.asarray(n, dtype=np.float64))
    low, high = wilson_interval(n_right, n, level)
    counts = (n > 0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = n_right / n
        mean = np.nansum(shares, axis=-1) / counts
        below = np.sqrt(np.nansum((shares - low) ** 2, axis=-1)) / counts
        above = np.sqrt(np.nansum((high - shares) ** 2, axis=-1)) / counts
    return mean, np.maximum(mean - below, 0), np.minimum(mean + above, 1)
