"""Images that X stands for: named by their content at once, read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from histoclf.classifiers._contract import InputContract
from histoclf.io._decode import resize_image
from histoclf.io._fingerprint import array_keys, pack_keys, packed_file_keys
from histoclf.io._store import decode_files

Size = tuple[int, int]


@dataclass(frozen=True)
class ReadImages:
    """Images in 0-255, or what a classifier made of them, and which rows of X they are.

    Attributes
    ----------
    pixels : ndarray of shape (n_kept, height, width, channels), uint8 or float32
        Or what a classifier makes of them at once.
    kept : ndarray of shape (n_kept,), int
        All rows but those of unreadable files.
    failures : dict of str to str
        Unreadable files and why.
    keys : ndarray or None
        Packed keys of all rows, if they were needed on the way.
    """

    pixels: Any
    kept: np.ndarray
    failures: dict[str, str]
    keys: np.ndarray | None = None


class ImageSource(Protocol):
    """What classifiers and transformers read images from."""

    def __len__(self) -> int:
        """Count the images."""

    def keys(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Name (some of) the images by their content: packed keys, None where that is impossible."""

    def read(self, rows: np.ndarray | None = None) -> ReadImages:
        """Read (some rows of) the images in 0-255 at the network's size; `kept` counts within `rows`."""


@dataclass(frozen=True)
class FileSource:
    """Images in files.

    Attributes
    ----------
    paths : ndarray of shape (n_images,), object
        Files.
    size : tuple of (int, int)
        Height and width to resize to.
    n_jobs : int or None
        Decoding threads.
    verbose : int
        1 shows progress.
    """

    paths: np.ndarray
    size: Size
    n_jobs: int | None
    verbose: int

    def __len__(self) -> int:
        return len(self.paths)

    def keys(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Name each file by its bytes."""
        return packed_file_keys(self.paths if rows is None else self.paths[rows])

    def read(self, rows: np.ndarray | None = None) -> ReadImages:
        """Decode files."""
        paths = self.paths if rows is None else self.paths[rows]
        verbose = self.verbose if rows is None else 0  # who reads in parts has a progress bar of his own
        loaded = decode_files(paths, image_size=self.size, n_jobs=self.n_jobs, verbose=verbose)
        return ReadImages(loaded.images, loaded.kept, loaded.failures)


@dataclass(frozen=True)
class ArraySource:
    """Images in an array (n, height, width, channels), in the units of the contract.

    Attributes
    ----------
    images : ndarray
        As the user gave them.
    contract : InputContract
        Meaning of the values.
    size : tuple of (int, int)
        Height and width to resize to.
    """

    images: np.ndarray
    contract: InputContract
    size: Size

    def __len__(self) -> int:
        return len(self.images)

    def keys(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Name each image by its values as given: the same pixels in other units have other names."""
        return pack_keys(array_keys(self.images if rows is None else self.images[rows]))

    def read(self, rows: np.ndarray | None = None) -> ReadImages:
        """Convert to 0-255 and resize."""
        pixels = self.contract.to_pixels(self.images if rows is None else self.images[rows])
        if pixels.shape[1:3] != self.size:
            resized = np.empty((len(pixels), *self.size, pixels.shape[3]), dtype=pixels.dtype)
            for row, image in enumerate(pixels):
                resized[row] = resize_image(image, self.size)
            pixels = resized
        return ReadImages(pixels, np.arange(len(pixels)), {})
