"""Tell image paths from pixels: what counts as a column of paths."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from histoclf.exceptions import InputContractError


def as_paths(X: Any) -> np.ndarray | None:
    """Recognise a column of image paths.

    Parameters
    ----------
    X : array-like
        A 1-D array, list, tuple or Series of `str` or path-like objects, or an array or DataFrame with one
        such column; or anything else.

    Returns
    -------
    paths : ndarray of shape (n_samples,), dtype object, or None
        The paths as `str`, or None if `X` holds no paths at all.

    Raises
    ------
    InputContractError
        If `X` is a single path, mixes paths with other things, or has paths in several columns.

    Examples
    --------
    >>> from pathlib import Path
    >>> from histoclf.io import as_paths
    >>> as_paths([Path("a.png"), "b.png"])
    array(['a.png', 'b.png'], dtype=object)
    >>> as_paths([[0.5, 0.1]]) is None
    True
    """
    if _is_path(X):
        raise InputContractError(
            f"X is the single path {os.fspath(X)!r}, expected a list of paths: pass [path]."
        )
    column = _object_array(X)
    if column is None or not any(map(_is_path, column.flat)):
        return None
    if column.ndim > 1 and column.size != len(column):
        raise InputContractError(
            f"X has paths in an array of shape {column.shape}; expected one column of paths, shape "
            "(n_samples,)."
        )
    return _as_strings(column.ravel())


def _object_array(X: Any) -> np.ndarray | None:
    """`X` as an array of Python objects where it could hold paths; None where it cannot."""
    if isinstance(X, list | tuple):
        if not any(map(_is_path, X)) and not any(isinstance(row, list | tuple) for row in X):
            return None
        try:
            array = np.array(X, dtype=object)
        except ValueError:  # ragged: no column of anything
            return None
    elif hasattr(X, "__array__"):
        if hasattr(X, "dtype") and getattr(X.dtype, "kind", "O") not in "OUT":
            return None
        array = np.asarray(X)
    else:
        return None
    return array.astype(object, copy=False) if array.dtype.kind in "OUT" and array.ndim else None


def _as_strings(column: np.ndarray) -> np.ndarray:
    others = [row for row, item in enumerate(column) if not _is_path(item)]
    if others:
        shown = ", ".join(f"row {row}: {column[row]!r}" for row in others[:10])
        raise InputContractError(
            f"X mixes image paths with {len(others)} other values "
            f"({shown}{', ...' if len(others) > 10 else ''}); expected paths only. Drop those rows or give "
            "them a path."
        )
    return np.array([os.fspath(item) for item in column], dtype=object)


def _is_path(item: Any) -> bool:
    return isinstance(item, str | os.PathLike)
