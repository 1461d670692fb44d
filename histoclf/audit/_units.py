"""What a split keeps whole: patients, and those who are linked by images of the same tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from histoclf.audit._duplicates import Duplicates, find_duplicates
from histoclf.classifiers._folds import check_groups
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io._paths import as_paths

_MOST_NAMED = 5


@dataclass(frozen=True)
class Units:
    """Sets of rows that no split may divide.

    Attributes
    ----------
    of_row : ndarray of shape (n_samples,), int
        Number of each row's unit, 0 to n_units - 1.
    members : ndarray of shape (n_members,)
        Patients, or row numbers where patients are unknown.
    of_member : ndarray of shape (n_members,), int
        Number of each member's unit.
    noun : str
        What a member is: "patient" or "row".
    """

    of_row: np.ndarray
    members: np.ndarray
    of_member: np.ndarray
    noun: str

    def __len__(self) -> int:
        return int(self.of_member.max()) + 1

    def name(self, unit: int) -> str:
        """Say which patients or rows a unit is."""
        names = [str(member) for member in self.members[self.of_member == unit]]
        quoted = [f"'{name}'" if self.noun == "patient" else name for name in names[:_MOST_NAMED]]
        if len(names) == 1:
            return f"{self.noun} {quoted[0]}"
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return f"{self.noun}s {', '.join(quoted)}{more} (linked by duplicates)"

    def count(self, n_units: int | None = None) -> str:
        """Say how many units there are, in words."""
        n_units = len(self) if n_units is None else n_units
        linked = "" if len(self) == len(self.members) else "sets of linked "
        return f"{n_units} {linked}{self.noun}{'' if n_units == 1 and not linked else 's'}"


def find_units(groups: Any, clusters: np.ndarray | None, n_samples: int) -> Units:
    """Link patients who share a duplicate, directly or by others.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        Patient of each row; None makes a unit of each row, or of each cluster.
    clusters : ndarray of shape (n_samples,), int, or None
        Cluster of duplicates of each row, 0 to n_clusters - 1.
    n_samples : int
        Number of rows.

    Returns
    -------
    units : Units

    Raises
    ------
    SplitError
        If a row has no patient.
    """
    if groups is None:
        noun, members, member_of = "row", np.arange(n_samples), np.arange(n_samples)
    else:
        noun = "patient"
        members, member_of = np.unique(check_groups(groups, n_samples), return_inverse=True)
    if clusters is None:
        return Units(member_of, members, np.arange(len(members)), noun)
    n_nodes = len(members) + int(clusters.max()) + 1
    graph = coo_array((np.ones(n_samples), (member_of, len(members) + clusters)), shape=(n_nodes, n_nodes))
    of_member = connected_components(graph, directed=False)[1][: len(members)]
    return Units(of_member[member_of], members, of_member, noun)


def find_clusters(duplicates: Any, X: Any, n_samples: int, n_jobs: int | None) -> np.ndarray | None:
    """Understand what is known about duplicates, or search for them.

    Parameters
    ----------
    duplicates : "auto", None, Duplicates, pairs of rows or cluster labels
        As `StratifiedPatientKFold` takes it.
    X : array-like
        Searched if it holds paths or images, and `duplicates` is "auto".
    n_samples : int
        Number of rows.
    n_jobs : int or None
        Threads of the search.

    Returns
    -------
    clusters : ndarray of shape (n_samples,), int, or None
        Cluster of each row, 0 to n_clusters - 1; None if nothing is known.

    Raises
    ------
    ValueError
        If `duplicates` is none of these, or belongs to other rows.
    """
    if duplicates is None:
        return None
    if isinstance(duplicates, str):
        return _search(duplicates, X, n_jobs)
    if isinstance(duplicates, Duplicates):
        if duplicates.n_images != n_samples:
            raise ValueError(_other_rows(f"a search of {duplicates.n_images} images", n_samples))
        return duplicates.clusters
    return _read(np.asarray(duplicates), n_samples)


def _search(duplicates: str, X: Any, n_jobs: int | None) -> np.ndarray | None:
    if duplicates != "auto":
        raise ValueError(
            f"duplicates={duplicates!r}: expected 'auto', None, what find_duplicates returned, pairs of "
            "rows, or a cluster label for each row."
        )
    try:
        return find_duplicates(X, n_jobs=n_jobs).clusters if _holds_images(X) else None
    except (ImageReadError, InputContractError) as error:
        error.add_note("duplicates='auto' reads the images of X to find copies; duplicates=None does not.")
        raise


def _holds_images(X: Any) -> bool:
    if X is None:
        return False
    if as_paths(X) is not None:
        return True
    is_list = isinstance(X, list | tuple) and len(X) > 0
    return (1 + np.ndim(X[0]) if is_list else getattr(X, "ndim", 0)) == 4


def _read(given: np.ndarray, n_samples: int) -> np.ndarray:
    if given.size == 0:
        return np.arange(n_samples)
    if given.shape == (n_samples,):
        return np.unique(given, return_inverse=True)[1]
    if given.ndim != 2 or given.shape[1] != 2 or given.dtype.kind not in "iu":
        raise ValueError(
            f"duplicates has shape {given.shape} and dtype {given.dtype}; expected pairs of row numbers, "
            f"shape (n_pairs, 2), or a cluster label for each of the {n_samples} rows."
        )
    if given.min() < 0 or given.max() >= n_samples:
        raise ValueError(_other_rows(f"pairs with rows {given.min()} to {given.max()}", n_samples))
    return Duplicates(given, np.ones(len(given)), np.zeros(len(given), dtype=bool), n_samples, 0).clusters


def _other_rows(what: str, n_samples: int) -> str:
    return (
        f"duplicates is {what}, but {n_samples} rows are to be split. Expected duplicates among these rows. "
        "Inner splits of a nested cross-validation see a part of the rows: use duplicates='auto' there."
    )
