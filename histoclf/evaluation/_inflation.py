"""What a split that ignores patients would have claimed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from histoclf.evaluation._rows import AUC, BALANCED_ACCURACY
from histoclf.evaluation._spread import Interval, Spread, limits


@dataclass(frozen=True)
class Inflation:
    """What a split that ignores patients would have claimed.

    Parameters
    ----------
    balanced_accuracy, auc : float
        Scores of the random split.
    difference : float
        Its balanced accuracy minus that of folds by patient.
    interval : tuple of (float, float)
        95 % interval of the difference, over patients.
    auc_difference : float
        The same for the area under the ROC curve.
    auc_interval : tuple of (float, float)
        95 % interval of that.
    of_these_folds : bool
        Whether the evaluation itself is of the split that ignores patients.

    Examples
    --------
    >>> from histoclf.evaluation import Inflation
    >>> Inflation(0.9, 0.95, 0.1, (0.05, 0.15), 0.08, (0.04, 0.12)).describe()
    'a random split of patches would have claimed 0.900 balanced accuracy, 10.0 points more (95 % interval
    +5.0 to +15.0): that is the estimated inflation where patients are on both sides.'
    """

    balanced_accuracy: float
    auc: float
    difference: float
    interval: Interval
    auc_difference: float
    auc_interval: Interval
    of_these_folds: bool = False

    @property
    def by_patient(self) -> float:
        """Balanced accuracy of folds by patient."""
        return self.balanced_accuracy - self.difference

    @property
    def auc_by_patient(self) -> float:
        """Area under the ROC curve of folds by patient."""
        return self.auc - self.auc_difference

    def describe(self) -> str:
        """Say it in words.

        Returns
        -------
        text : str
            A sentence.
        """
        text = self._compare()
        if self.interval[0] > 0:
            return f"{text}: that is the estimated inflation where patients are on both sides."
        if self.difference > 0:
            return f"{text}: that is the estimated inflation, which may be chance."
        return f"{text}: no inflation is seen."

    def _compare(self) -> str:
        points, known = f"{100 * abs(self.difference):.1f} points", limits(self.interval)
        word = "more" if self.difference >= 0 else "less"
        if self.of_these_folds:
            return (
                f"folds by patient have {self.by_patient:.3f} balanced accuracy, and these folds, with "
                f"patients on both sides, {points} {word} ({known})"
            )
        return (
            f"a random split of patches would have claimed {self.balanced_accuracy:.3f} balanced accuracy, "
            f"{points} {word} ({known})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers.

        Returns
        -------
        content : dict
            By the names of the fields.
        """
        return asdict(self)


def find_inflation(spread: Spread, split: int, by_patient: int, *, of_these_folds: bool) -> Inflation:
    """Compare two classifiers of a spread: that of the random split, and that of the folds by patient."""
    of_split = spread.estimate[split]
    return Inflation(
        float(of_split[BALANCED_ACCURACY]),
        float(of_split[AUC]),
        *spread.difference((split, BALANCED_ACCURACY), (by_patient, BALANCED_ACCURACY)),
        *spread.difference((split, AUC), (by_patient, AUC)),
        of_these_folds,
    )
