"""Small pictures of patches, as addresses that hold the picture itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from histoclf.classifiers._contract import learn_images
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io._decode import decode_image, encode_webp, resize_image
from histoclf.io._paths import as_paths
from histoclf.report._page import to_data_uri

SIDE = 128  # pixels; nuclei are still told apart, and a patch takes some 5 kB


def make_thumbnails(
    X: Any, rows: Iterable[int], *, side: int = SIDE, image_shape: tuple[int, int, int] | None = None
) -> list[str | None]:
    """Make small pictures of some rows of X.

    Parameters
    ----------
    X : array-like of n_samples rows
        Paths of image files; images of shape (n_samples, height, width, 1 or 3) in 0-255, 0-1 or -1-1; or the
        same flattened, with `image_shape`.
    rows : iterable of int
        Which of them. No other file is opened.
    side : int, default=128
        Pixels of the longer side; smaller images keep their size.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of flattened images.

    Returns
    -------
    sources : list of str or None
        ``data:image/webp;...`` for each row, for a `Figure`; None for a file that cannot be read.

    Raises
    ------
    InputContractError
        If X holds no images.
    """
    paths = as_paths(X)
    if paths is not None:
        return [_of_file(paths[row], side) for row in rows]
    images, chosen = _as_images(X, image_shape), list(rows)
    pixels = learn_images(images).to_pixels(images[chosen])
    return [_of_pixels(np.clip(np.rint(image), 0, 255).astype(np.uint8), side) for image in pixels]


def _of_file(path: str, side: int) -> str | None:
    try:
        return _of_pixels(decode_image(path), side)
    except ImageReadError:  # a page with a hole in it is better than none
        return None


def _of_pixels(image: np.ndarray, side: int) -> str:
    shrink = min(1.0, side / max(image.shape[:2]))
    size = (max(1, round(image.shape[0] * shrink)), max(1, round(image.shape[1] * shrink)))
    small = resize_image(image, size)
    return to_data_uri(encode_webp(small if small.shape[2] == 3 else small[..., 0]), "image/webp")


def _as_images(X: Any, image_shape: tuple[int, int, int] | None) -> np.ndarray:
    X = np.asarray(X)
    if X.ndim == 2 and image_shape is not None:
        X = X.reshape(len(X), *image_shape)
    if X.ndim != 4 or X.shape[3] not in (1, 3):
        raise InputContractError(
            f"X has shape {X.shape}, of which no pictures can be made. Expected paths of image files, "
            "images of shape (n, height, width, 1 or 3), or the same flattened beside image_shape."
        )
    return X
