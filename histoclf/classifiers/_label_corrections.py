"""Decisions about single labels, from the sheet of a label review to the training part of a fold."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf.exceptions import LabelError
from histoclf.io._items import is_content, item_names

COLUMNS = ("item", "given_label", "decision", "new_label")
DECISIONS = ("keep", "relabel", "drop")
_MOST_NAMED = 10
_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # the first character of a formula, protected or not


@dataclass(frozen=True)
class Correction:
    """What was decided about one label: nothing yet, if empty; `new` is empty except for "relabel"."""

    item: str
    given: str
    decision: str
    new: str = ""


@dataclass(frozen=True, repr=False)
class LabelCorrections:
    r"""Decisions about single labels, as a pathologist made them on a review sheet.

    Given to `LabelCleaningClassifier`, they change and drop labels in the training part of each fold; what a
    model is tested on stays as it was. Made by `from_csv`.

    Parameters
    ----------
    corrections : tuple of Correction
        One for each item and label.

    See Also
    --------
    histoclf.review_labels : Finds the labels to decide about.
    histoclf.LabelCleaningClassifier : Applies the decisions.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf import LabelCorrections
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(folder + "/review.csv", "w") as file:
    ...         _ = file.write("item,given_label,decision,new_label\na.png,benign,relabel,malignant\n")
    ...     corrections = LabelCorrections.from_csv(folder + "/review.csv")
    >>> corrections
    LabelCorrections(0 to keep, 1 to relabel, 0 to drop)
    >>> labels, kept = corrections.apply(["a.png", "b.png"], ["benign", "malignant"])
    >>> labels.tolist(), kept.tolist()
    (['malignant', 'malignant'], [0, 1])
    """

    corrections: tuple[Correction, ...]

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> LabelCorrections:
        """Read the file that a review sheet exported, or that was filled in by hand.

        Parameters
        ----------
        path : str or path-like
            CSV file with the columns ``item``, ``given_label``, ``decision`` ("keep", "relabel", "drop", or
            empty for undecided) and ``new_label``. Further columns, semicolons or tabs instead of commas,
            and a byte order mark, as spreadsheets write them, are understood. A quote before "=", "+", "-" or
            "@" at the beginning of a cell, which keeps spreadsheets from computing it, is taken off.

        Returns
        -------
        corrections : LabelCorrections
            What was decided.

        Raises
        ------
        LabelError
            If columns are missing, or lines cannot be understood or contradict each other; it names them.
        FileNotFoundError
            If there is no such file.

        Warns
        -----
        UserWarning
            If lines are repeated, or nothing is decided.
        """
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            head = file.readline()
            file.seek(0)
            table = csv.DictReader(file, delimiter=max(",;\t", key=head.count))
            _check_columns(path, table.fieldnames)
            rows = [(table.line_num, _correction(row)) for row in table]
        _check_lines(path, rows)
        if not any(row.decision for _, row in rows):
            warnings.warn(
                f"'{os.fspath(path)}' has no decision in {len(rows)} lines.", UserWarning, stacklevel=2
            )
        return cls(_merge(path, rows))

    def apply(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Correct labels, and find the rows to keep.

        Items that X does not hold are passed over, since X may be a part of the data; `check` names them.

        Parameters
        ----------
        X : array-like of n_samples rows
            As it was reviewed, or any rows of it in any order.
        y : array-like of shape (n_samples,)
            Labels as they were reviewed. Not changed.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels as decided, of the type of y.
        kept : ndarray of int
            Rows that were not dropped.

        Raises
        ------
        LabelError
            If labels have changed since the review, a new label is no label of y, or nothing would be left.
        """
        y = np.asarray(y)
        names = [str(label) for label in y.tolist()]
        found = self._find(X, names)
        labels_of = dict(zip(names, y.tolist(), strict=True))
        unknown = sorted({c.new for c in found.values() if c.decision == "relabel"} - {*labels_of})
        if unknown:
            raise LabelError(
                f"The corrections have new labels that are none of y: {unknown[:_MOST_NAMED]}. Expected one "
                f"of {sorted(labels_of)}; check the spelling, or drop those items."
            )
        labels = y.copy()
        for row, correction in found.items():
            if correction.decision == "relabel":
                labels[row] = labels_of[correction.new]
        dropped = [row for row, correction in found.items() if correction.decision == "drop"]
        kept = np.setdiff1d(np.arange(len(y)), dropped)
        if not len(kept):
            raise LabelError(f"The corrections drop all {len(y)} samples. Expected some to be left.")
        return labels, kept

    def check(self, X: Any, y: Any) -> None:
        """Refuse corrections that do not belong to all of the data; call it once, before cross-validation.

        Parameters
        ----------
        X : array-like of n_samples rows
            All data.
        y : array-like of shape (n_samples,)
            All labels.

        Raises
        ------
        LabelError
            As `apply`, and if items are not in X. It names them.
        """
        known = {*item_names(X)}
        missing = [c.item for c in self._decided if c.item not in known]
        if missing:
            raise LabelError(
                f"{len(missing)} of {len(self._decided)} items of the corrections are not in X: "
                f"{_name(missing)}.{_hint(missing, known)} Expected the X that was reviewed."
            )
        self.apply(X, y)

    @property
    def _decided(self) -> list[Correction]:
        return [correction for correction in self.corrections if correction.decision]

    def _find(self, X: Any, names: Sequence[str]) -> dict[int, Correction]:
        """Return the correction of each row of X that has one."""
        by_item: dict[str, dict[str, Correction]] = defaultdict(dict)
        for correction in self.corrections:
            by_item[correction.item][correction.given] = correction
        found, changed = {}, []
        items = item_names(X)
        for row, (item, label) in enumerate(zip(items, names, strict=True)):
            decided = by_item.get(item, {})
            if label in decided:
                found[row] = decided[label]
            elif decided and label not in {
                c.new for c in decided.values()
            }:  # else it was corrected at its source
                changed.append(f"{item} (now {label}, then {' and '.join(decided)})")
        if changed:
            raise LabelError(
                f"{len(changed)} labels have changed since they were reviewed: {_name(changed)}. Expected "
                "the labels of the review; give the same y, cleaned in the same way, or review them again."
            )
        if not any(correction.decision for correction in found.values()):
            self._warn_if_misplaced(items)
        return found

    def _warn_if_misplaced(self, items: list[str]) -> None:
        """Warn if nothing fits and it looks like a mistake; a fold may well hold none of a few items."""
        missing = [correction.item for correction in self._decided]
        hint = _hint(missing, items) if missing else ""
        if hint:
            warnings.warn(
                f"None of the {len(missing)} corrected items is in X, so no label was corrected.{hint} "
                "check(X, y) looks at all data at once.",
                UserWarning,
                stacklevel=5,
            )

    def __repr__(self) -> str:
        counts = {name: sum(c.decision == name for c in self.corrections) for name in DECISIONS}
        said = ", ".join(f"{counts[name]} to {name}" for name in DECISIONS)
        return f"LabelCorrections({said})"


