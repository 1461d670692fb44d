"""The flips and right-angle turns under which histology looks the same."""

from __future__ import annotations

import numpy as np


def flips_and_turns(images: np.ndarray) -> list[np.ndarray]:
    """Return views of images (n, height, width, channels): eight if they are square, else four."""
    turned = [images]
    if images.shape[1] == images.shape[2]:
        turned.append(images.transpose(0, 2, 1, 3))
    return [view[:, ::up, ::left] for view in turned for up in (1, -1) for left in (1, -1)]


def turn_back(views: list[np.ndarray]) -> list[np.ndarray]:
    """Undo `flips_and_turns`, given one array (n, height, width, ...) for each of its views, in their order.

    A single array is taken for the image as it is.
    """
    flips = [(up, left) for up in (1, -1) for left in (1, -1)]
    upright = [view[:, ::up, ::left] for view, (up, left) in zip(views, flips * 2, strict=False)]
    return [view.swapaxes(1, 2) if number >= len(flips) else view for number, view in enumerate(upright)]
