"""The patches that were misread, the surest mistakes first."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_consistent_length

from histoclf.classifiers._folds import check_groups
from histoclf.classifiers._pictures import find_image_shape, read_pictures
from histoclf.report._answers import Answers, ask, check_answers, find_groups
from histoclf.report._axes import hide_unused, make_axes, show_image


class ErrorsDisplay:
    """Patches whose answer was wrong, the most confident ones first.

    Use `from_estimator` or `from_predictions` to make one. Look at them before you believe the labels: a
    confident error is a hard patch, or a wrong label.

    Parameters
    ----------
    images : ndarray of shape (n_errors, height, width, 1 or 3)
        Patches, in 0-255.
    rows : ndarray of shape (n_errors,), int
        Their rows in X.
    y_true, y_pred : ndarray of shape (n_errors,)
        Labels.
    confidences : ndarray of shape (n_errors,)
        Probability of the predicted label.
    groups : ndarray of shape (n_errors,), default=None
        Patients.
    n_wrong, n_samples : int, default=None
        Of all patches, how many were misread, and how many there are; for the title.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_rows, n_columns)
        A panel for each patch.
    figure_ : matplotlib Figure
        What holds them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from histoclf import ErrorsDisplay, make_patches
    >>> patches = make_patches(n_patients=2, patches_per_patient=5, image_size=24, random_state=0)
    >>> p = np.random.default_rng(0).random(10)  # probabilities of "malignant"
    >>> display = ErrorsDisplay.from_predictions(patches.images, patches.labels, p, groups=patches.groups)
    >>> display.n_wrong == int(((p > 0.5) != (patches.labels == "malignant")).sum())
    True
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        images: np.ndarray,
        rows: np.ndarray,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        confidences: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        n_wrong: int | None = None,
        n_samples: int | None = None,
    ) -> None:
        self.images = images
        self.rows = rows
        self.y_true = y_true
        self.y_pred = y_pred
        self.confidences = confidences
        self.groups = groups
        self.n_wrong = n_wrong
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        coords: Any = None,
        n_errors: int = 12,
        ax: Any = None,
    ) -> Self:
        """Let a classifier answer for patches that it has not seen, and draw.

        Parameters
        ----------
        estimator : classifier
            Fitted on other patients.
        X : array-like
            As in its ``predict_proba``: paths, images, or rows of pixels with `image_shape`.
        y : array-like of shape (n_samples,)
            True labels.
        groups : array-like of shape (n_samples,), default=None
            Patients. None reads them from the paths in X, if they tell.
        coords : array-like of shape (n_samples, 2), default=None
            Positions on the slide, for a classifier that takes them.
        n_errors : int, default=12
            How many to show, at most.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : ErrorsDisplay
            Drawn.
        """
        answers = ask(estimator, X, y, groups, coords)
        return cls._from(answers, X, groups, n_errors, find_image_shape(estimator), ax)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        y_true: Any,
        probabilities: Any,
        *,
        classes: Any = None,
        groups: Any = None,
        n_errors: int = 12,
        image_shape: tuple[int, int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw what was misread, out of fold for instance.

        Parameters
        ----------
        X : array-like of n_samples rows
            Paths, images, or rows of pixels with `image_shape`.
        y_true : array-like of shape (n_samples,)
            True labels.
        probabilities : array-like of shape (n_samples, n_classes) or (n_samples,)
            Of each class; of two classes those of the second are enough.
        classes : array-like of shape (n_classes,), default=None
            Labels, in the order of the columns; None are the sorted labels of `y_true`.
        groups : array-like of shape (n_samples,), default=None
            Patients. None reads them from the paths in X, if they tell.
        n_errors : int, default=12
            How many to show, at most.
        image_shape : tuple of (int, int, int), default=None
            Height, width and channels of the images whose flattened pixels are the rows of a 2-D X.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : ErrorsDisplay
            Drawn.

        Raises
        ------
        ValueError
            If patches, labels and probabilities do not fit each other.
        InputContractError
            If X cannot be shown.
        """
        answers = check_answers(y_true, probabilities, classes)
        return cls._from(answers, X, groups, n_errors, image_shape, ax)

    @classmethod
    def _from(cls, answers: Answers, X: Any, groups: Any, n_errors: int, image_shape: Any, ax: Any) -> Self:
        check_consistent_length(X, answers.truth)
        groups = find_groups(X, groups)
        groups = None if groups is None else check_groups(groups, len(answers.truth))
        wrong = np.flatnonzero(answers.predicted != answers.truth)
        confidences = answers.probabilities.max(axis=1)
        rows = wrong[np.argsort(-confidences[wrong], kind="stable")][:n_errors]
        display = cls(
            read_pictures(X, rows, image_shape) if len(rows) else np.empty((0, 1, 1, 3)),
            rows,
            answers.classes[answers.truth[rows]],
            answers.classes[answers.predicted[rows]],
            confidences[rows],
            groups=None if groups is None else groups[rows],
            n_wrong=len(wrong),
            n_samples=len(answers.truth),
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, n_columns: int = 4) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes, or None, default=None
            An array needs a panel for each patch; a single one is divided; None makes a new figure.
        n_columns : int, default=4
            Patches beside each other.

        Returns
        -------
        self : ErrorsDisplay
            The display.
        """
        n = len(self.images)
        columns = max(1, min(n_columns, n))
        self.axes_ = make_axes(ax, (max(1, math.ceil(n / columns)), columns), (2.0, 2.5))
        self.figure_ = self.axes_[0, 0].figure
        for row, axis in enumerate(self.axes_.ravel()[:n]):
            show_image(axis, self.images[row], self._describe(row))
        hide_unused(self.axes_, n)
        if ax is None and self.n_wrong is not None:
            self.figure_.suptitle(f"{self.n_wrong:,} of {self.n_samples:,} patches were misread")
        elif not n:
            self.axes_[0, 0].set_title("nothing was misread")
        return self

    def _describe(self, row: int) -> str:
        said = f"{self.y_pred[row]}, {self.confidences[row]:.2f}\ntruth: {self.y_true[row]}"
        who = f"row {self.rows[row]}" if self.groups is None else f"{self.groups[row]}, row {self.rows[row]}"
        return f"{said}\n{who}"
