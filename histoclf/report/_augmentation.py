"""What training sees of a patch."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from histoclf.classifiers._base import BaseHistoClassifier
from histoclf.classifiers._cnn import HistoCNNClassifier
from histoclf.classifiers._pictures import augment_pictures
from histoclf.report._axes import make_axes, show_image


class AugmentationDisplay:
    """Patches, and beside each of them what random augmentation makes of it.

    Use `from_estimator` or `from_augmentation` to make one. The question to ask of the pictures: would a
    pathologist still give all of them the same label?

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, 1 or 3)
        Patches as the network sees them, in 0-255.
    variants : ndarray of shape (n_samples, n_variants, height, width, 1 or 3)
        Augmented.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_samples, 1 + n_variants)
        A row for each patch.
    figure_ : matplotlib Figure
        What holds them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from histoclf import AugmentationDisplay, HistoCNNClassifier, make_patches
    >>> patches = make_patches(n_patients=2, patches_per_patient=2, image_size=24, random_state=0)
    >>> clf = HistoCNNClassifier(augmentation="strong")  # need not be fitted
    >>> AugmentationDisplay.from_estimator(clf, patches.images, n_variants=3).axes_.shape
    (4, 4)
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(self, images: np.ndarray, variants: np.ndarray) -> None:
        self.images = images
        self.variants = variants

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, n_variants: int = 6, random_state: Any = 0, ax: Any = None
    ) -> Self:
        """Draw what a classifier is trained on.

        Parameters
        ----------
        estimator : HistoCNNClassifier or HistoTransferClassifier
            Fitted or not.
        X : array-like
            As in its `fit`; a few patches.
        n_variants : int, default=6
            Augmented copies of each patch.
        random_state : int, RandomState instance or None, default=0
            Seed of the copies.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : AugmentationDisplay
            Drawn.

        Raises
        ------
        TypeError
            If it is no classifier of this package.
        ValueError
            If its training augments nothing.
        """
        if not isinstance(estimator, BaseHistoClassifier):
            raise TypeError(
                f"{type(estimator).__name__} says nothing of augmentation. Expected a HistoCNNClassifier or "
                "a HistoTransferClassifier; of a pipeline its last step."
            )
        if not getattr(estimator, "fine_tune_layers", 1) and not getattr(estimator, "augmented_copies", 1):
            raise ValueError(
                "This classifier trains on the patches as they are: fine_tune_layers=0 and "
                "augmented_copies=0. Expected one that augments, or "
                "AugmentationDisplay.from_augmentation(estimator.augmentation, X)."
            )
        return cls(*augment_pictures(estimator, X, n_variants, random_state)).plot(ax)

    @classmethod
    def from_augmentation(
        cls, augmentation: Any, X: Any, *, n_variants: int = 6, random_state: Any = 0, ax: Any = None
    ) -> Self:
        """Draw what an augmentation does.

        Parameters
        ----------
        augmentation : Augmentation or {"flips", "standard", "strong"}
            What to draw.
        X : array-like
            Paths or images; a few.
        n_variants : int, default=6
            Augmented copies of each patch.
        random_state : int, RandomState instance or None, default=0
            Seed of the copies.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : AugmentationDisplay
            Drawn.
        """
        estimator = HistoCNNClassifier(augmentation=augmentation)
        return cls.from_estimator(estimator, X, n_variants=n_variants, random_state=random_state, ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes, or None, default=None
            An array needs an axes for each picture; a single one is divided; None makes a new figure.

        Returns
        -------
        self : AugmentationDisplay
            The display.
        """
        n_samples, n_variants = self.variants.shape[:2]
        self.axes_ = make_axes(ax, (n_samples, 1 + n_variants), (1.3, 1.35))
        self.figure_ = self.axes_[0, 0].figure
        for axes, image, variants in zip(self.axes_, self.images, self.variants, strict=True):
            show_image(axes[0], image)
            for axis, variant in zip(axes[1:], variants, strict=True):
                show_image(axis, variant)
        self.axes_[0, 0].set_title("as it is", fontsize="small")
        self.axes_[0, 1].set_title("augmented", fontsize="small")
        return self
