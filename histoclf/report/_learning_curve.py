"""What more patients would bring."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from histoclf.report._axes import make_axes
from histoclf.report._colours import MODEL, PALETTE, REFERENCE


class PatientLearningCurveDisplay:
    """Score on unseen patients by the number of patients trained on.

    :class:`sklearn.model_selection.LearningCurveDisplay` counts samples, and patches of one patient are
    not many samples. This one takes what was computed elsewhere, for patients.

    Parameters
    ----------
    n_patients : array-like of int of shape (n_sizes,)
        Patients trained on.
    test_scores : array-like of float of shape (n_sizes,) or (n_sizes, n_repeats)
        Scores on patients not trained on; NaN for what is missing.
    train_scores : array-like of float of the same shape, default=None
        Scores on the patients trained on.
    n_patches : array-like of int of shape (n_sizes,), default=None
        Patches trained on, on the average; written above.
    reference : float, default=None
        Score of something simpler, as a dashed line.
    reference_name : str, default="reference"
        What that is.
    score_name : str, default="balanced accuracy"
        What the scores are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The curves.
    figure_ : matplotlib Figure
        What holds it.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from histoclf import PatientLearningCurveDisplay
    >>> display = PatientLearningCurveDisplay(
    ...     [3, 6, 9], [[0.70, 0.76], [0.78, 0.80], [0.82, 0.81]], reference=0.5, reference_name="chance"
    ... )
    >>> ax = display.plot().ax_
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        n_patients: ArrayLike,
        test_scores: ArrayLike,
        *,
        train_scores: ArrayLike | None = None,
        n_patches: ArrayLike | None = None,
        reference: float | None = None,
        reference_name: str = "reference",
        score_name: str = "balanced accuracy",
    ) -> None:
        self.n_patients = n_patients
        self.test_scores = test_scores
        self.train_scores = train_scores
        self.n_patches = n_patches
        self.reference = reference
        self.reference_name = reference_name
        self.score_name = score_name

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the mean of the repeats, and every single one as a dot.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to; None makes a new figure.
        **kwargs : dict
            Handed to `matplotlib.axes.Axes.plot` for the lines.

        Returns
        -------
        self : PatientLearningCurveDisplay
            The display.

        Raises
        ------
        ValueError
            If there is not a row of scores for each size.
        """
        self.ax_ = make_axes(ax, (1, 1), (6.0, 4.0))[0, 0]
        self.figure_ = self.ax_.figure
        sizes = np.asarray(self.n_patients, dtype=float)
        self._draw(sizes, "test_scores", "unseen patients", MODEL, kwargs)
        if self.train_scores is not None:
            self._draw(sizes, "train_scores", "patients trained on", PALETTE[5], kwargs)
        if self.reference is not None:
            self.ax_.axhline(self.reference, color=REFERENCE, linestyle="--", label=self.reference_name)
        self.ax_.set(xlabel="patients trained on", ylabel=self.score_name)
        self.ax_.set_xticks(sizes, [f"{size:g}" for size in sizes])
        if self.n_patches is not None:
            patches = np.asarray(self.n_patches)
            above = self.ax_.secondary_xaxis("top")
            above.set_xticks(sizes, [f"{count:,.0f}" for count in patches])
            above.set_xlabel("patches trained on")
        self.ax_.legend()
        return self

    def _draw(self, sizes: np.ndarray, name: str, label: str, colour: str, kwargs: dict[str, Any]) -> None:
        scores = check_array(
            getattr(self, name), ensure_2d=False, dtype=float, ensure_all_finite="allow-nan", input_name=name
        )
        scores = scores.reshape(len(scores), -1)
        if len(scores) != len(sizes):
            raise ValueError(
                f"{name} has {len(scores)} rows, but n_patients has {len(sizes)} sizes. Expected a row for "
                "each."
            )
        order = np.argsort(sizes)
        known = [row[~np.isnan(row)] for row in scores[order]]
        means = [row.mean() if len(row) else np.nan for row in known]
        self.ax_.plot(sizes[order], means, **{"label": label, "color": colour, "marker": "o", **kwargs})
        if scores.shape[1] > 1:
            x = np.repeat(sizes[order], [len(row) for row in known])
            self.ax_.scatter(x, np.concatenate(known), s=18, color=colour, alpha=0.4, linewidths=0)
