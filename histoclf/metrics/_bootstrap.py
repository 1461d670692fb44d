"""Intervals by drawing patients anew: patches of one patient are no independent observations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from histoclf._seeding import make_generator

_CHUNK = 2**21  # weights in memory at a time: 16 MiB


def bootstrap_patients(
    statistic: Callable[[np.ndarray], np.ndarray],
    groups: np.ndarray,
    *,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState | None = 0,
) -> np.ndarray:
    """Compute a statistic for many random samples of patients, drawn with replacement.

    Parameters
    ----------
    statistic : callable
        Takes weights of shape (n_sets, n_samples), how often each sample was drawn, and returns an array
        of shape (n_sets, ...).
    groups : ndarray of shape (n_samples,)
        Patient of each sample: all samples of a patient are drawn together.
    n_resamples : int, default=1000
        Number of draws.
    random_state : int, RandomState instance or None, default=0
        Seed of the draws. The same seed draws the same patients, so that two statistics can be compared.

    Returns
    -------
    values : ndarray of shape (n_resamples, ...)
        The statistic of each draw; NaN where it is not defined, as a class was not drawn.

    References
    ----------
    C. A. Field, A. H. Welsh. Bootstrapping clustered data. Journal of the Royal Statistical Society B 69(3),
    369-390, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import bootstrap_patients, weighted_accuracy
    >>> y, groups = np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "b"])
    >>> values = bootstrap_patients(
    ...     lambda weights: weighted_accuracy(y, np.zeros(4, dtype=int), weights), groups, n_resamples=200
    ... )
    >>> np.unique(values).tolist()  # none, one or both of the two draws are patient "a"
    [0.0, 0.5, 1.0]
    """
    patients, patient_of = np.unique(groups, return_inverse=True)
    generator = make_generator(random_state)
    draws = generator.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), size=n_resamples)
    return in_chunks(statistic, draws, patient_of)


def in_chunks(
    statistic: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, patient_of: np.ndarray
) -> np.ndarray:
    """Compute a statistic for sets of patients, given how often each is in each, in bounded memory."""
    step = max(1, _CHUNK // len(patient_of))
    chunks = [counts[start : start + step] for start in range(0, len(counts), step)]
    return np.concatenate([statistic(chunk[:, patient_of].astype(float)) for chunk in chunks])


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Take the interval that holds the middle of bootstrap values.

    Parameters
    ----------
    values : ndarray of shape (n_resamples,)
        From `bootstrap_patients`; NaN is left out.
    level : float, default=0.95
        Share of the values inside.

    Returns
    -------
    low, high : float
        Limits; NaN if less than half of the values are defined, since what is left is a selection.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import percentile_interval
    >>> low, high = percentile_interval(np.arange(101.0), level=0.9)
    >>> round(low, 6), round(high, 6)
    (5.0, 95.0)
    """
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