def protect_cell(text: str) -> str:
    """Put a quote before what a spreadsheet would compute, such as the label "+1" or a file "=1.png".

    What looks so protected already gets one more, so that `_read_cell` gives back every text as it was.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def _read_cell(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _correction(row: dict[str, Any]) -> Correction:
    item, given, decision, new = (_read_cell(row[name] or "") for name in COLUMNS)
    decision = decision.strip().lower()
    return Correction(item, given, decision, new.strip() if decision == "relabel" else "")


def _check_columns(path: Any, found: Sequence[str] | None) -> None:
    missing = [name for name in COLUMNS if name not in (found or ())]
    if missing:
        raise LabelError(
            f"'{os.fspath(path)}' lacks the columns {missing}; it has {list(found or ())}. Expected the "
            f"file that a review sheet exports: {', '.join(COLUMNS)}."
        )


def _check_lines(path: Any, rows: Iterable[tuple[int, Correction]]) -> None:
    bad = []
    for line, row in rows:
        if row.decision not in ("", *DECISIONS):
            bad.append(f"line {line}: {row.decision!r} is no decision")
        elif row.decision == "relabel" and row.new in ("", row.given):
            bad.append(f"line {line}: relabel needs a new label, another one than {row.given!r}")
        elif not (row.item and row.given):
            bad.append(f"line {line}: item or given_label is empty")
    if bad:
        raise LabelError(
            f"'{os.fspath(path)}' has {len(bad)} lines that cannot be understood: {_name(bad)}. Expected "
            "keep, relabel with a new_label, drop, or no decision."
        )


def _merge(path: Any, rows: list[tuple[int, Correction]]) -> tuple[Correction, ...]:
    """Make one of equal lines, and refuse those that contradict each other; undecided ones never do."""
    lines: dict[tuple[str, str], list[int]] = defaultdict(list)
    decided: dict[tuple[str, str], set[Correction]] = defaultdict(set)
    for line, row in sorted(rows, key=lambda pair: not pair[1].decision):
        if row.decision or not decided[row.item, row.given]:
            lines[row.item, row.given].append(line)
            decided[row.item, row.given].add(row)
    torn = [
        f"{item} (lines {lines[item, given]})" for (item, given), all_ in decided.items() if len(all_) > 1
    ]
    if torn:
        raise LabelError(
            f"'{os.fspath(path)}' decides {len(torn)} items in two ways: {_name(torn)}. Expected one "
            "decision for an item; delete the other lines."
        )
    twice = [f"{item} (lines {found})" for (item, _), found in lines.items() if len(found) > 1]
    if twice:
        warnings.warn(
            f"'{os.fspath(path)}' has {len(twice)} items more than once, always decided in the same way: "
            f"{_name(twice)}.",
            UserWarning,
            stacklevel=3,
        )
    return tuple(next(iter(rows)) for rows in decided.values())


def _name(things: Sequence[str]) -> str:
    return ", ".join(things[:_MOST_NAMED]) + (", ..." if len(things) > _MOST_NAMED else "")


def _hint(missing: Sequence[str], known: Iterable[str]) -> str:
    """Say what may be the reason, if there is a sign of one: only folders differ, or the kind of X."""
    known = list(known)
    if is_content(missing[0]) != is_content(known[0]):
        return " The review was of paths and X holds pixels, or the other way round."
    if is_content(missing[0]):
        return " Pixels are known by their values: in other units or at another size they are not found."
    last = {os.path.basename(name.replace("\\", "/")): name for name in known}
    for item in missing:
        if same := last.get(os.path.basename(item.replace("\\", "/"))):
            return f" '{item}' may be '{same}': the folder is spelled otherwise."
    return ""
