"""Cleaning of class labels: one spelling for each class."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, check_consistent_length
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d

from histoclf._validation import StrOptions, fit_context
from histoclf.exceptions import LabelError
from histoclf.preprocessing._label_tables import (
    MISSING,
    MISSING_NAME,
    TABLES,
    alias_synonyms,
    all_synonyms,
    detect_table,
    normal_spelling,
)

__all__ = ["CleaningReport", "LabelChange", "LabelCleaner", "take_rows"]

_SHOWN = 10  # offending labels named in an error message


@dataclass(frozen=True)
class LabelChange:
    """One raw label that was changed."""

    raw: object
    clean: str | None  # None if it was dropped
    count: int
    reason: str  # "spelling", "type" (it was no string), "alias", "table", "missing" or "unknown"

    def __str__(self) -> str:
        clean = "dropped" if self.clean is None else repr(self.clean)
        return f"{self.raw!r} -> {clean}, {self.count} x ({self.reason})"


@dataclass(frozen=True, repr=False)
class CleaningReport:
    """What a `LabelCleaner` changed in the labels that it was fitted on; ``str(report)`` is readable.

    Parameters
    ----------
    changes : tuple of LabelChange
        One entry for each distinct raw label that was changed, kept as unknown or dropped, the most
        frequent first.
    n_labels : int
        Number of labels seen.
    table : str or None
        Name of the built-in table in use.
    """

    changes: tuple[LabelChange, ...]
    n_labels: int
    table: str | None

    @property
    def n_changed(self) -> int:
        """Number of labels that were kept with another spelling or type, or as unknown."""
        return sum(change.count for change in self.changes if change.clean is not None)

    @property
    def n_dropped(self) -> int:
        """Number of labels that were dropped."""
        return sum(change.count for change in self.changes if change.clean is None)

    def __str__(self) -> str:
        head = (
            f"{self.n_labels} labels: {self.n_changed} changed, {self.n_dropped} dropped; table: {self.table}"
        )
        return "\n".join([head, *(f"  {change}" for change in self.changes)])

    __repr__ = __str__


def take_rows(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return the given rows of a list, array of any shape, DataFrame, Series or sparse matrix."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "tocsr"):
        return X.tocsr()[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows.tolist()]


def _distinct(y: ArrayLike) -> tuple[list[Any], NDArray[np.intp]]:
    """Return the distinct raw labels in order of appearance, and for each row the position of its label."""
    if isinstance(y, list | tuple) and not any(isinstance(v, list | tuple | np.ndarray) for v in y):
        labels = list(y)  # np.asarray would turn a NaN among strings into the string "nan"
    else:
        labels = column_or_1d(np.asarray(y), warn=True).tolist()
    # The type belongs to the key because 0 == 0.0 == False.
    positions: dict[tuple[type, Any], int] = {}
    codes = (positions.setdefault((type(label), label), len(positions)) for label in labels)
    rows = np.fromiter(codes, dtype=np.intp, count=len(labels))
    return [label for _, label in positions], rows


def _keeps_length(cleaner: "LabelCleaner") -> bool:
    if cleaner.on_unknown == "drop":
        raise AttributeError(
            'with on_unknown="drop" a LabelCleaner may return fewer labels than it was given, and '
            "transform(y) could not say which: use fit_resample(X, y), which drops the same rows of X, or "
            "fit(y) and clean(y), which returns the rows that were kept as well."
        )
    return True


class LabelCleaner(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Give every class exactly one spelling.

    Works on ``y``, like :class:`sklearn.preprocessing.LabelEncoder`. Labels become strings in a normal
    spelling: lower case, Unicode compatibility forms resolved (full-width digits, non-breaking spaces,
    dashes), invisible characters removed, white space, underscores and hyphens between words turned into one
    space each. A sign at the end is kept: "HER2 (+)" becomes "her2+" and differs from "HER2-". Whole numbers
    are written as integers whatever their type, so that 0, 0.0, "0", "0.0" and "００" all become "0".

    Then synonyms are resolved, by `aliases` and by a built-in table.

    Parameters
    ----------
    aliases : dict, default=None
        Class name to a list of its other spellings: ``{"malignant": ["ca", "M", 1]}``. A spelling need not
        repeat variants that the normal spelling covers. Class names are returned exactly as written
        here. Aliases come before the built-in table and before the spellings of missing labels, so
        ``{"none": []}`` makes "none" a class.
    table : {"auto", "benign_malignant", "idc"} or None, default="auto"
        Built-in table of synonyms. "benign_malignant" leads to "benign" and "malignant", "idc" to
        "idc negative" and "idc positive". A table chosen by name is a closed list: every other
        label is unknown. "auto" uses a table only if it knows *every* label, and at least one of them says
        by itself what it means ("benign", "non-IDC"): plain numbers, "class1", "B" or "yes" alone
        do not, and keep their own name. None uses no table.
    on_unknown : {"raise", "keep", "drop"}, default="raise"
        What to do with unknown labels. In `fit`, unknown is a missing label (None, NaN, pandas.NA, "",
        "n/a", "none", "unknown", ...), and, where `table` is chosen by name, a label that is neither in it
        nor in `aliases`. Afterwards, unknown is whatever does not lead to one of `classes_`. "raise" names
        them in a `LabelError`; "keep" keeps the normal spelling, "unknown" for all missing ones; "drop"
        leaves them out. With "drop", use `fit_resample` or `clean`: `transform` and `fit_transform` are not
        available, because they must not change the number of labels silently.

    Attributes
    ----------
    classes_ : ndarray of str, shape (n_classes,)
        The clean labels met in `fit`, sorted.
    table_ : str or None
        The built-in table in use.
    synonyms_ : dict of str to str
        Normal spelling to class name, of `aliases` and the table in use.
    report_ : CleaningReport
        What was changed in the labels given to `fit`, how often and why; print it.
    sample_indices_ : ndarray of int, shape (n_kept,)
        Only after `fit_resample`: the rows that were kept.

    Raises
    ------
    LabelError
        If labels are unknown and ``on_unknown="raise"``, if none is left, or if `aliases` contradicts itself.

    See Also
    --------
    histoclf.classifiers.LabelCleaningClassifier : Cleans y inside fit and score.

    Notes
    -----
    Cleaning looks at labels only, never at X, so cleaning y before cross-validation leaks nothing, and is the
    simplest way. As a step of an imbalanced-learn ``Pipeline`` choose ``on_unknown="drop"``: that pipeline
    takes a step either as a transformer or as a sampler, and refuses one that offers both.

    Examples
    --------
    >>> from histoclf.preprocessing import LabelCleaner
    >>> cleaner = LabelCleaner()
    >>> cleaner.fit_transform([" Malignant", "BENIGN", "benign_tumour", "M"]).tolist()
    ['malignant', 'benign', 'benign', 'malignant']
    >>> print(cleaner.report_)
    4 labels: 4 changed, 0 dropped; table: benign_malignant
      ' Malignant' -> 'malignant', 1 x (spelling)
      'BENIGN' -> 'benign', 1 x (spelling)
      'M' -> 'malignant', 1 x (table)
      'benign_tumour' -> 'benign', 1 x (table)
    >>> LabelCleaner().fit_transform([0, "0", "1.0", 1.0]).tolist()
    ['0', '0', '1', '1']
    >>> LabelCleaner(table="idc").fit_transform(["class0", "1"]).tolist()
    ['idc negative', 'idc positive']
    >>> X, y = LabelCleaner(on_unknown="drop").fit_resample(["a.png", "b.png"], ["Stroma ", None])
    >>> X, y.tolist()
    (['a.png'], ['stroma'])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "aliases": [dict, None],
        "table": [StrOptions({"auto", *TABLES}), None],
        "on_unknown": [StrOptions({"raise", "keep", "drop"})],
    }

    def __init__(
        self,
        *,
        aliases: dict[Any, Iterable[Any]] | None = None,
        table: str | None = "auto",
        on_unknown: str = "raise",
    ) -> None:
        self.aliases = aliases
        self.table = table
        self.on_unknown = on_unknown

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, y: ArrayLike) -> "LabelCleaner":
        """Learn the classes.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels of any type, types may be mixed.

        Returns
        -------
        self : LabelCleaner
            The fitted cleaner.
        """
        raw, rows = _distinct(y)
        if not raw:
            raise LabelError("y is empty: LabelCleaner needs at least one label to learn the classes from.")
        forms = [normal_spelling(label) for label in raw]
        aliases = alias_synonyms(self.aliases)
        present = {
            normal_spelling(aliases.get(form, form))
            for form in forms
            if form in aliases or form not in MISSING
        }
        self.table_ = detect_table(present) if self.table == "auto" else self.table
        self.synonyms_ = all_synonyms(self.table_, aliases)
        closed = self._is_closed()
        names = self._settle(
            raw, rows, lambda form: not closed or form in self.synonyms_, self.synonyms_.values()
        )
        self.classes_ = np.unique([name for name in names if name is not None])
        if not self.classes_.size:
            raise LabelError(f"No label is left: all {len(rows)} labels in y are missing or unknown.")
        self.report_ = self._report(raw, rows, names, aliases)
        return self

    @available_if(_keeps_length)
    def transform(self, y: ArrayLike) -> NDArray[np.str_]:
        """Clean labels. Not available with ``on_unknown="drop"``.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        y_clean : ndarray of str, shape (n_samples,)
            Clean labels.

        Raises
        ------
        LabelError
            If a label does not lead to one of `classes_` and ``on_unknown="raise"``.
        """
        return self.clean(y)[0]

    @available_if(_keeps_length)
    def fit_transform(self, y: ArrayLike) -> NDArray[np.str_]:
        """Learn the classes and clean the same labels. Not available with ``on_unknown="drop"``.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        y_clean : ndarray of str, shape (n_samples,)
            Clean labels.
        """
        return self.fit(y).clean(y)[0]

    def fit_resample(self, X: Any, y: ArrayLike) -> tuple[Any, NDArray[np.str_]]:
        """Learn the classes, clean the labels and leave out the rows that `on_unknown` drops.

        Parameters
        ----------
        X : list, ndarray of any shape, DataFrame, Series or sparse matrix of n_samples rows
            Images, paths or features. Returned as it is, with no copy, if no row is dropped.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        X_kept : same type as X
            The rows that were kept.
        y_clean : ndarray of str, shape (n_kept,)
            Their clean labels.
        """
        check_consistent_length(X, y)
        y_clean, kept = self.fit(y).clean(y)
        self.sample_indices_ = kept
        return (X if len(kept) == self.report_.n_labels else take_rows(X, kept)), y_clean

    def clean(self, y: ArrayLike) -> tuple[NDArray[np.str_], NDArray[np.intp]]:
        """Clean labels with the classes learned in `fit`, and say which rows were kept.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        y_clean : ndarray of str, shape (n_kept,)
            Clean labels; shorter than y only with ``on_unknown="drop"``.
        kept : ndarray of int, shape (n_kept,)
            The rows of y that they belong to.
        """
        check_is_fitted(self)
        raw, rows = _distinct(y)
        classes = set(self.classes_.tolist())
        names = self._settle(raw, rows, lambda form: self._name(form) in classes, classes)
        kept = np.flatnonzero(np.array([name is not None for name in names], dtype=bool)[rows])
        return np.array([name or "" for name in names], dtype=str)[rows[kept]], kept

    def _name(self, form: str) -> str:
        return MISSING_NAME if self._is_missing(form) else self.synonyms_.get(form, form)

    def _settle(
        self, raw: list[Any], rows: NDArray[np.intp], is_known: Callable[[str], bool], expected: Iterable[str]
    ) -> list[str | None]:
        """Return the name of each distinct label, None for a dropped one, or raise for all unknown ones."""
        forms = [normal_spelling(label) for label in raw]
        unknown = [i for i, form in enumerate(forms) if self._is_missing(form) or not is_known(form)]
        if unknown and self.on_unknown == "raise":
            counts = np.bincount(rows, minlength=len(raw))
            raise LabelError(self._complaint([(raw[i], forms[i], int(counts[i])) for i in unknown], expected))
        dropped = set(unknown) if self.on_unknown == "drop" else set()
        return [None if i in dropped else self._name(form) for i, form in enumerate(forms)]

    def _complaint(self, unknown: list[tuple[Any, str, int]], expected: Iterable[str]) -> str:
        choices = sorted(set(expected))
        pool = sorted({*choices, *self.synonyms_})
        shown = []
        for raw, form, count in unknown[:_SHOWN]:
            close = difflib.get_close_matches(form, pool, n=1, cutoff=0.7)
            guess = f"did you mean {close[0]!r}?" if close else "unknown"
            shown.append(f"{raw!r} ({'missing' if self._is_missing(form) else guess}, {count} x)")
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        classes = f" The classes are {', '.join(map(repr, choices))}." if choices else ""
        return (
            f"y holds missing or unknown labels: {', '.join(shown)}{more}.{classes} Correct them, name their "
            'class with aliases={"class": ["spelling"]}, or choose on_unknown="keep" or "drop".'
        )

    def _report(
        self, raw: list[Any], rows: NDArray[np.intp], names: list[str | None], aliases: dict[str, str]
    ) -> CleaningReport:
        counts = np.bincount(rows, minlength=len(raw)).tolist()
        changes = [
            LabelChange(label, name, count, self._reason(label, name, aliases))
            for label, name, count in zip(raw, names, counts, strict=True)
        ]
        changed = [
            c for c in changes if not (isinstance(c.raw, str) and c.raw == c.clean and c.reason != "unknown")
        ]
        changed.sort(key=lambda change: (-change.count, repr(change.raw)))
        return CleaningReport(tuple(changed), len(rows), self.table_)

    def _reason(self, label: Any, name: str | None, aliases: dict[str, str]) -> str:
        form = normal_spelling(label)
        if self._is_missing(form):
            return "missing"
        if form not in self.synonyms_ and self._is_closed():
            return "unknown"
        if form != normal_spelling(name):
            return "alias" if form in aliases else "table"
        return "spelling" if isinstance(label, str | bytes) else "type"

    def _is_closed(self) -> bool:
        return self.table not in ("auto", None)

    def _is_missing(self, form: str) -> bool:
        return form in MISSING and form not in self.synonyms_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.one_d_labels = True
        return tags
