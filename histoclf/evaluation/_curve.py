"""What would help: more patients, more patches of them, or a bigger model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from histoclf.evaluation._fit import Fit, FitResult
from histoclf.evaluation._plan import SHARE_NAMES
from histoclf.evaluation._rows import AUC, BALANCED_ACCURACY
from histoclf.evaluation._spread import Interval, Spread, limits


@dataclass(frozen=True)
class CurvePoint:
    """Scores of the classifier after learning from a part of the training data.

    Parameters
    ----------
    kind : {"patients", "patches"}
        Whether patients were left out, or patches of all of them.
    share : float
        Share that was kept, in (0, 1].
    n_patients, n_patches : float
        How many it learned from; means over the folds.
    balanced_accuracy, auc : float
        On the patients of the test parts, who are all there.
    training : float
        Balanced accuracy on what it learned from; mean over the folds.
    gain : float
        Balanced accuracy of all training data minus this one.
    interval : tuple of (float, float)
        95 % interval of the gain, over patients.

    Examples
    --------
    >>> from histoclf.evaluation import CurvePoint
    >>> CurvePoint("patients", 0.5, 6, 300, 0.78, 0.85, 0.9, 0.03, (0.01, 0.05)).share
    0.5
    """

    kind: str
    share: float
    n_patients: float
    n_patches: float
    balanced_accuracy: float
    auc: float
    training: float
    gain: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers.

        Returns
        -------
        content : dict
            By the names of the fields.
        """
        return asdict(self)


@dataclass(frozen=True)
class LearningCurve:
    """How the score depends on what there was to learn from.

    Parameters
    ----------
    points : tuple of CurvePoint
        From few to many, first with patients left out, then with patches of all patients left out.
    advice : tuple of str
        What would help, as far as the differences exceed their spread.

    Examples
    --------
    >>> from histoclf.evaluation import LearningCurve
    >>> LearningCurve(points=(), advice=("the curve is flat.",)).to_dict()
    {'points': [], 'advice': ['the curve is flat.']}
    """

    points: tuple[CurvePoint, ...]
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return points and advice.

        Returns
        -------
        content : dict
            By the names of the fields.
        """
        return {"points": [point.to_dict() for point in self.points], "advice": list(self.advice)}


def find_point(
    kind: str,
    share: float,
    fits: list[Fit],
    results: dict[str, FitResult],
    groups: np.ndarray | None,
    spread: Spread,
    place: int,
) -> CurvePoint:
    """Describe the fits of one point, which are classifier number `place` of the spread."""
    gain, interval = spread.difference((0, BALANCED_ACCURACY), (place, BALANCED_ACCURACY))
    n_patients = [np.nan if groups is None else len(np.unique(groups[fit.train])) for fit in fits]
    return CurvePoint(
        kind=kind,
        share=share,
        n_patients=float(np.mean(n_patients)),
        n_patches=float(np.mean([len(fit.train) for fit in fits])),
        balanced_accuracy=float(spread.estimate[place, BALANCED_ACCURACY]),
        auc=float(spread.estimate[place, AUC]),
        training=mean_training_score(fits, results),
        gain=gain,
        interval=interval,
    )


def mean_training_score(fits: list[Fit], results: dict[str, FitResult]) -> float:
    """Average the balanced accuracies on what the fits learned from."""
    scores = [results[fit.key].training for fit in fits]
    return float(np.mean([np.nan if score is None else score for score in scores]))


def advise(
    points: list[CurvePoint], training: float, validation: float, interval: Interval
) -> tuple[str, ...]:
    """Say what would help.

    Parameters
    ----------
    points : list of CurvePoint
        With parts of the training data.
    training, validation : float
        Balanced accuracy of all training data, on itself and on new patients.
    interval : tuple of (float, float)
        95 % interval of the latter.

    Returns
    -------
    advice : tuple of str
        Sentences.
    """
    said = []
    for kind in dict.fromkeys(point.kind for point in points):
        largest = max((point for point in points if point.kind == kind), key=lambda point: point.share)
        said.append(_advise_of(kind, largest))
    gap = f"{training:.3f} on what it learned from, {validation:.3f} on new patients"
    if training > interval[1]:
        said.append(
            f"a bigger model is not what is missing ({gap}): it knows its training patients better than new "
            "ones already."
        )
    elif training >= interval[0]:
        said.append(
            f"a bigger model or other features may help ({gap}): it does not learn its patients by heart."
        )
    return tuple(said)


def _advise_of(kind: str, point: CurvePoint) -> str:
    found = (
        f"from {SHARE_NAMES[point.share]} of them to all, the score changes by {100 * point.gain:+.1f} "
        f"points ({limits(point.interval)})"
    )
    if point.interval[0] > 0:
        return f"more {kind} should help: {found}."
    return f"it does not show that more {kind} would help: {found}."
