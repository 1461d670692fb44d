"""One row per patient: how well he was told apart, and how well that is known."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from histoclf.metrics._jackknife import jackknife_interval
from histoclf.metrics._proportions import mean_share
from histoclf.report._answers import ask, check_answers, find_groups, require_groups
from histoclf.report._axes import make_axes
from histoclf.report._colours import MODEL, class_colours

_ROW, _TALLEST = 0.24, 16.0  # inches: a row with its name, and the tallest figure
_MOST_NAMES = 66  # rows that have a name each in a figure of that height


class PatientScoresDisplay:
    """Score of each patient with its interval, beside the classes that his patches have.

    Use `from_estimator` or `from_predictions` to make one. The mean over patients, and its interval, are for
    the next patient; the bar of a patient is about the patient himself.

    Parameters
    ----------
    patients : ndarray of shape (n_patients,)
        Names.
    scores : ndarray of shape (n_patients,)
        Mean of the recalls of the classes that the patient has.
    intervals : ndarray of shape (n_patients, 2)
        Limits of 95 % intervals of the scores, which take the patches of a patient for independent [1]_ [2]_:
        the least that is uncertain.
    counts : ndarray of shape (n_patients, n_classes), int
        Patches of each true class.
    classes : ndarray of shape (n_classes,)
        Labels.

    Attributes
    ----------
    mean_, mean_interval_ : float and tuple of (float, float)
        Mean over the patients, each counting the same, and its 95 % interval: of Student's t with the
        jackknife over patients, on the scale of log-odds, as in the tables of `evaluate`. NaN if there is one
        patient.
    axes_ : ndarray of matplotlib Axes of shape (2,)
        Scores, and numbers of patches by class.
    figure_ : matplotlib Figure
        What holds them.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
       the American Statistical Association 22 (1927), 209-212.
    .. [2] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: A general
       approach", Statistics in Medicine 27 (2008), 1693-1702.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from histoclf import PatientScoresDisplay
    >>> y, p = ["benign", "malignant"] * 4, [0.1, 0.9, 0.2, 0.4, 0.4, 0.8, 0.7, 0.6]
    >>> display = PatientScoresDisplay.from_predictions(y, p, groups=["A"] * 4 + ["B"] * 4)
    >>> display.scores.tolist()
    [0.75, 0.75]
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        patients: np.ndarray,
        scores: np.ndarray,
        intervals: np.ndarray,
        counts: np.ndarray,
        classes: np.ndarray,
    ) -> None:
        self.patients = patients
        self.scores = scores
        self.intervals = intervals
        self.counts = counts
        self.classes = classes

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, groups: Any = None, coords: Any = None, ax: Any = None
    ) -> Self:
        """Let a classifier answer for patients that it has not seen, and draw.

        Parameters
        ----------
        estimator : classifier
            Fitted on other patients.
        X : array-like
            As in its ``predict_proba``.
        y : array-like of shape (n_samples,)
            True labels.
        groups : array-like of shape (n_samples,), default=None
            Patients. None reads them from the paths in X.
        coords : array-like of shape (n_samples, 2), default=None
            Positions on the slide, for a classifier that takes them.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : PatientScoresDisplay
            Drawn.
        """
        answers = ask(estimator, X, y, groups, coords)
        return cls._from(answers, find_groups(X, groups), ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, probabilities: Any, groups: Any, *, classes: Any = None, ax: Any = None
    ) -> Self:
        """Draw what was answered for patients, out of fold for instance.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        probabilities : array-like of shape (n_samples, n_classes) or (n_samples,)
            Of each class; of two classes those of the second are enough.
        groups : array-like of shape (n_samples,)
            Patients.
        classes : array-like of shape (n_classes,), default=None
            Labels, in the order of the columns; None are the sorted labels of `y_true`.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : PatientScoresDisplay
            Drawn.

        Raises
        ------
        ValueError
            If labels, probabilities and patients do not fit each other.
        """
        return cls._from(check_answers(y_true, probabilities, classes), groups, ax)

    @classmethod
    def _from(cls, answers: Any, groups: Any, ax: Any) -> Self:
        groups = require_groups(groups, len(answers.truth))
        patients, patient_of = np.unique(groups, return_inverse=True)
        counts = np.zeros((len(patients), len(answers.classes)), dtype=int)
        right = np.zeros_like(counts)
        np.add.at(counts, (patient_of, answers.truth), 1)
        np.add.at(right, (patient_of, answers.truth), answers.predicted == answers.truth)
        scores, low, high = mean_share(right, counts)
        return cls(patients, scores, np.column_stack([low, high]), counts, answers.classes).plot(ax)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw, the best patient on top.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes, or None, default=None
            An array of two; a single one is divided; None makes a new figure.
        **kwargs : dict
            Handed to `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        self : PatientScoresDisplay
            The display.
        """
        order = np.argsort(self.scores, kind="stable")
        width, height = figure_size(len(order))
        self.axes_ = make_axes(ax, (1, 2), (width / 2, height), sharey=True)[0]
        self.figure_ = self.axes_[0].figure
        self._draw_scores(self.axes_[0], order, kwargs)
        self._draw_counts(self.axes_[1], order)
        step = -(-len(order) // _MOST_NAMES)
        places = np.arange(len(order))[::-1][::step]
        self.axes_[0].set_yticks(places, [str(self.patients[order[place]]) for place in places])
        self.axes_[0].set_ylim(-0.7, len(order) - 0.3)
        return self

    def _draw_scores(self, axis: Any, order: np.ndarray, kwargs: dict[str, Any]) -> None:
        scores, limits = self.scores[order], self.intervals[order]
        # Rounding may put a limit on the wrong side of its score by a hair.
        reach = np.maximum([scores - limits[:, 0], limits[:, 1] - scores], 0)
        style = {"fmt": "o", "color": MODEL, "markersize": 4, "elinewidth": 1.5, **kwargs}
        axis.errorbar(scores, np.arange(len(order)), xerr=reach, **style)
        self._find_mean()
        low, high = self.mean_interval_
        axis.axvline(self.mean_, color=MODEL, linewidth=1)
        known = math.isfinite(low)
        if known:
            axis.axvspan(low, high, color=MODEL, alpha=0.15, linewidth=0)
        axis.axvline(1 / len(self.classes), color="0.45", linestyle=":")
        axis.set_xlim(-0.02, 1.02)
        axis.set_xlabel("mean of the recalls (dotted: chance)")
        interval = f" [{low:.3f}, {high:.3f}]" if known else ""
        axis.set_title(f"mean of {len(order)} patients\n{self.mean_:.3f}{interval}", fontsize="small")

    def _draw_counts(self, axis: Any, order: np.ndarray) -> None:
        left = np.zeros(len(order))
        for name, colour, count in zip(
            self.classes, class_colours(len(self.classes)), self.counts[order].T, strict=True
        ):
            axis.barh(np.arange(len(order)), count, left=left, color=colour, label=str(name))
            left += count
        axis.set_xlabel("patches")
        n_classes = (self.counts > 0).sum(axis=1)
        axis.set_title(f"{(n_classes > 1).sum()} patients have\nseveral classes", fontsize="small")
        beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}  # bars reach every place within
        axis.legend(title="truth", fontsize="small", title_fontsize="small", **beside)

    def _find_mean(self) -> None:
        self.mean_ = float(self.scores.mean())
        n_patients = len(self.scores)
        left_out = (self.scores.sum() - self.scores) / max(n_patients - 1, 1)
        self.mean_interval_ = jackknife_interval(self.mean_, left_out, scale="logit")


def figure_size(n_patients: int) -> tuple[float, float]:
    """Return width and height in inches of a figure in which each of so many patients has a row."""
    return 9.0, min(1.4 + _ROW * n_patients, _TALLEST)
