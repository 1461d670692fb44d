"""One picture of the whole suite: how far each comparison is from its peer, and from its bar."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from _comparison import Comparison

# Colours that colour-blind readers tell apart (Okabe & Ito); the shapes differ as well.
STYLES: dict[str, dict[str, Any]] = {
    "met": {"marker": "o", "color": "#0072B2", "label": "bar met"},
    "missed": {"marker": "X", "color": "#D55E00", "label": "bar missed"},
    "": {"marker": "D", "color": "#666666", "label": "no bar"},
}
_WIDTH, _ROW, _FRAME = 10.0, 0.34, 1.3  # inches
_LONGEST = 78  # characters of a label
LEAST = 1e-4  # a logarithmic axis has neither zero (0.000 s) nor infinity (a target that was never reached)


def plot(comparisons: list[Comparison], path: Path) -> None:
    """Draw a dot for the median of each comparison, a line for its rounds, and a tick for the bar.

    Parameters
    ----------
    comparisons : list of Comparison
        Drawn from top to bottom on a logarithmic axis. A bar of seconds or megabytes has no peer: drawn is
        the share of it that was used.
    path : Path
        Of the SVG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _FRAME + _ROW * len(comparisons)), layout="constrained")
    axes = figure.add_subplot()
    for row, each in enumerate(comparisons):
        _draw(axes, row, each)
    axes.axvline(1.0, color="0.8", linewidth=1, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ours / theirs (without a peer: share of what is allowed)")
    axes.set_yticks(range(len(comparisons)), [label(each) for each in comparisons], fontsize=8)
    axes.set_ylim(len(comparisons) - 0.5, -0.5)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(figure, axes)
    figure.savefig(path, format="svg")


def label(each: Comparison) -> str:
    """Name the work, and the peer if there is one; cut at a word where it gets long."""
    text = f"{each.work}: {each.peer}" if each.theirs else each.work
    return text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0] + " ..."


def shares(each: Comparison) -> tuple[list[float], float | None]:
    """Return what is drawn, each round's ratio, and where the bar is."""
    if not each.bar:
        return each.values, None
    limit = each.limit
    if each.theirs or limit <= 0:
        return each.values, limit
    return [value / limit for value in each.values], 1.0


def _draw(axes: Any, row: int, each: Comparison) -> None:
    values, bar = shares(each)
    values = [min(max(value, LEAST), 1 / LEAST) for value in values]
    style = STYLES[each.verdict]
    axes.plot([min(values), max(values)], [row, row], color=style["color"], linewidth=2)
    axes.plot(median(values), row, linestyle="", markersize=7, **style)
    if bar is not None:
        arrow = ">" if each.bar.startswith("at least") else "<"
        axes.plot(bar, row, marker="|", markersize=15, markeredgewidth=2, color="black")
        axes.annotate(
            arrow,
            (bar, row),
            (5 if arrow == ">" else -5, 0),
            textcoords="offset points",
            va="center",
            ha="left" if arrow == ">" else "right",
            fontsize=8,
        )


def _legend(figure: Any, axes: Any) -> None:
    """Name each sign once."""
    handles, labels = axes.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    figure.legend(known.values(), known.keys(), loc="outside upper right", ncols=len(known), frameon=False)
