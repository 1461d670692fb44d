"""From whatever X is to images in 0-255: paths, arrays of images, rows of pixels, or a plain table."""

from __future__ import annotations

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
from histoclf.exceptions import InputContractError
from histoclf.io._decode import resize_image
from histoclf.io._paths import as_paths
from histoclf.io._store import common_size, load_patches

LARGEST_AUTO_SIDE = 96  # pixels: image_size=None never makes a network slower than this

Size = tuple[int, int]


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


@dataclass(frozen=True)
class ReadImages:
    """Images in 0-255, and which rows of X they are.

    Attributes
    ----------
    pixels : ndarray of shape (n_kept, height, width, channels), uint8 or float32
    kept : ndarray of shape (n_kept,), int
        All rows but those of unreadable files under ``on_error="skip"``.
    """

    pixels: np.ndarray
    kept: np.ndarray


def read_training(estimator: Any, X: Any) -> tuple[InputFormat, ReadImages]:
    """Learn the format of X and read it."""
    paths = as_paths(X)
    if paths is not None:
        estimator.n_features_in_ = 1
        size = _requested_size(estimator.image_size) or common_size(paths, limit=LARGEST_AUTO_SIDE)
        read = _load(estimator, paths, size, estimator.on_error)
        return InputFormat("paths", None, (*size, 3), pixel_contract()), read
    images, kind = _as_images(estimator, X, reset=True)
    contract = learn_table(images) if kind == "table" else learn_images(images)
    size = images.shape[1:3] if kind == "table" else _array_size(estimator, images)
    image_format = InputFormat(kind, images.shape[1:], (*size, images.shape[3]), contract)
    return image_format, _read_array(images, image_format)


def read_again(estimator: Any, X: Any, image_format: InputFormat) -> ReadImages:
    """Read X as `fit` did, refusing what contradicts it."""
    paths = as_paths(X)
    if paths is not None:
        if image_format.image_shape[2] != 3 or image_format.kind in ("rows", "table"):
            raise InputContractError(
                f"X holds image paths, but fit saw {image_format.kind} with {image_format.image_shape[2]} "
                "channel(s). Expected the same kind of X in both; fit on paths to predict on paths."
            )
        # Every row needs an answer, so a file that cannot be read is an error here.
        return _load(estimator, paths, image_format.image_shape[:2], "raise")
    images, _ = _as_images(estimator, X, reset=False, image_format=image_format)
    _check_shape(images, image_format)
    image_format.contract.check(images)
    return _read_array(images, image_format)


def _load(estimator: Any, paths: np.ndarray, size: Size, on_error: str) -> ReadImages:
    loaded = load_patches(
        paths, image_size=size, on_error=on_error, n_jobs=estimator.n_jobs, verbose=estimator.verbose
    )
    return ReadImages(loaded.images, loaded.kept)


def _read_array(images: np.ndarray, image_format: InputFormat) -> ReadImages:
    pixels = image_format.contract.to_pixels(images)
    size = image_format.image_shape[:2]
    if pixels.shape[1:3] != size:
        resized = np.empty((len(pixels), *size, pixels.shape[3]), dtype=pixels.dtype)
        for row, image in enumerate(pixels):
            resized[row] = resize_image(image, size)
        pixels = resized
    return ReadImages(pixels, np.arange(len(pixels)))


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


def _array_size(estimator: Any, images: np.ndarray) -> Size:
    requested = _requested_size(estimator.image_size)
    if requested is not None:
        return requested
    height, width = images.shape[1:3]
    shrink = min(1.0, LARGEST_AUTO_SIDE / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))
