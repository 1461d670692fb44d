"""One classifier against others on the same patients."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from histoclf.evaluation._rows import AUC, BALANCED_ACCURACY
from histoclf.evaluation._spread import Interval, Spread
from histoclf.metrics._paired import accuracy_contributions, holm, sign_flip_test

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """By how much one classifier is better than another on the same patients.

    Parameters
    ----------
    first, second : str
        Names of the two.
    difference : float
        Balanced accuracy of the first minus that of the second.
    interval : tuple of (float, float)
        95 % interval of it, over patients.
    p_value : float
        Of the sign-flip test over patients, in which both are equally good.
    adjusted_p_value : float
        After Holm, for all comparisons that were made beside it.
    auc_difference : float
        The same for the area under the ROC curve.
    auc_interval : tuple of (float, float)
        95 % interval of that.

    Examples
    --------
    >>> from histoclf.evaluation import Comparison
    >>> Comparison("net", "colour", 0.03, (0.01, 0.05), 0.02, 0.04, 0.01, (-0.01, 0.03)).is_better
    True
    """

    first: str
    second: str
    difference: float
    interval: Interval
    p_value: float
    adjusted_p_value: float
    auc_difference: float
    auc_interval: Interval

    @property
    def is_better(self) -> bool:
        """Whether the first is better by more than chance: interval above 0, and p-value below 0.05."""
        return self.interval[0] > 0 and self.p_value < LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return names and numbers.

        Returns
        -------
        content : dict
            By the names of the fields.
        """
        return asdict(self)


def compare_rows(
    named: dict[str, np.ndarray],
    pairs: list[tuple[int, int]],
    spread: Spread,
    y: np.ndarray,
    groups: np.ndarray | None,
    random_state: int,
) -> tuple[Comparison, ...]:
    """Compare pairs of classifiers.

    Parameters
    ----------
    named : dict of str to ndarray of shape (n_samples, n_classes)
        Probabilities by name of the classifier.
    pairs : list of (int, int)
        Places in `named`.
    spread : Spread
        Of `spread_of_patches`, for the same classifiers.
    y : ndarray of shape (n_samples,), int
        Class numbers.
    groups : ndarray of shape (n_samples,) or None
        Patients; None counts patches instead.
    random_state : int
        Seed of the test.

    Returns
    -------
    comparisons : tuple of Comparison
        In the order of `pairs`.
    """
    names, units = list(named), np.arange(len(y)) if groups is None else groups
    predicted = [p.argmax(axis=1) for p in named.values()]
    n_classes = next(iter(named.values())).shape[1]
    p_values = [
        sign_flip_test(
            accuracy_contributions(y, predicted[first], predicted[second], n_classes, units),
            random_state=random_state,
        )
        for first, second in pairs
    ]
    found = []
    for (first, second), p_value, adjusted in zip(pairs, p_values, holm(p_values), strict=True):
        balanced, auc = (
            spread.difference((first, score), (second, score)) for score in (BALANCED_ACCURACY, AUC)
        )
        found.append(Comparison(names[first], names[second], *balanced, p_value, adjusted, *auc))
    return tuple(found)
