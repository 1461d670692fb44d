"""One fit that is planned, and what it gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fit:
    """One fit that is planned.

    Attributes
    ----------
    task : str
        Name of the classifier.
    part : str
        What the fit is for, such as "folds".
    number : int
        Fold, from 0.
    train, test : ndarray of int
        Row numbers.
    scores_training : bool
        Whether to score the answers for the training rows too.
    optional : bool
        Whether the evaluation goes on without it, should it fail for what the data are.
    quick : bool
        Whether it takes next to no time.
    """

    task: str
    part: str
    number: int
    train: np.ndarray
    test: np.ndarray
    scores_training: bool = False
    optional: bool = False
    quick: bool = False

    @property
    def key(self) -> str:
        """A name among all fits of an evaluation."""
        return f"{self.task} / {self.part} / {self.number + 1}"

    @property
    def work(self) -> int:
        """About how long it takes beside others: the number of patches to learn from."""
        return 1 if self.quick else len(self.train)


@dataclass(frozen=True)
class FitResult:
    """What one fit gave.

    Attributes
    ----------
    probabilities : ndarray of shape (n_tested, n_classes)
        Of the tested rows.
    training : float or None
        Balanced accuracy on the rows that it learned from, if it was asked for.
    seconds : float
        Time that the fit took.
    warnings : tuple of str
        What the fit and the predictions warned of.
    failure : str or None
        Why there are no probabilities.
    """

    probabilities: np.ndarray
    training: float | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    failure: str | None = None
