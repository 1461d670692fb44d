"""Whether probabilities are to be believed, with a band from drawing patients anew."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.calibration import CalibrationDisplay

from histoclf.metrics._bootstrap import bootstrap_patients, percentile_interval
from histoclf.report._answers import Answers, ask, check_answers, find_groups, require_groups
from histoclf.report._axes import make_axes
from histoclf.report._colours import MODEL


class PatientCalibrationDisplay(CalibrationDisplay):
    """Calibration curve of two classes with a band over patients.

    Use `from_estimator` or `from_predictions` to make one. Bins hold equally many patches, so that none is
    drawn from a handful. The band is from 1,000 random draws of whole patients: patches of a patient are
    misjudged together, and a band over patches would be far too narrow. Otherwise it is
    :class:`sklearn.calibration.CalibrationDisplay`.

    Parameters
    ----------
    prob_true, prob_pred : ndarray of shape (n_bins,)
        In each bin, share of the second class, and mean of what was predicted.
    y_prob : ndarray of shape (n_samples,)
        What was predicted.
    band : ndarray of shape (n_bins, 2)
        Limits of the 95 % interval of `prob_true`; NaN where too few draws have such patches.
    estimator_name : str, default=None
        Name of the curve.
    pos_label : object, default=None
        Label of the second class.

    Attributes
    ----------
    line_ : matplotlib Artist
        The curve.
    band_ : matplotlib Artist
        The band.
    ax_ : matplotlib Axes
        Where they are.
    figure_ : matplotlib Figure
        What holds it.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from histoclf import PatientCalibrationDisplay
    >>> rng = np.random.default_rng(0)
    >>> p, patients = rng.random(500), rng.integers(0, 10, 500)
    >>> display = PatientCalibrationDisplay.from_predictions(rng.random(500) < p, p, patients)
    >>> display.band.shape
    (10, 2)
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        prob_true: np.ndarray,
        prob_pred: np.ndarray,
        y_prob: np.ndarray,
        band: np.ndarray,
        *,
        estimator_name: str | None = None,
        pos_label: Any = None,
    ) -> None:
        super().__init__(prob_true, prob_pred, y_prob, estimator_name=estimator_name, pos_label=pos_label)
        self.band = band

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        coords: Any = None,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Let a classifier answer for patients that it has not seen, and draw.

        Parameters
        ----------
        estimator : classifier
            Fitted on other patients; of two classes.
        X : array-like
            As in its ``predict_proba``.
        y : array-like of shape (n_samples,)
            True labels.
        groups : array-like of shape (n_samples,), default=None
            Patients. None reads them from the paths in X.
        coords : array-like of shape (n_samples, 2), default=None
            Positions on the slide, for a classifier that takes them.
        n_bins : int, default=10
            How many bins, at most.
        name : str, default=None
            Name of the curve; None is that of the classifier.
        ax : matplotlib Axes or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : PatientCalibrationDisplay
            Drawn.
        """
        answers = ask(estimator, X, y, groups, coords)
        return cls._from(answers, find_groups(X, groups), n_bins, name or type(estimator).__name__, ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        probabilities: Any,
        groups: Any,
        *,
        classes: Any = None,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw what was answered for patients, out of fold for instance.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        probabilities : array-like of shape (n_samples, 2) or (n_samples,)
            Of both classes, or of the second.
        groups : array-like of shape (n_samples,)
            Patients.
        classes : array-like of shape (2,), default=None
            Labels, in the order of the columns; None are the sorted labels of `y_true`.
        n_bins : int, default=10
            How many bins, at most.
        name : str, default=None
            Name of the curve.
        ax : matplotlib Axes or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : PatientCalibrationDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are not two classes, or labels, probabilities and patients do not fit each other.
        """
        return cls._from(check_answers(y_true, probabilities, classes), groups, n_bins, name, ax)

    @classmethod
    def _from(cls, answers: Answers, groups: Any, n_bins: int, name: str | None, ax: Any) -> Self:
        if len(answers.classes) != 2:
            raise ValueError(
                f"There are {len(answers.classes)} classes; expected two. Draw one class against the others: "
                "y_true == label, and the probabilities of that label alone."
            )
        truth, chances = np.equal(answers.truth, 1), answers.probabilities[:, 1]
        groups = require_groups(groups, len(chances))
        bins = _equal_bins(chances, n_bins)

        def shares(weights: np.ndarray) -> np.ndarray:
            totals = np.stack([weights[:, rows].sum(axis=1) for rows in bins], axis=1)
            hits = np.stack([weights[:, rows] @ truth[rows] for rows in bins], axis=1)
            with np.errstate(invalid="ignore"):
                return hits / totals

        draws = bootstrap_patients(shares, groups)
        band = np.array([percentile_interval(draw) for draw in draws.T])
        prob_true = shares(np.ones((1, len(chances))))[0]
        prob_pred = np.array([chances[rows].mean() for rows in bins])
        label = answers.classes[1]
        return cls(prob_true, prob_pred, chances, band, estimator_name=name, pos_label=label).plot(ax=ax)

    def plot(self, *, ax: Any = None, name: str | None = None, ref_line: bool = True, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to; None makes a new figure.
        name : str, default=None
            Name of the curve.
        ref_line : bool, default=True
            Whether to draw what a calibrated classifier would have.
        **kwargs : dict
            Handed to `matplotlib.axes.Axes.plot` for the curve.

        Returns
        -------
        self : PatientCalibrationDisplay
            The display.
        """
        ax = make_axes(ax, (1, 1), (5.0, 5.0))[0, 0]
        super().plot(ax=ax, name=name, ref_line=ref_line, **{"color": MODEL, "marker": "o", **kwargs})
        low, high = self.band.T
        colour = self.line_.get_color()
        label = "95 % interval over patients"
        self.band_ = ax.fill_between(
            self.prob_pred, low, high, color=colour, alpha=0.2, linewidth=0, label=label
        )
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        ax.legend(loc="upper left", fontsize="small")
        return self


def _equal_bins(chances: np.ndarray, n_bins: int) -> list[np.ndarray]:
    """Divide rows into bins of about the same number; equal predictions are never divided."""
    edges = np.unique(np.quantile(chances, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bin_of = np.searchsorted(edges, chances, side="right")
    return [np.flatnonzero(bin_of == number) for number in np.unique(bin_of)]
