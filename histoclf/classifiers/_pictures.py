"""Patches as pictures in 0-255: as they were given, and as training sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from histoclf._seeding import draw_seed, make_generator
from histoclf.classifiers._base import BaseHistoClassifier
from histoclf.classifiers._cnn import HistoCNNClassifier
from histoclf.classifiers._reading import open_training
from histoclf.classifiers._sources import ImageSource
from histoclf.classifiers._stages import make_variation
from histoclf.exceptions import InputContractError
from histoclf.io._fingerprint import unpack_keys
from histoclf.io._store import settle_failures
from histoclf.preprocessing._augmentation import augmentation_fields


def read_pictures(X: Any, rows: np.ndarray, image_shape: Any = None) -> np.ndarray:
    """Read some patches at their own size; files of several sizes at the most frequent one.

    Parameters
    ----------
    X : array-like
        Paths, images or rows of pixels: all of them, since the units are recognised from all.
    rows : ndarray of int
        Which ones.
    image_shape : tuple of (int, int, int), default=None
        Of rows of pixels.

    Returns
    -------
    pictures : ndarray of shape (n_rows, height, width, 1 or 3)
        In 0-255.

    Raises
    ------
    InputContractError
        If X is a table of numbers.
    ImageReadError
        If files cannot be decoded.
    """
    reader = HistoCNNClassifier(image_shape=image_shape)
    image_format, source = open_training(reader, X, lambda size: size)
    if image_format.kind == "table":
        raise InputContractError(
            "X holds rows of numbers, which cannot be shown. Expected image paths, images, or flattened "
            "images with image_shape=(height, width, channels)."
        )
    return _read(source, rows)


def find_image_shape(estimator: Any) -> Any:
    """Find the parameter `image_shape` in an estimator, or in what it is wrapped around."""
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    given = [value for name, value in params.items() if name.split("__")[-1] == "image_shape"]
    return next((shape for shape in given if shape is not None), None)


def augment_pictures(
    classifier: BaseHistoClassifier, X: Any, n_variants: int, random_state: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Change patches at random as training of a classifier does, fitted or not.

    Parameters
    ----------
    classifier : HistoCNNClassifier or HistoTransferClassifier
        Its augmentation and its image size count.
    X : array-like
        As in its `fit`.
    n_variants : int
        Changed copies of each patch.
    random_state : int, RandomState instance or None
        Seed of the changes.

    Returns
    -------
    pictures : ndarray of shape (n_samples, height, width, channels)
        As they are, in 0-255.
    variants : ndarray of shape (n_samples, n_variants, height, width, channels)
        Changed.

    Raises
    ------
    ValueError
        If there is no augmentation, or no copy is wanted.
    """
    if n_variants < 1:
        raise ValueError(f"n_variants={n_variants}: expected at least 1 changed copy of each patch.")
    fields = augmentation_fields(classifier.augmentation)
    if fields is None:
        raise ValueError("augmentation=None changes nothing. Expected an Augmentation, or a preset's name.")
    fitted = classifier.__sklearn_is_fitted__()
    source = (classifier if fitted else clone(classifier))._open(X, fitted)[1]
    pictures = _read(source, np.arange(len(source)))
    keys = [key or b"" for key in unpack_keys(source.keys())]
    seed = draw_seed(make_generator(random_state))
    changes = [make_variation(fields, seed, number)[1] for number in range(n_variants)]
    return pictures, np.stack([change(pictures, keys) for change in changes], axis=1)


def _read(source: ImageSource, rows: np.ndarray) -> np.ndarray:
    read = source.read(rows)
    settle_failures(read.failures, read.kept, len(rows), "raise")
    return np.asarray(read.pixels)
