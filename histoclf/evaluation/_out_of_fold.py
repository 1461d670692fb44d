"""Fit a clone on each training part, and take its probabilities for the part it has not seen."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from histoclf.classifiers._folds import Folds
from histoclf.classifiers._metadata import takes
from histoclf.preprocessing._labels import take_rows


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave.

    Attributes
    ----------
    probabilities : ndarray of shape (n_tested, n_classes)
        Of the tested rows.
    seconds : float
        Time that the fit took.
    warnings : list of str
        What the fit and the prediction warned of.
    """

    probabilities: np.ndarray
    seconds: float
    warnings: list[str]


@dataclass(frozen=True)
class Task:
    """All that a fold needs, except for its rows.

    Attributes
    ----------
    estimator : classifier
        Not fitted, and not changed.
    X : list or array of n_samples rows
        Images.
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    coords : ndarray of shape (n_samples, 2) or None
        Positions on the patients' slides.
    folds : list of (train, test)
        Row numbers.
    """

    estimator: Any
    X: Any
    y: np.ndarray
    groups: np.ndarray | None
    coords: np.ndarray | None
    folds: Folds

    def metadata(self, method: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Patients and positions, as far as they are known and a method of the estimator takes them."""
        known = {"groups": self.groups, "coords": self.coords}
        return {
            name: values[rows]
            for name, values in known.items()
            if values is not None and takes(self.estimator, method, name)
        }


def run_folds(task: Task, *, n_jobs: int | None = None, verbose: int = 0) -> list[FoldResult]:
    """Run every fold, `n_jobs` at a time."""
    jobs = (delayed(_run_fold)(task, number, verbose) for number in range(len(task.folds)))
    return list(Parallel(n_jobs=n_jobs)(jobs))


def stack_probabilities(results: list[FoldResult], folds: Folds, n_samples: int) -> np.ndarray:
    """Put the folds' probabilities into the order of X; NaN in rows that no fold tested."""
    probabilities = np.full((n_samples, results[0].probabilities.shape[1]), np.nan)
    for result, (_, test) in zip(results, folds, strict=True):
        probabilities[test] = result.probabilities
    return probabilities


def gather_warnings(results: list[FoldResult]) -> list[str]:
    """Say each warning once, with the folds that it came from."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, result in enumerate(results, start=1):
        for text in dict.fromkeys(result.warnings):
            numbers[text].append(number)
    return [
        f"Fold{'s' if len(where) > 1 else ''} {', '.join(map(str, where))}: {text}"
        for text, where in numbers.items()
    ]


def _run_fold(task: Task, number: int, verbose: int) -> FoldResult:
    train, test = task.folds[number]
    if verbose:
        print(
            f"[evaluate] fold {number + 1} of {len(task.folds)}: {_describe(task, train, test)}", flush=True
        )
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)  # what it was told is a result, never an exception
        fitted = clone(task.estimator).fit(
            take_rows(task.X, train), task.y[train], **task.metadata("fit", train)
        )
        seconds = time.perf_counter() - start
        answer = fitted.predict_proba(take_rows(task.X, test), **task.metadata("predict_proba", test))
        probabilities = np.asarray(answer)
    texts = [str(item.message) for item in caught if issubclass(item.category, UserWarning)]
    for item in caught:
        if not issubclass(item.category, UserWarning):  # about code, not about the model
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    return FoldResult(_check_probabilities(probabilities, fitted, task.y), seconds, texts)


def _describe(task: Task, train: np.ndarray, test: np.ndarray) -> str:
    parts = []
    for what, rows in (("training on", train), ("testing on", test)):
        of = "" if task.groups is None else f" of {len(np.unique(task.groups[rows]))} patients"
        parts.append(f"{what} {len(rows):,} patches{of}")
    return ", ".join(parts)


def _check_probabilities(probabilities: np.ndarray, fitted: Any, y: np.ndarray) -> np.ndarray:
    """Columns must be the classes, in sorted order, as scikit-learn has it."""
    classes = np.unique(y)
    if not np.array_equal(fitted.classes_, classes):
        raise ValueError(
            f"{type(fitted).__name__} has the classes {np.asarray(fitted.classes_).tolist()}, but y has "
            f"{classes.tolist()}. Expected the same; clean y before evaluate (LabelCleaner) instead of "
            "inside the estimator."
        )
    return probabilities
