"""Cross-validation that keeps patients and copies together, and says when it cannot be fair."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.validation import check_consistent_length

from histoclf._seeding import make_generator
from histoclf.audit._balance import deal
from histoclf.audit._fairness import find_unfair, refuse_missing, refuse_too_few
from histoclf.audit._units import Units, find_clusters, find_units
from histoclf.classifiers._labels import check_labels
from histoclf.exceptions import SplitError, UnfairSplitWarning


class StratifiedPatientKFold(StratifiedGroupKFold):
    """Stratified folds of equal size that keep patients and duplicates together.

    Patients, passed as `groups`, are never on both sides of a split, nor are images that show the same
    tissue: patients who share a duplicate are kept together. Each fold is given its share of each class and
    of all samples, as nearly as whole patients allow. Where that is not near, a warning says which patients
    and classes are the cause; where a class would be missing from a training part, an error does. It is used
    as ``cv=`` anywhere in scikit-learn.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    duplicates : "auto", None, Duplicates or array-like, default="auto"
        Which rows show the same tissue. "auto" searches X if it holds paths or images, not if it holds rows
        of numbers, at each call of `split`. None searches nothing. To search once, pass what
        `histoclf.audit.find_duplicates` returned for the same rows; or pairs of row numbers, shape
        (n_pairs, 2); or a cluster label for each row.
    shuffle : bool, default=True
        Whether `random_state` has a say. False always gives the same folds.
    random_state : int, RandomState instance or None, default=None
        Which of about equally good folds are taken. Pass an int for the same folds in every call. Where
        patients are few, one set of folds may be best for all seeds.
    n_jobs : int, default=None
        Threads of the search for duplicates, as in `histoclf.audit.find_duplicates`.

    Notes
    -----
    Patients, or sets of linked ones, are dealt to folds by size, the largest first, each to the fold that it
    unbalances least. Then single ones are moved and pairs are swapped until nothing helps. The best of up to
    20 such starts is kept: the one with fewest folds without a class, and then the least sum of two values
    of Pearson's chi-square, that of the samples of each class in each fold and that of the samples in each
    fold, both against equal folds.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf import StratifiedPatientKFold
    >>> y = np.repeat(["benign", "malignant"], 50)
    >>> patients = np.repeat(list("abcdefgh"), [25, 10, 5, 10, 20, 15, 10, 5])
    >>> cv = StratifiedPatientKFold(2, random_state=0)
    >>> for train, test in cv.split(np.zeros(100), y, patients):
    ...     shared = set(patients[train]) & set(patients[test])
    ...     print(len(test), (y[test] == "malignant").sum(), len(shared))
    50 25 0
    50 25 0
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        duplicates: Any = "auto",
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)
        self.duplicates = duplicates
        self.n_jobs = n_jobs

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate row numbers of training and test parts.

        Parameters
        ----------
        X : array-like of n_samples rows
            Paths, images or rows of numbers. It is looked at only if ``duplicates="auto"``.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), default=None
            Patient of each row. None is unknown: only duplicates are kept together then, and patches of one
            patient may be on both sides.

        Yields
        ------
        train : ndarray of int
            Rows to train on, sorted.
        test : ndarray of int
            Rows to test on, sorted. Each row is tested once.

        Raises
        ------
        SplitError
            If there are fewer patients than folds, or a training part would lack a class.
        ImageReadError
            If duplicates are searched for and files cannot be read.
        ValueError
            If labels are missing or not discrete, or `duplicates` does not belong to these rows.
        """
        if y is None:
            raise SplitError(
                "y is None; expected the labels, so that each fold can be given its share of them."
            )
        check_consistent_length(X, y, groups)
        y = check_labels(y)
        clusters = find_clusters(self.duplicates, X, len(y), self.n_jobs)
        units = find_units(groups, clusters, len(y))
        fold_of_row = self._deal(y, units)[units.of_row]
        for fold in range(self.n_splits):
            yield np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)

    def _deal(self, y: np.ndarray, units: Units) -> np.ndarray:
        refuse_too_few(units, self.n_splits)
        classes, codes = np.unique(y, return_inverse=True)
        table = np.zeros((len(units), len(classes)), dtype=np.int64)
        np.add.at(table, (units.of_row, codes), 1)
        generator = make_generator(self.random_state if self.shuffle else 0)
        fold_of = deal(table, self.n_splits, generator)
        refuse_missing(table, units, classes, fold_of, self.n_splits)
        for finding in find_unfair(table, units, classes, fold_of, self.n_splits):
            warnings.warn(finding, UnfairSplitWarning, stacklevel=3)
        return fold_of
