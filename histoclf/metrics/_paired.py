"""Whether one classifier is better than another on the same patients, by more than chance."""

from __future__ import annotations

import numpy as np

from histoclf._seeding import make_generator

_EXACT = 16  # patients: up to 65,536 ways to swap are all counted
_N_DRAWS = 20_000
_CHUNK = 2**21


def sign_flip_test(differences: np.ndarray, *, random_state: int | np.random.RandomState | None = 0) -> float:
    """Test whether differences that patients contribute are around zero.

    If two classifiers are equally good, their answers for a patient could be swapped: the sign of each
    patient's contribution is as good as tossed. The p-value is the share of all ways to toss whose sum is at
    least as far from zero as the one found [1]_ [2]_. Whole patients are swapped, since patches of one
    patient err together. With n patients it cannot be below 2 / 2**n: five patients never reach 0.05.

    Parameters
    ----------
    differences : ndarray of shape (n_patients,)
        What each patient contributes to the difference of the two scores.
    random_state : int, RandomState instance or None, default=0
        Seed; all ways are counted up to 16 patients, and 20,000 are drawn for more.

    Returns
    -------
    p_value : float
        Two-sided, in (0, 1].

    References
    ----------
    .. [1] R. A. Fisher, "The design of experiments", chapter 3, 1935.
    .. [2] M. H. Gail et al., "On design considerations and randomization-based inference for community
       intervention trials", Statistics in Medicine 15, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import sign_flip_test
    >>> sign_flip_test(np.array([0.1, 0.2, 0.1, 0.3, 0.2, 0.1]))
    0.03125
    """
    differences = differences[differences != 0]  # either sign is the same
    found, n = abs(differences.sum()), len(differences)
    limit = found * (1 - 1e-9)  # sums in another order round differently
    if n <= _EXACT:
        signs = 1 - 2 * ((np.arange(2**n)[:, np.newaxis] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ differences) >= limit))
    generator, hits, step = make_generator(random_state), 0, max(1, _CHUNK // n)
    for start in range(0, _N_DRAWS, step):
        size = (min(step, _N_DRAWS - start), n)
        signs = 1 - 2 * generator.integers(0, 2, size=size, dtype=np.int8)
        hits += int((np.abs(signs @ differences) >= limit).sum())
    return (1 + hits) / (1 + _N_DRAWS)


def holm(p_values: list[float]) -> list[float]:
    """Adjust p-values for how many there are.

    Parameters
    ----------
    p_values : list of float
        Of all comparisons that are made.

    Returns
    -------
    adjusted : list of float
        In the same order: the probability to find any of them by chance alone is at most the level that they
        are compared with.

    References
    ----------
    S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6,
    65-70, 1979.

    Examples
    --------
    >>> from histoclf.metrics import holm
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.array(p_values)[order] * factors))
    return adjusted.tolist()


def accuracy_contributions(
    y: np.ndarray, first: np.ndarray, second: np.ndarray, n_classes: int, groups: np.ndarray
) -> np.ndarray:
    """Split the difference of two balanced accuracies into what each patient contributes.

    Parameters
    ----------
    y, first, second : ndarray of shape (n_samples,), int
        True class numbers, and those that the two classifiers answer.
    n_classes : int
        Number of classes.
    groups : ndarray of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    contributions : ndarray of shape (n_patients,)
        In the order of ``np.unique(groups)``; they add up to the difference.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import accuracy_contributions
    >>> y, groups = np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "b"])
    >>> accuracy_contributions(y, y, np.zeros(4, dtype=int), 2, groups).tolist()
    [0.25, 0.25]
    """
    share = 1 / (n_classes * np.bincount(y, minlength=n_classes))
    better = (first == y).astype(float) - (second == y)
    return np.bincount(np.unique(groups, return_inverse=True)[1], weights=better * share[y])
