"""Out-of-fold evaluation, by patient, beside the trivial baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from histoclf.classifiers._folds import Folds, check_groups, make_folds, shared_patients
from histoclf.classifiers._labels import check_labels
from histoclf.classifiers._metadata import takes
from histoclf.classifiers._places import find_places
from histoclf.evaluation._baselines import looks_at_neighbours, make_rivals, mean_colours
from histoclf.evaluation._out_of_fold import Task, gather_warnings, run_folds, stack_probabilities
from histoclf.evaluation._result import Evaluation
from histoclf.evaluation._rows import score_rows

MAJORITY_NAME = "majority class"
_FEW_PATIENTS = 10


def evaluate(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    coords: Any = None,
    cv: Any = 5,
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Evaluation:
    """Estimate how good a classifier is on patients it has never seen.

    A clone is fitted on each training part and asked about the part it has not seen; all answers together
    are scored. On the same folds, a logistic regression learns from the mean colour of each patch, three
    numbers; and there is the constant answer of the most frequent class. A network that is not better than
    these has found nothing in the tissue. Where the classifier takes `coords`, as `SlideContextClassifier`
    does, the colours are given the same context in a row of their own, with which it is then compared.

    Parameters
    ----------
    estimator : classifier
        With ``predict_proba``. It is cloned, not changed. If its ``fit`` or ``predict_proba`` takes `groups`
        or `coords`, directly or by metadata routing, it is given those of the part. The most probable class
        counts as its answer.
    X : array-like of n_samples rows
        Paths of images, images or rows, as the estimator takes them.
    y : array-like of shape (n_samples,)
        Labels, clean.
    groups : array-like of shape (n_samples,), default=None
        Patient of each sample: none is ever trained on and tested on. None is unknown: the scores are then
        about other patches of the same patients, and a warning in the result says so. A classifier that takes
        `coords` has them read from the paths in X.
    coords : array-like of shape (n_samples, 2), default=None
        Position of each patch on its patient's slide, for classifiers that look at neighbours. None reads
        them from the paths in X.
    cv : int, splitter or iterable of (train, test), default=5
        Number of folds, stratified, shuffled, and by patient; or a splitter that tests each sample at most
        once.
    random_state : int, RandomState instance or None, default=0
        Seed of the folds and of the intervals. The estimator has its own.
    n_jobs : int, default=None
        Number of folds to run at a time; None is one.
    verbose : int, default=0
        1 says which fold is running.

    Returns
    -------
    evaluation : Evaluation
        Scores with 95 % intervals over patients, out-of-fold probabilities, and what to be warned of.

    Raises
    ------
    SplitError
        If there are fewer patients than folds, or a training part would lack a class.
    LabelError
        If labels are missing.
    ImageReadError
        If image files cannot be read; found before the first fit.
    TypeError
        If `estimator` cannot give probabilities, or takes no `coords` although some are given.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from histoclf import evaluate, make_patches
    >>> made = make_patches(n_patients=6, patches_per_patient=20, image_size=16, random_state=0)
    >>> X = made.images.reshape(len(made.images), -1) / 255
    >>> evaluation = evaluate(LogisticRegression(max_iter=1000), X, made.labels, groups=made.groups, cv=3)
    >>> [row.name for row in evaluation.rows]
    ['LogisticRegression', 'mean colour', 'majority class']
    >>> evaluation.rows[2].auc
    0.5
    """
    _check_estimator(estimator, coords)
    y = check_labels(y)
    check_consistent_length(X, y, groups, coords)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has only 1 class, '{classes[0]}'. Expected at least 2 classes to tell apart.")
    groups = None if groups is None else check_groups(groups, len(y))
    if looks_at_neighbours(estimator):
        places = find_places(X, groups, coords)
        groups, coords = places.groups, places.coords
    folds = make_folds(y, groups, cv, random_state)
    colours = mean_colours(X, image_shape=_image_shape(estimator), verbose=verbose)
    task = Task(estimator, X, y, groups, coords, folds)
    results = run_folds(task, n_jobs=n_jobs, verbose=verbose)
    out_of_fold = {type(estimator).__name__: stack_probabilities(results, folds, len(y))}
    for name, rival in make_rivals(estimator).items():
        answers = run_folds(replace(task, estimator=rival, X=colours))
        out_of_fold[name] = stack_probabilities(answers, folds, len(y))
    out_of_fold[MAJORITY_NAME] = np.tile(np.eye(len(classes))[np.bincount(codes).argmax()], (len(y), 1))
    fold_of = _fold_numbers(folds, len(y))
    tested = fold_of >= 0
    rows, comparison = score_rows(
        {name: p[tested] for name, p in out_of_fold.items()},
        codes[tested],
        None if groups is None else groups[tested],
        random_state,
    )
    return Evaluation(
        rows=rows,
        out_of_fold=out_of_fold,
        classes=classes,
        y=y,
        groups=groups,
        folds=fold_of,
        fit_times=tuple(result.seconds for result in results),
        warnings=(*_warn(groups, folds, tested), *gather_warnings(results)),
        comparison=comparison,
    )


def _check_estimator(estimator: Any, coords: Any) -> None:
    name = type(estimator).__name__
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"evaluate needs probabilities, but {name} has no predict_proba. Expected a classifier that has "
            "it; CalibratedClassifierCV(estimator) adds it."
        )
    if coords is not None and not takes(estimator, "fit", "coords"):
        raise TypeError(
            f"coords were given, but fit of {name} does not take them. Expected a classifier that looks at "
            "neighbours; SlideContextClassifier(estimator) makes one of it."
        )


def _image_shape(estimator: Any) -> Any:
    """Find the shape of flattened images in the parameters of the estimator or of its steps."""
    found = [v for name, v in estimator.get_params().items() if name.rpartition("__")[2] == "image_shape"]
    return next((tuple(shape) for shape in found if shape is not None), None)


def _fold_numbers(folds: Folds, n_samples: int) -> np.ndarray:
    numbers = np.full(n_samples, -1)
    for number, (_, test) in enumerate(folds):
        numbers[test] = number
    return numbers


def _warn(groups: np.ndarray | None, folds: Folds, tested: np.ndarray) -> list[str]:
    found = []
    if groups is None:
        found.append(
            "patients are unknown, so patches of one patient may be trained on and tested on: expect lower "
            "scores on new patients, and wider intervals. Pass groups."
        )
    elif (n_patients := len(np.unique(groups[tested]))) < _FEW_PATIENTS:
        found.append(
            f"{n_patients} patients are few: the intervals are rough, and other patients may differ."
        )
    shared = shared_patients(folds, groups)
    if shared:
        found.append(
            f"{len(shared)} patients are both trained on and tested on "
            f"({', '.join(map(str, shared[:10]))}{', ...' if len(shared) > 10 else ''}): the scores flatter. "
            "Use a splitter that keeps groups together, or a number of folds."
        )
    if not tested.all():
        found.append(
            f"{(~tested).sum():,} of {len(tested):,} patches were never tested and are not in the scores."
        )
    return found
