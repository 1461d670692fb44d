"""Which labels a pathologist should look at first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from histoclf.audit._duplicates import Duplicates, find_duplicates
from histoclf.classifiers._folds import check_groups, make_folds, shared_patients
from histoclf.classifiers._labels import check_labels
from histoclf.classifiers._pictures import find_image_shape
from histoclf.classifiers._places import find_places
from histoclf.evaluation._baselines import looks_at_neighbours
from histoclf.evaluation._confident_learning import ENGINES, FILTERS, SCORES, confident_joint, find_issues
from histoclf.evaluation._copies import search_if_cheap
from histoclf.evaluation._fit import Fit
from histoclf.evaluation._fits import Task, gather_warnings, run_fits, stack_probabilities
from histoclf.evaluation._label_review import LabelReview
from histoclf.evaluation._ranking import Table, join_duplicates, link_patients, rank_issues
from histoclf.evaluation._result import Evaluation
from histoclf.io._items import item_names
from histoclf.io._paths import as_paths

_ROW_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class _Question:
    """What probabilities are wanted for; `twins` are sets of rows that show the same."""

    X: Any
    y: np.ndarray
    groups: np.ndarray | None
    coords: np.ndarray | None
    twins: list[np.ndarray]


@dataclass(frozen=True)
class _Answer:
    """Out-of-fold probabilities, NaN in rows that were not tested, and what to be warned of."""

    probabilities: np.ndarray
    warnings: list[str]


def review_labels(
    source: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    coords: Any = None,
    cv: Any = 5,
    duplicates: Any = "auto",
    filter_by: str = "prune_by_noise_rate",
    rank_by: str = "normalized_margin",
    engine: str = "histoclf",
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LabelReview:
    """List the labels that are probably wrong, the most doubtful ones first.

    Copies of one patch with different labels come first: one of them is wrong, whatever a model says. Then
    come those that confident learning [1]_ finds: patches that a classifier which has never seen their
    patient confidently takes for another class. That is a reason to look, and no proof.

    Parameters
    ----------
    source : classifier, Evaluation or ndarray of shape (n_samples, n_classes)
        Where out-of-fold probabilities come from: a classifier, of which a clone is fitted for each fold; the
        result of `evaluate` on the same X and y; or probabilities, in the order of the sorted labels. Rows of
        NaN are patches that were not tested.
    X : array-like of n_samples rows
        Paths of images, images or rows: what a patch is called in the result. Paths are best, they can be
        looked up.
    y : array-like of shape (n_samples,)
        Labels as given, cleaned of spellings.
    groups : array-like of shape (n_samples,), default=None
        Patient of each sample: none is ever trained on and tested on. None takes those of an `Evaluation`;
        without any, a warning in the result says so.
    coords : array-like of shape (n_samples, 2), default=None
        Position of each patch on its patient's slide, for classifiers that look at neighbours. None reads it
        from the paths in X.
    cv : int, splitter or iterable of (train, test), default=5
        Folds for a classifier, as in `evaluate`.
    duplicates : "auto", None, Duplicates or iterable of sequences of int, default="auto"
        Which rows show the same. Those of different labels come first. Patients who share a duplicate are
        kept in one fold, or the copy would vouch for the label. "auto" searches up to 10,000 patches, if X
        holds paths or images that can be compared; None searches nothing. To search once, or among more,
        pass what `histoclf.audit.find_duplicates` returned for the same rows; or pairs or larger sets of row
        numbers.
    filter_by : {"prune_by_noise_rate", "prune_by_class", "both"}, default="prune_by_noise_rate"
        Which of the estimated number of errors are listed: for each pair of given and probable label those of
        the largest margin; for each given label those of the least confidence; or those in both lists.
    rank_by : {"normalized_margin", "self_confidence"}, default="normalized_margin"
        What the list is sorted by, see `LabelIssue`.
    engine : {"histoclf", "cleanlab"}, default="histoclf"
        What finds the errors. Both follow the same rules; cleanlab is an optional package.
    random_state : int, RandomState instance or None, default=0
        Seed of the folds. The estimator has its own.
    n_jobs : int, default=None
        Number of folds to run at a time; None is one.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    review : LabelReview
        Ranked issues; ``review.to_html("review.html", X)`` writes a sheet to decide on them.

    Raises
    ------
    ValueError
        If probabilities do not fit y, a parameter is none of the above, or `duplicates` names no rows of X.
    SplitError
        If there are fewer patients than folds, or a training part would lack a class.
    LabelError
        If labels are missing.
    MissingDependencyError
        If cleanlab is asked for and not installed.

    See Also
    --------
    histoclf.LabelCorrections : Reads the decisions back.
    histoclf.LabelCleaningClassifier : Applies them to training parts only.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset
       labels", Journal of Artificial Intelligence Research 70, 2021, 1373-1411.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from histoclf import make_patches, review_labels
    >>> from histoclf.evaluation import mean_colours
    >>> made = make_patches(
    ...     n_patients=6, patches_per_patient=20, image_size=16, stain_shift=0, random_state=0
    ... )
    >>> colours, y = mean_colours(made.images), made.labels.copy()
    >>> y[0] = "malignant"  # a slip
    >>> review = review_labels(LogisticRegression(), colours, y, groups=made.groups, cv=3)
    >>> review.issues[0].row, review.issues[0].suggested
    (0, 'benign')
    """
    _check_choices(filter_by=(filter_by, FILTERS), rank_by=(rank_by, SCORES), engine=(engine, ENGINES))
    y = check_labels(y)
    check_consistent_length(X, y, groups, coords)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has only 1 class, '{classes[0]}'. Expected at least 2 that can be mixed up.")
    groups, coords = _locate(source, X, groups, coords, len(y))
    found, unsearched = _find_duplicates(duplicates, source, X, len(y), n_jobs, verbose)
    twins = join_duplicates(found, len(y))
    question = _Question(X, y, groups, coords, twins)
    if isinstance(source, Evaluation):
        answer = _take_evaluation(source, question)
    elif hasattr(source, "fit"):
        answer = _ask(source, question, cv, random_state, n_jobs, verbose)
    else:
        answer = _take_probabilities(source, question)
    tested = ~np.isnan(answer.probabilities).any(axis=1)
    known_part = codes[tested], answer.probabilities[tested]
    wrong = np.zeros(len(y), dtype=bool)
    wrong[tested] = find_issues(*known_part, filter_by=filter_by, engine=engine)
    table = Table(item_names(X), classes, codes, groups, answer.probabilities)
    return LabelReview(
        issues=rank_issues(table, twins, wrong, rank_by),
        classes=classes,
        n_samples=len(y),
        n_patients=None if groups is None else len(np.unique(groups)),
        confident_joint=confident_joint(*known_part),
        warnings=(*_warn(groups, tested), *unsearched, *answer.warnings),
    )


def _check_choices(**choices: tuple[str, Sequence[str]]) -> None:
    for name, (value, known) in choices.items():
        if value not in known:
            raise ValueError(f"{name}={value!r}: expected one of {', '.join(map(repr, known))}.")


def _locate(source: Any, X: Any, groups: Any, coords: Any, n_samples: int) -> tuple[Any, Any]:
    """Find the patients, and positions where they are needed."""
    if groups is None and isinstance(source, Evaluation):
        groups = source.groups
    groups = None if groups is None else check_groups(groups, n_samples)
    if not (hasattr(source, "fit") and looks_at_neighbours(source)):
        return groups, None
    places = find_places(X, groups, coords)
    return places.groups, places.coords


def _find_duplicates(
    duplicates: Any, source: Any, X: Any, n_samples: int, n_jobs: int | None, verbose: int
) -> tuple[Iterable[Sequence[int]], list[str]]:
    """Search for duplicates, or understand what is known of them; and say why nothing was searched."""
    if duplicates is None:
        return (), []
    reason = None
    if isinstance(duplicates, str):
        _check_choices(duplicates=(duplicates, ("auto",)))
        if as_paths(X) is None and getattr(X, "ndim", 0) == 2 and find_image_shape(source) is None:
            return (), []  # rows of numbers
        settings = {"image_shape": find_image_shape(source), "n_jobs": n_jobs, "verbose": verbose}
        duplicates, reason = search_if_cheap(lambda: find_duplicates(X, **settings), None, n_samples)
    if reason is not None:
        return (), [f"Copies were not looked for: {reason}. Pass duplicates, if they are known."]
    if not isinstance(duplicates, Duplicates):
        return duplicates, []
    if duplicates.n_images != n_samples:
        raise ValueError(
            f"duplicates is a search of {duplicates.n_images} images, but X has {n_samples} rows. Expected "
            "that of the same rows."
        )
    return duplicates.pairs, []


def _take_evaluation(evaluation: Evaluation, question: _Question) -> _Answer:
    if not np.array_equal(evaluation.y, question.y):
        raise ValueError(
            f"The evaluation is of {len(evaluation.y):,} other labels than the {len(question.y):,} in y. "
            "Expected the X and y that evaluate was given, in the same order; evaluate again after labels "
            "have changed."
        )
    split = [rows for rows in question.twins if len(np.unique(evaluation.folds[rows])) > 1]
    found = [text for text in evaluation.warnings if "both trained on and tested on" in text]
    if split:
        found.append(
            f"{len(split)} sets of duplicates were on both sides of a fold, where a copy vouches for the "
            "label. Give review_labels the classifier, and it keeps them together."
        )
    return _Answer(evaluation.probabilities, found)


def _ask(
    estimator: Any, question: _Question, cv: Any, random_state: Any, n_jobs: int | None, verbose: int
) -> _Answer:
    """Fit a clone on each training part, and let it answer for the other."""
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"review_labels needs probabilities, but {type(estimator).__name__} has no predict_proba. "
            "Expected a classifier that has it; CalibratedClassifierCV(estimator) adds it."
        )
    linked = link_patients(question.groups, question.twins, len(question.y))
    folds = make_folds(question.y, linked, cv, random_state)
    name = type(estimator).__name__
    fits = [Fit(name, "folds", number, train, test) for number, (train, test) in enumerate(folds)]
    task = Task(estimator, question.X, question.y, question.groups, question.coords)
    results = run_fits({name: task}, fits, n_jobs=n_jobs, verbose=verbose)
    shared = shared_patients(folds, question.groups)
    said = [f"{len(shared)} patients were both trained on and tested on, as cv wanted it."] if shared else []
    return _Answer(
        stack_probabilities(results, fits, len(question.y), len(np.unique(question.y))),
        [*said, *gather_warnings([results[fit.key] for fit in fits])],
    )


def _take_probabilities(source: Any, question: _Question) -> _Answer:
    probabilities = np.array(source, dtype=np.float64)
    expected = (len(question.y), len(np.unique(question.y)))
    if probabilities.shape != expected:
        raise ValueError(
            f"The probabilities have shape {probabilities.shape}. Expected {expected}: a row for each "
            "sample and a column for each label of y, in sorted order; or a classifier, or the result of "
            "evaluate."
        )
    tested = ~np.isnan(probabilities).any(axis=1)
    sums = probabilities[tested].sum(axis=1)
    odd = (np.abs(sums - 1) > _ROW_SUM_TOLERANCE) | (probabilities[tested] < 0).any(axis=1)
    if not tested.any() or odd.any():
        rows = np.flatnonzero(tested)[odd][:10].tolist()
        raise ValueError(
            f"The probabilities are none: {odd.sum()} of {tested.sum()} tested rows ({rows}) are negative "
            "or do not sum to 1. Expected what predict_proba gives, out of fold; NaN in rows that were not "
            "tested."
        )
    return _Answer(probabilities, [])


def _warn(groups: np.ndarray | None, tested: np.ndarray) -> list[str]:
    found = []
    if groups is None:
        found.append(
            "Patients are unknown, so a classifier may have learned a wrong label from another patch of the "
            "same patient: fewer errors are found. Pass groups."
        )
    if not tested.all():
        found.append(
            f"{(~tested).sum():,} of {len(tested):,} patches were never tested; of them only duplicates are "
            "listed."
        )
    return found
