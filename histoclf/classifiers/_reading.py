"""What X is: paths, arrays of images, rows of pixels, or a plain table; learned once, then insisted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from histoclf.classifiers._contract import (
    InputContract,
    learn_images,
    learn_table,
    pixel_contract,
)
from histoclf.classifiers._sources import ArraySource, FileSource, ImageSource, Size
from histoclf.exceptions import InputContractError
from histoclf.io._paths import as_paths
from histoclf.io._store import common_size


@dataclass(frozen=True)
class InputFormat:
    """What `fit` learned about X, and `predict` expects again.

    Attributes
    ----------
    kind : {"paths", "images", "rows", "table"}
        Files, a 4-D array, flattened images with `image_shape`, or rows of numbers.
    given_shape : tuple of (int, int, int) or None
        Height, width and channels of one image as given; None for paths, which have any size.
    image_shape : tuple of (int, int, int)
        Height, width and channels that the network is fed.
    contract : InputContract
        Meaning of the values.
    """

    kind: str
    given_shape: tuple[int, int, int] | None
    image_shape: tuple[int, int, int]
    contract: InputContract

    def describe(self) -> str:
        """Say what X was understood to be."""
        height, width, channels = self.image_shape
        dtype = "8-bit" if self.contract.whole else "float"
        return (
            f"X: {self.kind}, values {self.contract.units} ({dtype}); the network sees {height} x {width} "
            f"pixels, {channels} channel{'s' if channels > 1 else ''}, scaled by itself"
        )


def open_training(
    estimator: Any, X: Any, auto_size: Callable[[Size], Size]
) -> tuple[InputFormat, ImageSource]:
    """Learn the format of X.

    Parameters
    ----------
    estimator : object
        With `image_size`, `image_shape`, `n_jobs` and `verbose`.
    X : array-like
        As in `fit`.
    auto_size : callable
        Gives the size that images get where `image_size` is None, from the one that (most of) them have.

    Returns
    -------
    image_format : InputFormat
        For `open_again`.
    source : ImageSource
        What to read the images from.
    """
    paths = as_paths(X)
    if paths is not None:
        estimator.n_features_in_ = 1
        size = _requested_size(estimator.image_size) or auto_size(common_size(paths))
        image_format = InputFormat("paths", None, (*size, 3), pixel_contract())
        return image_format, _file_source(estimator, paths, image_format)
    images, kind = _as_images(estimator, X, reset=True)
    contract = learn_table(images) if kind == "table" else learn_images(images)
    size = images.shape[1:3]
    if kind != "table":
        size = _requested_size(estimator.image_size) or auto_size(size)
    image_format = InputFormat(kind, images.shape[1:], (*size, images.shape[3]), contract)
    return image_format, ArraySource(images, contract, size)


def open_again(estimator: Any, X: Any, image_format: InputFormat) -> ImageSource:
    """Open X as `fit` did, refusing what contradicts it."""
    paths = as_paths(X)
    if paths is not None:
        if image_format.image_shape[2] != 3 or image_format.kind in ("rows", "table"):
            raise InputContractError(
                f"X holds image paths, but fit saw {image_format.kind} with {image_format.image_shape[2]} "
                "channel(s). Expected the same kind of X in both; fit on paths to predict on paths."
            )
        return _file_source(estimator, paths, image_format)
    images, _ = _as_images(estimator, X, reset=False, image_format=image_format)
    _check_shape(images, image_format)
    image_format.contract.check(images)
    return ArraySource(images, image_format.contract, image_format.image_shape[:2])


def shrink_to(side: int, size: Size) -> Size:
    """Reduce a size to at most `side` pixels on the longer side, in proportion."""
    shrink = min(1.0, side / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def _file_source(estimator: Any, paths: np.ndarray, image_format: InputFormat) -> FileSource:
    return FileSource(paths, image_format.image_shape[:2], estimator.n_jobs, int(estimator.verbose))


def _as_images(
    estimator: Any, X: Any, reset: bool, image_format: InputFormat | None = None
) -> tuple[np.ndarray, str]:
    """View X as images of shape (n, height, width, channels)."""
    X = _refuse_ragged(X)
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    if X.shape[:1] == (0,):
        raise InputContractError(
            "X is empty: 0 sample(s). Expected at least one image; check the folder or filter that gave X."
        )
    if len(X.shape) < 3:
        return _rows_as_images(estimator, X, reset, image_format)
    if image_format is not None and image_format.kind in ("rows", "table"):
        raise InputContractError(
            f"X has {len(X.shape)} dimensions, but fit saw a 2-D X. Expected the same: X.reshape(len(X), -1)."
        )
    X = check_array(X, allow_nd=True, dtype="numeric", input_name="X", estimator=estimator)
    _check_four_dimensions(X)
    if reset:
        estimator.n_features_in_ = int(np.prod(X.shape[1:]))
    return X, "images"


def _rows_as_images(
    estimator: Any, X: Any, reset: bool, image_format: InputFormat | None
) -> tuple[np.ndarray, str]:
    if image_format is not None and image_format.kind in ("paths", "images"):
        raise InputContractError(
            f"Expected images of shape (n, {', '.join(map(str, image_format.image_shape))}) or image paths, "
            f"as in fit; got X with {len(X.shape)} dimension(s). For one image pass X[None]; reshape "
            "flattened images."
        )
    X = validate_data(estimator, X, reset=reset, dtype="numeric")
    if estimator.image_shape is None:
        return X.reshape(len(X), 1, -1, 1), "table"
    shape = tuple(estimator.image_shape)
    if np.prod(shape) != X.shape[1]:
        raise InputContractError(
            f"image_shape={shape} has {np.prod(shape)} values, but X has {X.shape[1]} features. Expected "
            "height x width x channels to be the number of columns of X."
        )
    return X.reshape(len(X), *shape), "rows"


def _refuse_ragged(X: Any) -> Any:
    """Turn a list of images into one array, or say that their sizes differ."""
    if not isinstance(X, list | tuple) and getattr(getattr(X, "dtype", None), "kind", "f") != "O":
        return X
    shapes = {np.shape(item) for item in X if isinstance(item, np.ndarray) and item.ndim >= 2}
    if len(shapes) > 1:
        raise InputContractError(
            f"X holds images of {len(shapes)} different sizes: {sorted(shapes)[:5]}. Expected one size; "
            "resize them, or pass file paths, which are resized for you."
        )
    return np.stack(list(X)) if shapes else X


def _check_four_dimensions(X: np.ndarray) -> None:
    if X.ndim == 4 and X.shape[3] in (1, 3):
        return
    if X.ndim == 4 and X.shape[1] in (1, 3):
        cure = "the channels come last: np.moveaxis(X, 1, -1)"
    elif X.ndim == 4:
        cure = f"{X.shape[3]} channels are neither gray nor RGB; drop alpha with X[..., :3]"
    elif X.ndim == 3:
        cure = "for gray images X[..., None], for a single image X[None]"
    else:
        cure = "stack images along the first axis only"
    raise InputContractError(f"X has shape {X.shape}; expected (n_images, height, width, 1 or 3): {cure}.")


def _check_shape(images: np.ndarray, image_format: InputFormat) -> None:
    given, expected = images.shape[1:], image_format.given_shape or image_format.image_shape
    if given[2] != expected[2]:
        raise InputContractError(
            f"X has {given[2]} channel(s), but fit saw {expected[2]}. Expected the same colours in both; "
            "convert gray to RGB with np.repeat(X, 3, axis=-1), or fit on gray images."
        )
    if given[:2] != expected[:2]:
        raise InputContractError(
            f"X has images of {given[0]} x {given[1]} pixels, but fit saw {expected[0]} x {expected[1]}. "
            "Expected the same size and magnification; resize them, or fit and predict on file paths, "
            "which are resized for you."
        )


def _requested_size(image_size: Any) -> Size | None:
    if image_size is None:
        return None
    sides = (image_size, image_size) if isinstance(image_size, Integral) else tuple(image_size)
    if len(sides) != 2 or any(not isinstance(side, Integral) or side < 1 for side in sides):
        raise ValueError(
            f"image_size={image_size!r}: expected a positive number of pixels, or (height, width)."
        )
    return int(sides[0]), int(sides[1])
