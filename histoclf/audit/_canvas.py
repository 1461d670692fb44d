"""What duplicates are looked for in: gray squares of one size, and names of the images' content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from histoclf.audit._keypoints import SIDE
from histoclf.classifiers._contract import learn_images
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io._decode import probe_size, resize_image
from histoclf.io._fingerprint import array_keys, file_keys
from histoclf.io._paths import as_paths
from histoclf.io._store import load_patches, unreadable

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_BLOCK = 1024  # images in colour at a time
_SMALLEST = 16  # pixels: enlarged to the square, smaller images are smooth, and alike by chance
_FLAT = 2.0  # gray levels: standard deviation below which an image shows nothing


@dataclass(frozen=True)
class Canvases:
    """Gray images.

    Attributes
    ----------
    gray : ndarray of shape (n_images, SIDE, SIDE), uint8
        The longer side fills the square; beyond the shorter one the image goes on mirrored.
    keys : ndarray of shape (n_images,), object
        Name of each image's content, in bytes.
    items : ndarray of shape (n_images,), object
        What the user calls them: paths, or row numbers.
    large : ndarray of shape (n_images,), bool
        Whether each had enough pixels for its structure to tell it from others.
    """

    gray: np.ndarray
    keys: np.ndarray
    items: np.ndarray
    large: np.ndarray

    def __len__(self) -> int:
        return len(self.gray)

    @property
    def flat(self) -> np.ndarray:
        """Whether each image is blank: two of them are the same, and that says nothing."""
        return np.array([image.std() < _FLAT for image in self.gray], dtype=bool)


def open_canvases(
    X: Any,
    *,
    image_shape: tuple[int, int, int] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    name: str = "X",
) -> Canvases:
    """Read images.

    Parameters
    ----------
    X : array-like of n_images rows
        Paths of image files; images of shape (n_images, height, width, 1 or 3) in any units that the
        classifiers take; or the same flattened, with `image_shape`.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of flattened images.
    n_jobs : int, default=None
        Threads that decode files.
    verbose : int, default=0
        1 shows progress.
    name : str, default="X"
        What the caller calls X, for messages.

    Returns
    -------
    canvases : Canvases

    Raises
    ------
    ImageReadError
        If files cannot be read. It names every one.
    InputContractError
        If X holds no images.
    """
    paths = as_paths(X)
    if paths is not None:
        return _from_files(paths, n_jobs, verbose)
    images = _as_images(X, image_shape, name)
    pixels = _whole(learn_images(images).to_pixels(images))
    size = _fitted(images.shape[1:3])
    gray = np.stack([_square(_to_gray(resize_image(image, size)[np.newaxis]))[0] for image in pixels])
    large = np.full(len(images), max(images.shape[1:3]) >= _SMALLEST)
    return Canvases(gray, _objects(array_keys(pixels)), _objects(range(len(images))), large)


def _from_files(paths: np.ndarray, n_jobs: int | None, verbose: int) -> Canvases:
    gray = np.empty((len(paths), SIDE, SIDE), dtype=np.uint8)
    sizes = _sizes(paths)
    with tqdm(total=len(paths), desc="Reading images", unit="file", disable=verbose < 1) as bar:
        for size, rows in _blocks_of_one_shape([_fitted(size) for size in sizes]):
            colour = load_patches(paths[rows], image_size=size, n_jobs=n_jobs).images
            gray[rows] = _square(_to_gray(colour))
            bar.update(len(rows))
    large = np.array([max(size) >= _SMALLEST for size in sizes], dtype=bool)
    return Canvases(gray, _objects(file_keys(paths)), paths, large)


def _sizes(paths: np.ndarray) -> list[tuple[int, int]]:
    sizes, failures = [], {}
    for path in paths:
        try:
            sizes.append(probe_size(path))
        except ImageReadError as error:
            failures.update(error.failures)
    if failures:
        raise unreadable(failures, len(paths))
    return sizes


def _blocks_of_one_shape(sizes: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Group files by the size that fits the square: most often all have one."""
    for size in sorted(set(sizes)):
        rows = np.flatnonzero([other == size for other in sizes])
        for start in range(0, len(rows), _BLOCK):
            yield size, rows[start : start + _BLOCK]


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    grow = SIDE / max(height, width)
    return max(1, round(height * grow)), max(1, round(width * grow))


def _square(gray: np.ndarray) -> np.ndarray:
    missing = [(0, SIDE - side) for side in gray.shape[1:3]]
    return np.pad(gray, [(0, 0), *missing], mode="symmetric")


def _to_gray(images: np.ndarray) -> np.ndarray:
    if images.shape[3] == 1:
        return images[..., 0]
    return np.rint(images.astype(np.float32) @ _LUMA).astype(np.uint8)


def _whole(pixels: np.ndarray) -> np.ndarray:
    """Round to 8 bits, so that the same image in other units has the same name."""
    return pixels if pixels.dtype == np.uint8 else np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _as_images(X: Any, image_shape: tuple[int, int, int] | None, name: str) -> np.ndarray:
    X = np.asarray(X)
    if X.ndim == 2 and image_shape is not None:
        X = X.reshape(len(X), *image_shape)
    if X.ndim != 4 or X.shape[3] not in (1, 3):
        raise InputContractError(
            f"{name} has shape {X.shape}, which are no images. Expected paths of image files, images of "
            "shape (n, height, width, 1 or 3), or the same flattened beside image_shape."
        )
    return X


def _objects(values: Any) -> np.ndarray:
    values = list(values)
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
