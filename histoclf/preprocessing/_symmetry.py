"""The flips and right-angle turns under which histology looks the same."""

from __future__ import annotations

import numpy as np


def flips_and_turns(images: np.ndarray) -> list[np.ndarray]:
    """Return views of images (n, height, width, channels): eight if they are square, else four."""
    turned = [images]
    if images.shape[1] == images.shape[2]:
        turned.append(images.transpose(0, 2, 1, 3))
    return [view[:, ::up, ::left] for view in turned for up in (1, -1) for left in (1, -1)]
