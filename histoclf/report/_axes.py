"""Where to draw: the one place that asks matplotlib for axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from histoclf.networks._optional import require


def make_axes(ax: Any, shape: tuple[int, int], panel: tuple[float, float], **kwargs: Any) -> np.ndarray:
    """Make a grid of axes, or find it in what the caller gave.

    Parameters
    ----------
    ax : matplotlib Axes, array of Axes, or None
        None makes a new figure, by pyplot as scikit-learn does, so that notebooks and ``pyplot.show()`` know
        it. One Axes is used if one is asked for, and else makes room for all of them. An array must have as
        many as are asked for.
    shape : tuple of (int, int)
        Rows and columns.
    panel : tuple of (float, float)
        Width and height of one panel of a new figure, in inches.
    **kwargs : dict
        Further arguments of `matplotlib.gridspec.GridSpecBase.subplots`, such as ``sharey``.

    Returns
    -------
    axes : ndarray of shape `shape`, dtype object
        Of one figure.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If `ax` has not as many axes as are needed, or its place cannot be divided.
    """
    require("matplotlib", "Drawing", "report")
    if ax is None:
        from matplotlib import pyplot

        size = (panel[0] * shape[1], panel[1] * shape[0])
        figure = pyplot.figure(figsize=size, layout="constrained")
        return figure.subplots(*shape, squeeze=False, **kwargs)
    given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(given) == shape[0] * shape[1]:
        return given.reshape(shape)
    if len(given) > 1:
        raise ValueError(
            f"ax holds {len(given)} axes; expected {shape[0]} x {shape[1]}, or one whose place is divided, "
            "or None."
        )
    return _divide(given[0], shape, kwargs)


def _divide(ax: Any, shape: tuple[int, int], kwargs: dict[str, Any]) -> np.ndarray:
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError(
            f"ax has no place in a grid that could be divided into {shape[0]} x {shape[1]} panels. Expected "
            "one made by subplots or subplot_mosaic, an array of axes, or None."
        )
    ax.set_axis_off()
    return spec.subgridspec(*shape).subplots(squeeze=False, **kwargs)


def hide_unused(axes: np.ndarray, n_used: int) -> None:
    """Leave those panels blank that a grid has too many of."""
    for ax in axes.ravel()[n_used:]:
        ax.set_axis_off()


def show_image(ax: Any, image: np.ndarray, title: str = "") -> None:
    """Draw an image in 0-255, gray or in colour, without ticks.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to.
    image : ndarray of shape (height, width, 1 or 3)
        In 0-255, of any dtype.
    title : str
        Above it.
    """
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    ax.imshow(pixels)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title, fontsize="small")
