"""How a training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from histoclf.report._axes import make_axes
from histoclf.report._colours import PALETTE, REFERENCE

# What a history may hold, panel by panel: title of the y axis, and (name, label, colour) of each curve.
_PANELS = (
    ("loss", (("loss", "training part", PALETTE[0]), ("val_loss", "held-out part", PALETTE[1]))),
    ("balanced accuracy", (("val_score", "held-out part", PALETTE[1]),)),
    ("learning rate", (("learning_rate", "learning rate", REFERENCE),)),
)


class TrainingHistoryDisplay:
    """Loss, score and learning rate of each epoch.

    Use `from_estimator` to make one. The loss of the training part is measured while training, on augmented
    images and with dropout; that of the held-out part after the epoch, without either. So the second may well
    be the lower one.

    Parameters
    ----------
    history : mapping of str to sequence of float
        Per epoch: ``loss`` and, as far as there are any, ``val_loss``, ``val_score`` and ``learning_rate``.
    best_epoch : int or None, default=None
        Epoch, counted from 1, whose weights are kept; 0 is the state before training.
    start : mapping of str to float or None, default=None
        ``val_loss`` and ``val_score`` before training, if the network was of use then already.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        Loss, and below it score and learning rate as far as they are known.
    figure_ : matplotlib Figure
        What holds them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from histoclf import HistoCNNClassifier, TrainingHistoryDisplay, make_patches
    >>> patches = make_patches(n_patients=4, patches_per_patient=20, image_size=24, random_state=0)
    >>> clf = HistoCNNClassifier(filters=(8, 16), batch_size=16, epochs=20, random_state=0)
    >>> display = TrainingHistoryDisplay.from_estimator(clf.fit(patches.images, patches.labels))
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        history: Mapping[str, Sequence[float]],
        *,
        best_epoch: int | None = None,
        start: Mapping[str, float] | None = None,
    ) -> None:
        self.history = history
        self.best_epoch = best_epoch
        self.start = start

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the training of a fitted classifier.

        Parameters
        ----------
        estimator : HistoCNNClassifier or HistoTransferClassifier
            Fitted; of the second kind, with ``head="mlp"`` or fine-tuning.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : TrainingHistoryDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If nothing was trained in epochs.
        """
        check_is_fitted(estimator)
        history = getattr(estimator, "history_", None)
        if not history:
            raise ValueError(
                f"{type(estimator).__name__} has no history_ of epochs: it is no network, or a logistic "
                "regression that was solved at once. Expected a HistoCNNClassifier, or a "
                "HistoTransferClassifier with head='mlp' or fine_tune_layers."
            )
        best = estimator.best_epoch_ if "val_loss" in history else None
        return cls(history, best_epoch=best, start=getattr(estimator, "start_score_", None)).plot(ax)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes, or None, default=None
            An array needs an axes for each panel; a single one is divided; None makes a new figure.
        **kwargs : dict
            Handed to `matplotlib.axes.Axes.plot` for every curve.

        Returns
        -------
        self : TrainingHistoryDisplay
            The display.
        """
        panels = [
            (title, curves) for title, curves in _PANELS if any(name in self.history for name, *_ in curves)
        ]
        self.axes_ = make_axes(ax, (len(panels), 1), (6.0, 2.2), sharex=True)[:, 0]
        self.figure_ = self.axes_[0].figure
        for axis, (title, curves) in zip(self.axes_, panels, strict=True):
            self._draw(axis, curves, kwargs)
            axis.set_ylabel(title)
        self.axes_[-1].set_xlabel("epoch")
        self.axes_[-1].xaxis.get_major_locator().set_params(integer=True)
        if len(self.axes_[0].get_legend_handles_labels()[0]) > 1:
            self.axes_[0].legend()
        return self

    def _draw(self, axis: Any, curves: Any, kwargs: dict[str, Any]) -> None:
        for name, label, colour in curves:
            values = np.asarray(self.history.get(name, ()), dtype=float)
            epochs = np.arange(1, len(values) + 1)
            if name in (self.start or {}):
                values, epochs = np.append((self.start or {})[name], values), np.append(0, epochs)
            if not len(values):
                continue
            marker = "o" if len(values) < 3 else None  # a line needs more points than that to be seen
            axis.plot(epochs, values, **{"label": label, "color": colour, "marker": marker, **kwargs})
        if self.best_epoch is not None:
            axis.axvline(self.best_epoch, color=REFERENCE, linestyle=":", label="weights that are kept")
