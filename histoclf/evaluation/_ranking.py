"""In which order doubtful labels are looked at: conflicts between duplicates, then the least likely ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from histoclf.evaluation._confident_learning import normalized_margin, self_confidence
from histoclf.evaluation._label_review import CONFLICT, UNLIKELY, LabelIssue


@dataclass(frozen=True)
class Table:
    """All that is known of each sample.

    Attributes
    ----------
    items : list of str
        Names.
    classes : ndarray of shape (n_classes,)
        Labels.
    codes : ndarray of shape (n_samples,), int
        Given labels as class numbers.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    probabilities : ndarray of shape (n_samples, n_classes)
        Out of fold; NaN in rows that were not tested.
    """

    items: list[str]
    classes: np.ndarray
    codes: np.ndarray
    groups: np.ndarray | None
    probabilities: np.ndarray


def join_duplicates(duplicates: Iterable[Sequence[int]], n_samples: int) -> list[np.ndarray]:
    """Join pairs and sets of rows that overlap, each set sorted.

    Raises
    ------
    ValueError
        If one is no set of at least two rows.
    """
    sets = [np.unique(np.asarray(rows)) for rows in duplicates]
    bad = [rows.tolist() for rows in sets if not _are_rows(rows, n_samples)]
    if bad:
        raise ValueError(
            f"duplicates has {len(bad)} entries that are no sets of rows: {bad[:10]}. Expected at least two "
            f"different row numbers each, from 0 to {n_samples - 1}."
        )
    names = _components(sets, n_samples)
    members = np.unique(np.concatenate(sets)) if sets else np.arange(0)
    return [members[names[members] == name] for name in np.unique(names[members])]


def link_patients(groups: np.ndarray | None, twins: list[np.ndarray], n_samples: int) -> np.ndarray | None:
    """Make one group of the patients who share a duplicate; without both there are none."""
    if not twins:
        return groups
    patients = np.arange(n_samples) if groups is None else np.unique(groups, return_inverse=True)[1]
    return _components([patients[rows] for rows in twins], n_samples)[patients]


def rank_issues(
    table: Table, twins: list[np.ndarray], wrong: np.ndarray, rank_by: str
) -> tuple[LabelIssue, ...]:
    """List what is doubtful.

    Parameters
    ----------
    table : Table
        Of all samples.
    twins : list of ndarray of int
        Rows that show the same; only sets of several labels count.
    wrong : ndarray of shape (n_samples,), bool
        What confident learning found.
    rank_by : {"normalized_margin", "self_confidence"}
        Which score.

    Returns
    -------
    issues : tuple of LabelIssue
        Members of a conflict stand together, and at its most doubtful member's place.
    """
    confidence = self_confidence(table.codes, table.probabilities)
    margin = normalized_margin(table.codes, table.probabilities)
    score = np.nan_to_num(margin if rank_by == "normalized_margin" else confidence, nan=0.5)
    conflicts = [rows for rows in twins if len(np.unique(table.codes[rows])) > 1]
    conflicts.sort(key=lambda rows: score[rows].min())
    wrong = wrong.copy()
    found = []

    def add(row: int, suggested: int, reason: str, others: Iterable[int] = ()) -> None:
        found.append(
            LabelIssue(
                row=int(row),
                item=table.items[row],
                patient=None if table.groups is None else str(table.groups[row]),
                given=table.classes[table.codes[row]].item(),
                suggested=table.classes[suggested].item(),
                self_confidence=float(confidence[row]),
                normalized_margin=float(margin[row]),
                reason=reason,
                duplicates=tuple(int(other) for other in others if other != row),
            )
        )

    for rows in conflicts:
        right = _settle(table, rows)
        for row in rows:
            add(row, right, CONFLICT, rows)
        wrong[rows] = False
    for row in np.flatnonzero(wrong)[np.argsort(score[wrong], kind="stable")]:
        add(row, int(table.probabilities[row].argmax()), UNLIKELY)
    return tuple(found)


def _settle(table: Table, rows: np.ndarray) -> int:
    """Return the label of most duplicates, of equally many the one that is more probable."""
    votes = np.bincount(table.codes[rows], minlength=len(table.classes))
    probabilities = np.nan_to_num(table.probabilities[rows]).mean(axis=0)
    return int(np.where(votes == votes.max(), probabilities, -1).argmax())


def _are_rows(rows: np.ndarray, n_samples: int) -> bool:
    is_set = rows.dtype.kind in "iu" and len(rows) > 1
    return bool(is_set and rows[0] >= 0 and rows[-1] < n_samples)


def _components(sets: list[np.ndarray], n: int) -> np.ndarray:
    """Return the number of each thing's set, of those that are linked, directly or by others, shape (n,)."""
    pairs = [(rows[0], other) for rows in sets for other in rows[1:]]
    starts, ends = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (starts, ends)), shape=(n, n))
    return connected_components(graph, directed=False)[1]
