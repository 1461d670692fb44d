"""How far scores may be from those of all patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf.metrics._bootstrap import bootstrap_patients, percentile_interval
from histoclf.metrics._jackknife import jackknife_interval, leave_out_patients

Interval = tuple[float, float]

_MANY = 100  # patients: from here on the percentiles of the bootstrap hold what they claim, and cost less
N_DRAWS = 1000


@dataclass(frozen=True)
class Spread:
    """A statistic, and what becomes of it with other patients.

    Attributes
    ----------
    estimate : ndarray of shape (...)
        With all patients.
    values : ndarray of shape (n_values, ...)
        Without each patient in turn, or of random draws of patients.
    drawn : bool
        Which of the two.
    n_samples : int
        How many samples the statistic is of.
    """

    estimate: np.ndarray
    values: np.ndarray
    drawn: bool
    n_samples: int

    def interval(self, *place: int, scale: str = "linear") -> Interval:
        """Return the 95 % interval of one number; `scale` is that of `jackknife_interval`."""
        return self._interval(float(self.estimate[place]), self._of(place), scale)

    def difference(self, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[float, Interval]:
        """Return how much larger one number is than another, and the 95 % interval of that."""
        estimate = float(self.estimate[first] - self.estimate[second])
        return estimate, self._interval(estimate, self._of(first) - self._of(second), "linear")

    def _of(self, place: tuple[int, ...]) -> np.ndarray:
        index: Any = (slice(None), *place)
        return self.values[index]

    def _interval(self, estimate: float, values: np.ndarray, scale: str) -> Interval:
        if self.drawn:
            return percentile_interval(values)
        return jackknife_interval(estimate, values, scale=scale, n_samples=self.n_samples)


def find_spread(
    statistic: Callable[[np.ndarray], np.ndarray], units: np.ndarray, random_state: Any = 0
) -> Spread:
    """Leave out each patient in turn, or draw patients, if there are many.

    Parameters
    ----------
    statistic : callable
        Takes weights of shape (n_sets, n_samples), and returns an array of shape (n_sets, ...).
    units : ndarray of shape (n_samples,)
        Patient of each sample.
    random_state : int
        Seed of the draws.

    Returns
    -------
    spread : Spread
    """
    estimate = statistic(np.ones((1, len(units))))[0]
    drawn = draws_patients(units)
    if drawn:
        values = bootstrap_patients(statistic, units, n_resamples=N_DRAWS, random_state=random_state)
    else:
        values = leave_out_patients(statistic, units)
    return Spread(estimate, values, drawn, len(units))


def draws_patients(units: np.ndarray) -> bool:
    """Whether there are so many patients that they are drawn."""
    return len(np.unique(units)) > _MANY


def limits(interval: Interval) -> str:
    """Write the interval of a difference in points."""
    low, high = interval
    return f"95 % interval {100 * low:+.1f} to {100 * high:+.1f}"
