"""Colours that the colour-blind can tell apart, and that mean the same in every display."""

from __future__ import annotations

from typing import Any

import numpy as np

# The palette of M. Okabe and K. Ito (2008), its lightest colours last: the first ones are seen best on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
MODEL, REFERENCE = PALETTE[0], "0.45"  # what is judged, and what it is compared with
NOTHING = "0.8"  # background of a slide, where there is no patch


def class_colours(n_classes: int) -> list[Any]:
    """Return a colour for each class; beyond those of the palette, shades of one scale."""
    if n_classes <= len(PALETTE):
        return list(PALETTE[:n_classes])
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 1, n_classes)))


def probability_map() -> Any:
    """Return the colour map of two classes: the colour of the first at 0, of the second at 1."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("probability", [PALETTE[0], "#F7F7F7", PALETTE[1]])
