"""Intervals from leaving out one patient at a time, which hold with few patients too."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit, stdtrit

from histoclf.metrics._bootstrap import in_chunks


def leave_out_patients(statistic: Callable[[np.ndarray], np.ndarray], groups: np.ndarray) -> np.ndarray:
    """Compute a statistic without each patient in turn.

    Parameters
    ----------
    statistic : callable
        Takes weights of shape (n_sets, n_samples), here 0 and 1, and returns an array of shape
        (n_sets, ...).
    groups : ndarray of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    values : ndarray of shape (n_patients, ...)
        In the order of ``np.unique(groups)``; NaN where it is not defined, as a class is gone.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import leave_out_patients, weighted_accuracy
    >>> y, groups = np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "b"])
    >>> leave_out_patients(lambda w: weighted_accuracy(y, np.array([0, 0, 0, 1]), w), groups).tolist()
    [0.5, 1.0]
    """
    patients, patient_of = np.unique(groups, return_inverse=True)
    return in_chunks(statistic, ~np.eye(len(patients), dtype=bool), patient_of)


def jackknife_interval(
    estimate: float,
    left_out: np.ndarray,
    *,
    scale: str = "linear",
    n_samples: int | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Take the interval of Student's t around an estimate, with the spread that leaving out patients gives.

    With few patients, the percentiles of a bootstrap are too narrow: they know nothing of how little a sample
    of few patients says about the others. Student's t does [1]_, with as many degrees of freedom as there are
    patients less one [2]_; and on the scale of log-odds an interval keeps within 0-1.

    Parameters
    ----------
    estimate : float
        The statistic with all patients.
    left_out : ndarray of shape (n_patients,)
        From `leave_out_patients`.
    scale : {"linear", "logit", "log"}, default="linear"
        On which scale the interval is symmetric: "logit" for what is in 0-1, "log" for what is above 0.
    n_samples : int, default=None
        Number of samples, which says how near to 0 and 1 a share of them can be; None is 1,000.
    level : float, default=0.95
        Probability with which such an interval holds the value for all patients.

    Returns
    -------
    low, high : float
        Limits. NaN if there are fewer than two patients, or the statistic is not defined without one. If it
        is 0 or 1 whoever is left out, the other limit is that for as many patients without a single
        exception [3]_.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", chapter 11, 1993.
    .. [2] A. C. Cameron and D. L. Miller, "A practitioner's guide to cluster-robust inference", Journal of
       Human Resources 50(2), 2015.
    .. [3] J. A. Hanley and A. Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249(13),
       1983.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import jackknife_interval
    >>> low, high = jackknife_interval(0.8, np.array([0.78, 0.79, 0.83, 0.8]), scale="logit")
    >>> round(low, 2), round(high, 2)
    (0.67, 0.89)
    """
    n_patients = len(left_out)
    if n_patients < 2 or not np.isfinite([estimate, *left_out]).all():
        return math.nan, math.nan
    if scale == "logit" and estimate in (0.0, 1.0) and np.ptp(left_out) == 0:
        edge = ((1 - level) / 2) ** (1 / n_patients)
        return (edge, 1.0) if estimate else (0.0, 1 - edge)
    there, back = _SCALES[scale]
    least = 0.5 / (n_samples or 1000)
    centre, values = there(np.array([estimate]), least), there(left_out, least)
    variance = (n_patients - 1) / n_patients * np.square(values - values.mean()).sum()
    reach = stdtrit(n_patients - 1, (1 + level) / 2) * math.sqrt(variance)
    return float(back(centre - reach)[0]), float(back(centre + reach)[0])


def _to_log_odds(values: np.ndarray, least: float) -> np.ndarray:
    return logit(np.clip(values, least, 1 - least))


def _to_logarithm(values: np.ndarray, least: float) -> np.ndarray:
    return np.log(np.clip(values, least, None))


def _to_itself(values: np.ndarray, least: float) -> np.ndarray:
    return values


_SCALES = {
    "linear": (_to_itself, lambda values: values),
    "logit": (_to_log_odds, expit),
    "log": (_to_logarithm, np.exp),
}
