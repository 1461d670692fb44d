"""Figures as addresses that hold the picture itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from histoclf.networks._optional import require
from histoclf.report._page import to_data_uri

_DPI = 150  # of pixels; sharp on screens that have two for one
_LARGEST_VECTOR = 300_000  # bytes; beyond, thousands of shapes make a browser slow
_SALT = {"svg.hashsalt": "histoclf"}  # the same picture gets the same bytes


def draw_inline(
    draw: Callable[[Any], Any], size: tuple[float, float], *, pixels: bool = False
) -> tuple[str, Any]:
    """Draw a figure for a page, in matplotlib's own style and without pyplot.

    Parameters
    ----------
    draw : callable
        Given an axes with a place in a grid, draws on it, as displays do.
    size : tuple of (float, float)
        Width and height in inches.
    pixels : bool, default=False
        Whether it is a picture of many small parts: a PNG then, otherwise an SVG unless that is large.

    Returns
    -------
    source : str
        ``data:image/...`` for a `Figure`.
    drawn : object
        What `draw` returned.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    require("matplotlib", "Drawing", "report")
    from matplotlib import style
    from matplotlib.figure import Figure

    # A page has a white ground for figures, whatever the style of the session; the style is restored.
    with style.context(["default", _SALT]):
        figure = Figure(figsize=size, layout="constrained")
        drawn = draw(figure.add_subplot())
        vector = b"" if pixels else _save(figure, format="svg", metadata={"Date": None})
        if vector and len(vector) <= _LARGEST_VECTOR:
            return to_data_uri(vector, "image/svg+xml"), drawn
        return to_data_uri(_save(figure, format="png", dpi=_DPI), "image/png"), drawn


def _save(figure: Any, **kwargs: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, **kwargs)
    return content.getvalue()
