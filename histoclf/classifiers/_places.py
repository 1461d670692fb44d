"""Which slide a patch is from, and where on it: as given, or as file names tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length

from histoclf.classifiers._folds import check_groups
from histoclf.io._names import read_names
from histoclf.io._paths import as_paths
from histoclf.preprocessing._labels import take_rows


@dataclass(frozen=True)
class Places:
    """Slides and positions of some patches.

    Attributes
    ----------
    groups : ndarray of shape (n_samples,)
        Slide of each patch.
    coords : ndarray of shape (n_samples, 2), float64
        Position on it.
    """

    groups: np.ndarray
    coords: np.ndarray

    def take(self, rows: np.ndarray) -> Places:
        """Return those of some patches, in the order asked for."""
        return Places(self.groups[rows], self.coords[rows])

    def slides(self) -> Iterator[slice]:
        """Find the rows of each slide, where all patches of a slide stand together."""
        starts = np.flatnonzero(self.groups[1:] != self.groups[:-1]) + 1
        return (slice(*ends) for ends in pairwise([0, *starts.tolist(), len(self.groups)]))


def find_places(X: Any, groups: Any, coords: Any) -> Places:
    """Take slides and positions as given, or else from the names of files.

    Parameters
    ----------
    X : array-like of n_samples rows
        Patches; their names are asked only for what is not given.
    groups : array-like of shape (n_samples,) or None
        Slides.
    coords : array-like of shape (n_samples, 2) or None
        Positions.

    Returns
    -------
    places : Places
        In the order of X.

    Raises
    ------
    ValueError
        If slides or positions are unknown, or not one for each patch.
    SplitError
        If groups lacks patches.
    """
    if groups is None or coords is None:
        paths = as_paths(X)
        names = None if paths is None else read_names(paths)
        groups = names.groups if names is not None and groups is None else groups
        coords = names.coords if names is not None and coords is None else coords
    missing = [name for name, value in (("groups", groups), ("coords", coords)) if value is None]
    if missing:
        raise ValueError(_explain(missing))
    check_consistent_length(X, groups, coords)
    coords = _check_coords(coords)
    return Places(check_groups(groups, len(coords)), coords)


def _explain(missing: list[str]) -> str:
    return (
        f"The neighbours of a patch are found by its slide (groups) and its position on it (coords), but "
        f"{' and '.join(missing)} are unknown. Expected "
        "groups=slides, coords=positions of shape (n_samples, 2), in fit and in every predict (inside other "
        "tools by metadata routing: set_fit_request(groups=True, coords=True), set_predict_request, "
        "set_predict_proba_request, set_score_request); or X as paths that tell both, such as "
        "8863_idx5_x51_y1251_class1.png."
    )


def _check_coords(coords: Any) -> np.ndarray:
    coords = check_array(coords, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="coords")
    if coords.shape != (len(coords), 2):
        raise ValueError(
            f"coords has shape {coords.shape}; expected x and y of each patch on its slide, "
            f"({len(coords)}, 2)."
        )
    return coords


def canonical_order(X: Any, places: Places) -> np.ndarray:
    """Sort patches by slide and position, so that nothing can depend on the order they came in.

    Parameters
    ----------
    X : array-like of n_samples rows
        Patches; those at one and the same position are sorted by what they hold.
    places : Places
        Slides and positions.

    Returns
    -------
    order : ndarray of shape (n_samples,), int
        Row numbers.
    """
    codes = np.unique(places.groups, return_inverse=True)[1]
    keys = (places.coords[:, 1], places.coords[:, 0], codes)
    order = np.lexsort(keys)
    same = np.all([key[order][1:] == key[order][:-1] for key in keys], axis=0)
    if not same.any():
        return order
    shared = np.sort(order[np.append(same, False) | np.append(False, same)])
    content = np.zeros(len(codes), dtype=np.intp)
    content[shared] = _rank(take_rows(X, shared))
    return np.lexsort((content, *keys))


def _rank(X: Any) -> np.ndarray:
    """Rank rows by their content; the same content has the same rank."""
    paths = as_paths(X)
    if paths is not None:
        return np.unique(paths.astype(str), return_inverse=True)[1]
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if not X.size:
        return np.zeros(len(X), dtype=np.intp)
    table = X.reshape(len(X), -1).astype(str if X.dtype == object else X.dtype)
    rows = np.ascontiguousarray(table).view(np.dtype((np.void, table.itemsize * table.shape[1]))).ravel()
    return np.unique(rows, return_inverse=True)[1]
