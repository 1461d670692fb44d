"""What a model keeps of its training data: counts and a fingerprint, no pixels and no patients."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np

from histoclf.classifiers._sources import ImageSource
from histoclf.io._names import read_names
from histoclf.io._paths import as_paths


def describe_training(
    X: Any, y: np.ndarray, groups: Any, source: ImageSource, kept: np.ndarray, continued: bool
) -> dict[str, Any]:
    """Say what was learned from, without saying from whom.

    Parameters
    ----------
    X : array-like of n_samples rows
        Where patients are read from if `groups` does not tell and X holds paths whose names do.
    y : ndarray of shape (n_samples,)
        Labels.
    groups : array-like of shape (n_samples,) or None
        Patients.
    source : ImageSource
        Names the images by their content.
    kept : ndarray of int
        Rows that could be read.
    continued : bool
        Whether an earlier fit was gone on with, on data that are not described here.

    Returns
    -------
    description : dict
        ``n_patches``, ``n_patients`` (None if unknown), ``class_counts`` as pairs, ``fingerprint`` and
        ``continued``; plain values that JSON takes.
    """
    labels, counts = np.unique(y[kept], return_counts=True)
    keys = source.keys()
    return {
        "n_patches": len(kept),
        "n_patients": _count_patients(X, groups, kept),
        "class_counts": [list(pair) for pair in zip(labels.tolist(), counts.tolist(), strict=True)],
        "fingerprint": fingerprint(keys[row] for row in kept),
        "continued": continued,
    }


def fingerprint(keys: Iterable[bytes | None]) -> str:
    """Hash the contents of images, in whatever order they come; those that could not be named are left out.

    Examples
    --------
    >>> fingerprint([b"one", b"two"]) == fingerprint([b"two", b"one"])
    True
    """
    state = blake2b(digest_size=16, person=b"histoclf data")
    for key in sorted(key for key in keys if key is not None):
        state.update(len(key).to_bytes(2) + key)
    return state.hexdigest()


def _count_patients(X: Any, groups: Any, kept: np.ndarray) -> int | None:
    if groups is None:
        paths = as_paths(X)
        names = None if paths is None else read_names(paths)
        groups = None if names is None else names.groups
    return None if groups is None else len({str(patient) for patient in np.asarray(groups)[kept].tolist()})
