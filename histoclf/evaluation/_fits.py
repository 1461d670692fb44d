"""All the fits of an evaluation: a clone learns from some rows, and is asked about others."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from histoclf.classifiers._metadata import takes
from histoclf.evaluation._checkpoint import Checkpoint
from histoclf.evaluation._fit import Fit, FitResult
from histoclf.metrics._weighted import weighted_balanced_accuracy
from histoclf.preprocessing._labels import take_rows


@dataclass(frozen=True)
class Task:
    """What the fits of one classifier have in common.

    Attributes
    ----------
    estimator : classifier
        Not fitted, and not changed.
    X : list or array of n_samples rows
        Images, or a table.
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    coords : ndarray of shape (n_samples, 2) or None
        Positions on the patients' slides.
    """

    estimator: Any
    X: Any
    y: np.ndarray
    groups: np.ndarray | None
    coords: np.ndarray | None

    def metadata(self, method: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Patients and positions, as far as they are known and a method of the estimator takes them."""
        known = {"groups": self.groups, "coords": self.coords}
        return {
            name: values[rows]
            for name, values in known.items()
            if values is not None and takes(self.estimator, method, name)
        }


def run_fits(
    tasks: dict[str, Task],
    fits: list[Fit],
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
    checkpoint: Checkpoint | None = None,
) -> dict[str, FitResult]:
    """Run the fits that the checkpoint does not have, `n_jobs` at a time.

    Returns
    -------
    results : dict of str to FitResult
        By the key of the fit.
    """
    results = {} if checkpoint is None else checkpoint.find(fits)
    missing = [fit for fit in fits if fit.key not in results]
    total, done = sum(fit.work for fit in fits), sum(fit.work for fit in fits if fit.key in results)
    bar = tqdm(total=total, initial=done, desc="Evaluating", unit="patch", disable=verbose < 1)
    with bar:
        for fit, result in _run(tasks, missing, n_jobs):
            results[fit.key] = result
            if checkpoint is not None:
                checkpoint.add(fit, result)
            bar.update(fit.work)
            bar.set_postfix_str(f"fit {len(results)} of {len(fits)}, {fit.key}")
    return results


def stack_probabilities(
    results: dict[str, FitResult], fits: Iterable[Fit], n_samples: int, n_classes: int
) -> np.ndarray:
    """Put the probabilities of fits into the order of X; NaN in rows that none of them tested."""
    probabilities = np.full((n_samples, n_classes), np.nan)
    for fit in fits:
        probabilities[fit.test] = results[fit.key].probabilities
    return probabilities


def gather_warnings(results: list[FitResult]) -> list[str]:
    """Say each warning once, with the folds that it came from."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, result in enumerate(results, start=1):
        for text in dict.fromkeys(result.warnings):
            numbers[text].append(number)
    return [
        f"Fold{'s' if len(where) > 1 else ''} {', '.join(map(str, where))}: {text}"
        for text, where in numbers.items()
    ]


def _run(tasks: dict[str, Task], fits: list[Fit], n_jobs: int | None) -> Iterator[tuple[Fit, FitResult]]:
    """Yield each fit as soon as it is finished, in any order."""
    jobs = (delayed(_run_numbered)(number, tasks[fit.task], fit) for number, fit in enumerate(fits))
    for number, result in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
        yield fits[number], result


def _run_numbered(number: int, task: Task, fit: Fit) -> tuple[int, FitResult]:
    try:
        return number, _run_fit(task, fit)
    except ValueError as error:
        if not fit.optional:
            raise
        n_classes = len(np.unique(task.y))
        return number, FitResult(np.full((len(fit.test), n_classes), np.nan), failure=str(error))


def _run_fit(task: Task, fit: Fit) -> FitResult:
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)  # what it was told is a result, never an exception
        estimator = clone(task.estimator)
        if fit.optional:
            _silence(estimator)
        fitted = estimator.fit(
            take_rows(task.X, fit.train), task.y[fit.train], **task.metadata("fit", fit.train)
        )
        seconds = time.perf_counter() - start
        probabilities = _answer(fitted, task, fit.test)
        training = _score(_answer(fitted, task, fit.train), task, fit.train) if fit.scores_training else None
    texts = [str(item.message) for item in caught if issubclass(item.category, UserWarning)]
    for item in caught:
        if not issubclass(item.category, UserWarning):  # about code, not about the model
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    return FitResult(probabilities, training, seconds, tuple(texts))


def _silence(estimator: Any) -> None:
    """Let the many fits beside the table say nothing that the folds have not said."""
    said = {n: v for n, v in estimator.get_params().items() if n.rpartition("__")[2] == "verbose"}
    estimator.set_params(**{name: type(value)(0) for name, value in said.items() if isinstance(value, int)})


def _answer(fitted: Any, task: Task, rows: np.ndarray) -> np.ndarray:
    """Ask for probabilities; columns must be the classes, in sorted order, as scikit-learn has it."""
    classes = np.unique(task.y)
    if not np.array_equal(fitted.classes_, classes):
        raise ValueError(
            f"{type(fitted).__name__} has the classes {np.asarray(fitted.classes_).tolist()}, but y has "
            f"{classes.tolist()}. Expected the same; clean y first (LabelCleaner), instead of inside "
            "the estimator."
        )
    return np.asarray(fitted.predict_proba(take_rows(task.X, rows), **task.metadata("predict_proba", rows)))


def _score(probabilities: np.ndarray, task: Task, rows: np.ndarray) -> float:
    """Compute the balanced accuracy."""
    codes = np.searchsorted(np.unique(task.y), task.y[rows])
    predicted, n_classes = probabilities.argmax(axis=1), probabilities.shape[1]
    return float(weighted_balanced_accuracy(codes, predicted, n_classes)[0])
