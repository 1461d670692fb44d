"""What a model keeps of its training data: counts and a fingerprint, no pixels and no patients."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from histoclf.io._fingerprint import are_named, sortable
from histoclf.io._names import read_names
from histoclf.io._paths import as_paths


def describe_training(
    X: Any, y: np.ndarray, groups: Any, keys: np.ndarray, kept: np.ndarray, continued: bool
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
    keys : ndarray of shape (n_samples,)
        Name the images by their content; packed.
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
    return {
        "n_patches": len(kept),
        "n_patients": _count_patients(X, groups, kept),
        "class_counts": [list(pair) for pair in zip(labels.tolist(), counts.tolist(), strict=True)],
        "fingerprint": fingerprint(keys[kept]),
        "continued": continued,
    }


def fingerprint(keys: np.ndarray) -> str:
    """Hash the contents of images, in whatever order they come; those that could not be named are left out.

    Examples
    --------
    >>> from histoclf.io._fingerprint import pack_keys
    >>> keys = pack_keys([b"sixteen bytes, 1", b"sixteen bytes, 2"])
    >>> fingerprint(keys) == fingerprint(keys[::-1])
    True
    """
    named = np.sort(sortable(keys[are_named(keys)]))
    framed = np.empty(len(named), dtype=[("length", ">u2"), ("key", named.dtype)])
    framed["length"], framed["key"] = named.dtype.itemsize, named
    return blake2b(framed.view(np.uint8).data, digest_size=16, person=b"histoclf data").hexdigest()


def _count_patients(X: Any, groups: Any, kept: np.ndarray) -> int | None:
    if groups is None:
        paths = as_paths(X)
        names = None if paths is None else read_names(paths)
        groups = None if names is None else names.groups
    return None if groups is None else len({str(patient) for patient in np.asarray(groups)[kept].tolist()})
