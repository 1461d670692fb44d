"""Figures that are part of a page."""

import base64
import sys

import matplotlib
import numpy as np
import pytest

from histoclf.exceptions import MissingDependencyError
from histoclf.report import _inline
from histoclf.report._inline import draw_inline


def line(ax):
    ax.plot([0, 1], [0, 1])
    return "drawn"


def test_a_figure_is_an_svg_and_what_was_drawn_comes_back():
    source, drawn = draw_inline(line, (2, 2))
    head, content = source.split(",")
    assert (head, drawn) == ("data:image/svg+xml;base64", "drawn")
    assert b"<svg" in base64.b64decode(content)


@pytest.mark.parametrize("pixels", [True, False])
def test_the_same_figure_has_the_same_bytes(pixels):
    first, second = (draw_inline(line, (2, 2), pixels=pixels)[0] for _ in range(2))
    assert first == second


def test_many_parts_are_a_png(monkeypatch):
    assert draw_inline(line, (2, 2), pixels=True)[0].startswith("data:image/png;")
    monkeypatch.setattr(_inline, "_LARGEST_VECTOR", 100)
    assert draw_inline(line, (2, 2))[0].startswith("data:image/png;")


def test_the_style_of_the_session_does_not_matter_and_is_kept():
    plain = draw_inline(line, (2, 2))[0]
    with matplotlib.rc_context({"figure.facecolor": "black", "lines.linewidth": 9}):
        assert draw_inline(line, (2, 2))[0] == plain
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_no_figure_is_left_open():
    draw_inline(line, (2, 2))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_an_error_restores_the_style():
    before = matplotlib.rcParams.copy()

    def fail(ax):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        draw_inline(fail, (2, 2))
    assert all(np.all(before[name] == matplotlib.rcParams[name]) for name in ("svg.hashsalt", "font.size"))


def test_without_matplotlib_the_cure_is_named(monkeypatch):
    monkeypatch.setattr("histoclf.networks._optional.is_installed", lambda _: False)
    with pytest.raises(MissingDependencyError, match=r"histoclf\[report\]"):
        draw_inline(line, (2, 2))
