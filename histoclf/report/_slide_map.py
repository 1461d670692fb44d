"""Patches laid back on their slide."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from histoclf.classifiers._places import Places, find_places
from histoclf.report._answers import Answers, ask, check_answers, find_target
from histoclf.report._axes import hide_unused, make_axes
from histoclf.report._colours import NOTHING, class_colours, probability_map
from histoclf.report._grid import Grid, find_step, lay_out, make_grid

_MOST_SLIDES = 24  # in one figure


class SlideMapDisplay:
    """Patches at their places on the slide, coloured by what was answered and, beside it, by the truth.

    Use `from_estimator` or `from_predictions` to make one. No slide is read: places come from file names
    (IDC) or are given. Of two classes the colour is the probability of the second; of more it is the class
    that was answered, unless `target` names one.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes)
        What was answered.
    coords : ndarray of shape (n_samples, 2)
        x and y of the upper left corner of each patch, in pixels; y grows downwards.
    groups : ndarray of shape (n_samples,)
        Slides.
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the columns.
    codes : ndarray of shape (n_samples,), int, default=None
        True class numbers.
    target : label, default=None
        Class whose probability is shown.
    patch_size : float or tuple of (float, float), default=None
        Width and height of a patch, in the unit of `coords`. None infers it from the distances.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_rows, n_columns)
        A panel for each slide; two where the truth is known.
    figure_ : matplotlib Figure
        What holds them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from histoclf import SlideMapDisplay, make_patches
    >>> patches = make_patches(n_patients=2, patches_per_patient=30, image_size=16, random_state=0)
    >>> p = np.random.default_rng(0).random(60)  # probabilities of "malignant"
    >>> display = SlideMapDisplay.from_predictions(
    ...     p, patches.coords, groups=patches.groups, y_true=patches.labels
    ... )
    >>> display.axes_.shape
    (2, 2)
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        probabilities: np.ndarray,
        coords: np.ndarray,
        groups: np.ndarray,
        classes: np.ndarray,
        *,
        codes: np.ndarray | None = None,
        target: Any = None,
        patch_size: Any = None,
    ) -> None:
        self.probabilities = probabilities
        self.coords = coords
        self.groups = groups
        self.classes = classes
        self.codes = codes
        self.target = target
        self.patch_size = patch_size

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        coords: Any = None,
        target: Any = None,
        patch_size: Any = None,
        slides: Any = None,
        ax: Any = None,
    ) -> Self:
        """Let a classifier answer for slides that it has not seen, and draw.

        Parameters
        ----------
        estimator : classifier
            Fitted on other slides.
        X : array-like
            As in its ``predict_proba``.
        y : array-like of shape (n_samples,), default=None
            True labels, drawn beside the answers.
        groups : array-like of shape (n_samples,), default=None
            Slides. None reads them from the paths in X.
        coords : array-like of shape (n_samples, 2), default=None
            x and y of each patch on its slide. None reads them from the paths in X.
        target : label, default=None
            Class whose probability is shown.
        patch_size : float or tuple of (float, float), default=None
            Width and height of a patch, in the unit of `coords`. None infers it.
        slides : sequence, default=None
            Which slides to draw; None is all.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : SlideMapDisplay
            Drawn.

        Raises
        ------
        ValueError
            If places are unknown, or there are too many slides for one figure.
        """
        places = find_places(X, groups, coords)
        answers = ask(estimator, X, y, groups, coords)
        return cls._from(answers, places, target, patch_size).plot(ax, slides=slides)

    @classmethod
    def from_predictions(
        cls,
        probabilities: Any,
        coords: Any,
        *,
        groups: Any = None,
        y_true: Any = None,
        classes: Any = None,
        target: Any = None,
        patch_size: Any = None,
        slides: Any = None,
        ax: Any = None,
    ) -> Self:
        """Draw what was answered, out of fold for instance.

        Parameters
        ----------
        probabilities : array-like of shape (n_samples, n_classes) or (n_samples,)
            Of each class; of two classes those of the second are enough.
        coords : array-like of shape (n_samples, 2)
            x and y of each patch on its slide, in pixels; y grows downwards.
        groups : array-like of shape (n_samples,), default=None
            Slides; None is a single one.
        y_true : array-like of shape (n_samples,), default=None
            True labels, drawn beside the answers.
        classes : array-like of shape (n_classes,), default=None
            Labels, in the order of the columns; None are the sorted labels of `y_true`.
        target : label, default=None
            Class whose probability is shown.
        patch_size : float or tuple of (float, float), default=None
            Width and height of a patch, in the unit of `coords`. None infers it.
        slides : sequence, default=None
            Which slides to draw; None is all.
        ax : matplotlib Axes, array of Axes, or None, default=None
            Where to; None makes a new figure.

        Returns
        -------
        display : SlideMapDisplay
            Drawn.

        Raises
        ------
        ValueError
            If arguments do not fit each other, or there are too many slides for one figure.
        """
        answers = check_answers(y_true, probabilities, classes)
        if coords is None:
            raise ValueError(
                "coords=None: the positions are unknown. Expected x and y of each patch on its slide, of "
                "shape (n_samples, 2), as find_patches reads them from names that tell them (IDC)."
            )
        groups = np.full(len(answers.probabilities), "slide") if groups is None else groups
        places = find_places(answers.probabilities, groups, coords)
        return cls._from(answers, places, target, patch_size).plot(ax, slides=slides)

    @classmethod
    def _from(cls, answers: Answers, places: Places, target: Any, patch_size: Any) -> Self:
        return cls(
            answers.probabilities,
            places.coords,
            places.groups,
            answers.classes,
            codes=answers.codes,
            target=target,
            patch_size=patch_size,
        )

    def plot(self, ax: Any = None, *, slides: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes, or None, default=None
            An array needs an axes for each panel; a single one is divided; None makes a new figure.
        slides : sequence, default=None
            Which slides to draw; None is all.
        **kwargs : dict
            Handed to `matplotlib.axes.Axes.imshow`, such as ``cmap``.

        Returns
        -------
        self : SlideMapDisplay
            The display.

        Raises
        ------
        ValueError
            If a slide is unknown, or there are too many for one figure.
        """
        chosen = self._choose(slides)
        layers, style = self._paint()
        n_panels = len(chosen) * len(layers)
        columns = min(n_panels, 2 if n_panels <= 6 else 4 if n_panels <= 16 else 6)
        self.axes_ = make_axes(ax, (math.ceil(n_panels / columns), columns), (2.6, 2.7))
        self.figure_ = self.axes_[0, 0].figure
        panels = iter(self.axes_.ravel())
        step = find_step(self.coords, self.groups) if self.patch_size is None else self._given_step()
        for slide in chosen:
            rows = np.flatnonzero(self.groups == slide)
            grid = make_grid(self.coords[rows], step)
            for name, values in layers:
                drawn = _draw(
                    next(panels), grid, lay_out(grid, self.coords[rows], values[rows]), style | kwargs
                )
                drawn.axes.set_title(f"{slide}: {name}", fontsize="small")
        hide_unused(self.axes_, n_panels)
        self._add_bar(drawn)
        return self

    def _choose(self, slides: Any) -> np.ndarray:
        known = np.unique(self.groups)
        chosen = known if slides is None else np.atleast_1d(np.asarray(slides))
        unknown = chosen[~np.isin(chosen, known)]
        if len(unknown):
            raise ValueError(
                f"slides has {unknown[:10].tolist()}, of which there are no patches. Expected some of "
                f"{known[:20].tolist()}{'...' if len(known) > 20 else ''}."
            )
        if not 0 < len(chosen) <= _MOST_SLIDES:
            raise ValueError(
                f"There are {len(chosen)} slides to draw. Expected 1 to {_MOST_SLIDES} in one figure: choose "
                "some with slides=[...]."
            )
        return chosen

    def _given_step(self) -> np.ndarray:
        step = np.broadcast_to(np.asarray(self.patch_size, dtype=float), 2)
        if not (step > 0).all():
            raise ValueError(
                f"patch_size={self.patch_size!r}: expected a positive width, or (width, height)."
            )
        return step

    @property
    def _target_code(self) -> int | None:
        """Number of the class whose probability is shown; None if classes are."""
        if self.target is not None:
            return find_target(self.target, self.classes)
        return 1 if len(self.classes) == 2 else None

    def _paint(self) -> tuple[list[tuple[str, np.ndarray]], dict[str, Any]]:
        """Return name and values (n_samples, n_values) of each panel, and how they become colours."""
        from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize

        code, n_classes = self._target_code, len(self.classes)
        if code is None:
            answer = np.eye(n_classes)[self.probabilities.argmax(axis=1)]
            truth = None if self.codes is None else np.eye(n_classes)[self.codes]
            norm: Any = BoundaryNorm(np.arange(n_classes + 1) - 0.5, n_classes)
            style = {"norm": norm, "cmap": ListedColormap(class_colours(n_classes))}
        else:
            answer = self.probabilities[:, [code]]
            truth = None if self.codes is None else (self.codes == code).astype(float)[:, None]
            style = {"norm": Normalize(0, 1), "cmap": probability_map()}
        layers = [("answer", answer)] + ([("truth", truth)] if truth is not None else [])
        return layers, style

    def _add_bar(self, drawn: Any) -> None:
        bar = self.figure_.colorbar(drawn, ax=list(self.axes_.ravel()), shrink=0.7)
        code, classes = self._target_code, self.classes
        if code is None:
            bar.set_ticks(np.arange(len(classes)), labels=[str(name) for name in classes])
            return
        other = classes[1 - code] if len(classes) == 2 else f"not {classes[code]}"
        bar.set_label(f"probability of {classes[code]}")
        bar.set_ticks([0, 0.5, 1], labels=[f"0: {other}", "0.5", f"1: {classes[code]}"])


def _draw(ax: Any, grid: Grid, picture: np.ndarray, style: dict[str, Any]) -> Any:
    """Draw one image for all patches of a slide: thousands of rectangles would take seconds."""
    empty = np.isnan(picture[..., 0])
    shown = picture[..., 0] if picture.shape[2] == 1 else picture.argmax(axis=2)
    (left, top), (width, height) = grid.origin, grid.step * grid.shape[::-1]
    drawn = ax.imshow(
        np.ma.masked_array(shown, empty),
        **{
            "extent": (left, left + width, top + height, top),
            "interpolation_stage": "rgba",  # where cells are smaller than pixels, colours are averaged
            **style,
        },
    )
    ax.set_facecolor(NOTHING)
    ax.locator_params(nbins=3)
    ax.tick_params(labelsize="x-small")
    return drawn
