"""Where on its patches a classifier sees what it answers."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_consistent_length

from histoclf.classifiers._labels import check_labels
from histoclf.classifiers._saliency import find_saliency
from histoclf.report._answers import find_target
from histoclf.report._axes import hide_unused, make_axes, show_image

_MOST_PATCHES = 64  # two pictures each: more cannot be looked at
_OPACITY = 0.75  # of the strongest evidence
_SATURATED = 99.5  # percentile of the evidence that has the strongest colour


class GradCAMDisplay:
    """Maps of the evidence for a class, laid over the patches.

    Use `from_estimator` to make one. Each patch is shown twice: as the network sees it, and in gray under the
    map. The map holds the features that are pooled at each place, weighted by the gradient of the log-odds of
    the class [1]_; where they are pooled by their maximum, gradients count place by place [2]_. Maps of
    several layers, and of the haematoxylin beside the image, are added. What has no place, such as the
    intercept, is spread evenly, so that the mean over a map is the log-odds of the patch. With average
    pooling and no hidden layer, as both classifiers have by default, the value at a place is what the
    classifier would answer if the whole patch looked like it [3]_. Backbones pad images with zeros, which
    would leave a mark along the border of every map; to draw it, they are shown the patch continued by its
    mirror image.

    One scale of colours serves all patches of a figure, so that a patch without evidence looks like one. A
    map is as coarse as the layer that is pooled. It tells where the network looks, not whether it is right
    to.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, 1 or 3)
        What the network was shown, in 0-255.
    evidence : ndarray of shape (n_samples, height, width)
        Log-odds for the target by place.
    targets : ndarray of shape (n_samples,)
        Label that each map is about.
    probabilities : ndarray of shape (n_samples,)
        Of that label.
    y_true : ndarray of shape (n_samples,), default=None
        True labels, for the titles.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_rows, n_columns)
        Patch and map by turns.
    figure_ : matplotlib Figure
        What holds them.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based
       localization", ICCV 2017.
    .. [2] R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
       convolutional neural networks", arXiv:2011.08891, 2020.
    .. [3] B. Zhou et al., "Learning deep features for discriminative localization", CVPR 2016.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from histoclf import GradCAMDisplay, HistoCNNClassifier, make_patches
    >>> patches = make_patches(n_patients=4, patches_per_patient=20, image_size=24, random_state=0)
    >>> clf = HistoCNNClassifier(filters=(8, 16), batch_size=16, epochs=20, random_state=0)
    >>> clf = clf.fit(patches.images, patches.labels)
    >>> display = GradCAMDisplay.from_estimator(clf, patches.images[:4], patches.labels[:4])
    >>> display.evidence.shape
    (4, 24, 24)
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        images: np.ndarray,
        evidence: np.ndarray,
        targets: np.ndarray,
        probabilities: np.ndarray,
        *,
        y_true: np.ndarray | None = None,
    ) -> None:
        self.images = images
        self.evidence = evidence
        self.targets = targets
        self.probabilities = probabilities
        self.y_true = y_true

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        target: Any = None,
        signed: bool = False,
        ax: Any = None,
    ) -> Self:
        """Ask a fitted classifier, and draw.

        Parameters
        ----------
        estimator : estimator
            A `HistoCNNClassifier` or a `HistoTransferClassifier`, on whatever engine; or a pipeline, a
            search, a `LabelCleaningClassifier` or a `SlideContextClassifier` around one. Of the last one
            this shows what is seen in the patch itself, before its neighbours have their say.
        X : array-like
            As in its ``predict``; at most 64 patches.
        y : array-like of shape (n_samples,), default=None
            True labels, for the titles.
        target : label, default=None
            Class to be looked for. None is the one that each patch is taken for.
        signed : bool, default=False
            Whether to show what speaks against the class as well.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : GradCAMDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are too many patches, `target` is no class, or the network has no places, as that of an
            ONNX file.
        TypeError
            If there is no image classifier in `estimator`.
        """
        _refuse_many(X)
        found = find_saliency(estimator, X)
        rows = np.arange(len(found.images))
        if target is None:
            codes = found.probabilities.argmax(axis=1)
        else:
            codes = np.full(len(rows), find_target(target, found.classes))
        y_true = None if y is None else check_labels(y)
        check_consistent_length(rows, y_true)
        display = cls(
            found.images,
            found.evidence[rows, :, :, codes],
            found.classes[codes],
            found.probabilities[rows, codes],
            y_true=y_true,
        )
        return display.plot(ax, signed=signed)

    def plot(
        self, ax: Any = None, *, signed: bool = False, n_columns: int | None = None, **kwargs: Any
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes, or None, default=None
            An array needs two axes for each patch; a single one is divided; None makes a new figure.
        signed : bool, default=False
            Whether to show what speaks against the class as well, in another colour.
        n_columns : int, default=None
            Patches beside each other; None is as many as make the figure about square.
        **kwargs : dict
            Handed to `matplotlib.axes.Axes.imshow` for the maps, such as ``cmap`` and ``vmax``.

        Returns
        -------
        self : GradCAMDisplay
            The display.
        """
        n = len(self.images)
        columns = n_columns or max(1, math.ceil(math.sqrt(n / 2)))
        self.axes_ = make_axes(ax, (math.ceil(n / columns), 2 * columns), (1.7, 1.9))
        self.figure_ = self.axes_[0, 0].figure
        strongest = max(float(np.percentile(np.abs(self.evidence), _SATURATED)), 1e-6)
        style = {"cmap": "PuOr_r" if signed else "inferno", "vmax": strongest, **kwargs}
        style.setdefault("vmin", -style["vmax"] if signed else 0)
        for row, (plain, mapped) in enumerate(self.axes_.reshape(-1, 2)[:n]):
            show_image(plain, self.images[row], self._describe(row))
            title = f"{self.targets[row]}: {self.probabilities[row]:.2f}"
            show_image(mapped, self.images[row].mean(axis=-1, keepdims=True), title)
            drawn = self._overlay(mapped, self.evidence[row], style)
        hide_unused(self.axes_, 2 * n)
        bar = self.figure_.colorbar(drawn, ax=list(self.axes_.ravel()), shrink=0.6)
        bar.set_label("evidence for the class (log-odds)")
        return self

    def _describe(self, row: int) -> str:
        return "" if self.y_true is None else f"truth: {self.y_true[row]}"

    def _overlay(self, ax: Any, evidence: np.ndarray, style: dict[str, Any]) -> Any:
        """Draw a map that lets the tissue through where there is no evidence."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        norm = Normalize(style["vmin"], style["vmax"], clip=True)
        opacity = _OPACITY * np.clip(np.abs(evidence) / style["vmax"], 0, 1)
        if style["vmin"] >= 0:
            opacity[evidence < 0] = 0
        rest = {name: value for name, value in style.items() if name not in ("vmin", "vmax")}
        ax.imshow(evidence, norm=norm, alpha=opacity, **rest)
        return ScalarMappable(norm, style["cmap"])


def _refuse_many(X: Any) -> None:
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if n > _MOST_PATCHES:
        raise ValueError(
            f"X has {n:,} patches, and each is shown twice. Expected at most {_MOST_PATCHES}: choose some, "
            "such as X[:16]."
        )
