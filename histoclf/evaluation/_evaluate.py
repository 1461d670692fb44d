"""Out-of-fold evaluation, by patient, beside shortcuts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from histoclf._seeding import draw_seed, make_generator
from histoclf.classifiers._folds import Folds, check_groups, make_folds
from histoclf.classifiers._labels import check_labels
from histoclf.classifiers._metadata import takes
from histoclf.classifiers._pictures import find_image_shape
from histoclf.classifiers._places import find_places
from histoclf.evaluation._baselines import Rival, looks_at_neighbours, make_rivals
from histoclf.evaluation._checkpoint import Checkpoint, identify
from histoclf.evaluation._copies import audit_folds
from histoclf.evaluation._fits import Task, run_fits
from histoclf.evaluation._plan import Plan, plan_curve, plan_folds, plan_other_split, refits_are_cheap
from histoclf.evaluation._result import Evaluation
from histoclf.evaluation._shortcuts import check_baselines, find_shortcuts
from histoclf.evaluation._summary import Evidence, summarise
from histoclf.report._answers import find_groups


def evaluate(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    coords: Any = None,
    sites: Any = None,
    cv: Any = 5,
    baselines: str | Sequence[str] | None = "all",
    learning_curve: bool | str = "auto",
    inflation: bool | str = "auto",
    audit: bool | str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Evaluation:
    """Estimate how good a classifier is on patients it has never seen.

    A clone is fitted on each training part and asked about the part it has not seen; all answers together
    are scored. On the same folds, logistic regressions learn from what can be known without a look at the
    tissue: the mean colour of each patch, its histogram of colours, how much of it is blank, and of files
    their size, format and encoder. A classifier that is not better than these has found nothing in the
    tissue. Where it takes `coords`, as `SlideContextClassifier` does, they are given the same context.
    Copies of patches that are trained on and tested on are looked for, however they were turned, cropped or
    recoloured, and patients who are.

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
        about other patches of the same patients, and a warning in the result says so, with their number if
        file names tell it. A classifier that takes `coords` has them read from the paths in X.
    coords : array-like of shape (n_samples, 2), default=None
        Position of each patch on its patient's slide, for classifiers that look at neighbours. None reads
        them from the paths in X.
    sites : array-like of shape (n_samples,), default=None
        Where each sample is from (hospital, scanner, ...). It becomes a shortcut, and it is measured how well
        colour tells it.
    cv : int, splitter or iterable of (train, test), default=5
        Number of folds, stratified, shuffled, and by patient; or a splitter that tests each sample at most
        once. Of these, `StratifiedPatientKFold` keeps copies together as well.
    baselines : "all", "colour", sequence of str or None, default="all"
        Shortcuts to compare with: all that X has, those of colour, some by name, or the majority class alone.
        The names are "mean colour", "colour histogram", "blank share", "file size", "file metadata" and
        "site".
    learning_curve : bool or "auto", default="auto"
        Whether to fit with a quarter and a half of the patients, and of their patches, as well. "auto" does
        so where another fit is cheap: for a transfer classifier on a frozen network, whose embeddings are
        kept, and for plain estimators of scikit-learn.
    inflation : bool or "auto", default="auto"
        Whether to measure what a random split of the patches would have claimed; "auto" as above. If `cv`
        has patients on both sides, it is measured what folds by patient have instead.
    audit : bool or "auto", default="auto"
        Whether to look for copies of patches that cross the folds, as `audit_cv` does. "auto" does so for up
        to 10,000 patches, which takes two or three minutes on one core, where X holds paths or images that
        can be compared. The folds do not depend on it.
    checkpoint : str or path-like, default=None
        File in which each finished fit is kept. An interrupted evaluation that is started again goes on
        there.
    random_state : int, RandomState instance or None, default=0
        Seed of the folds and of all that is drawn. The estimator has its own.
    n_jobs : int, default=None
        Number of fits to run at a time; None is one. Processes do not share embeddings, unless the estimator
        has a `memory`.
    verbose : int, default=0
        1 shows a progress bar over all fits, with an estimate of the time left.

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
        If image files cannot be read; found before the first fit, unless `baselines` is None and `audit` is
        not True.
    InputContractError
        If `audit` is True, and X holds no images.
    CheckpointError
        If `checkpoint` is damaged, or of other data, folds or settings; the message names the difference.
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
    names = check_baselines(baselines)
    wants = {"learning_curve": _check_switch("learning_curve", learning_curve)}
    wants["inflation"] = _check_switch("inflation", inflation)
    wants_audit = _check_switch("audit", audit)
    seed = _fix_seed(random_state, checkpoint)
    data = _check_data(estimator, X, y, groups, coords, sites)
    folds = make_folds(data.y, data.groups, cv, seed, X=data.X)
    shape = find_image_shape(estimator)
    shortcuts = find_shortcuts(X, names, image_shape=shape, sites=data.sites, verbose=verbose)
    settings = {"image_shape": shape, "n_jobs": n_jobs, "verbose": verbose}
    report, left_out = audit_folds(wants_audit, folds, X, data.y, data.patients, **settings)
    rivals = make_rivals(estimator, shortcuts.tables)
    plan, skipped = _make_plan(estimator, data, folds, list(rivals), wants, seed)
    kept = None
    if checkpoint is not None:
        labels = {"the labels y": data.y, "groups": data.groups, "coords": data.coords}
        kept = Checkpoint(checkpoint, identify(estimator, X, labels, folds, seed))
    tasks = _make_tasks(estimator, rivals, data)
    results = run_fits(tasks, plan.fits, n_jobs=n_jobs, verbose=verbose, checkpoint=kept)
    evidence = Evidence(plan, results, folds, shortcuts, report, left_out, skipped, seed, repr(estimator))
    return summarise(evidence, data.y, data.groups, data.sites, data.patients)


@dataclass(frozen=True)
class _Data:
    """What was handed over, checked."""

    X: Any
    y: np.ndarray
    groups: np.ndarray | None
    coords: np.ndarray | None
    sites: np.ndarray | None
    patients: np.ndarray | None  # the groups, or who file names say it is


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


def _check_switch(name: str, value: bool | str) -> bool | None:
    if value == "auto":
        return None
    if value not in (True, False):
        raise ValueError(f"{name}={value!r}: expected True, False or 'auto'.")
    return bool(value)


def _fix_seed(random_state: Any, checkpoint: Any) -> int:
    """Draw one seed for all, so that it can be told; an int is its own."""
    if isinstance(random_state, Integral):
        return int(random_state)
    if checkpoint is not None:
        raise ValueError(
            f"checkpoint={os.fspath(checkpoint)!r} needs an int as random_state, since other folds would be "
            f"drawn the next time; got {random_state!r}."
        )
    return draw_seed(make_generator(random_state))


def _check_data(estimator: Any, X: Any, y: Any, groups: Any, coords: Any, sites: Any) -> _Data:
    y = check_labels(y)
    check_consistent_length(X, y, groups, coords, sites)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"y has only 1 class, '{classes[0]}'. Expected at least 2 classes to tell apart.")
    groups = None if groups is None else check_groups(groups, len(y))
    if looks_at_neighbours(estimator):
        places = find_places(X, groups, coords)
        groups, coords = places.groups, places.coords
    return _Data(X, y, groups, coords, None if sites is None else np.asarray(sites), find_groups(X, groups))


def _make_plan(
    estimator: Any, data: _Data, folds: Folds, rivals: list[str], wants: dict[str, bool | None], seed: int
) -> tuple[Plan, list[str]]:
    """Plan all fits; and name what is left out because each fit would take long."""
    name = type(estimator).__name__
    possible = {
        "learning_curve": plan_curve(name, folds, data.y, data.groups, seed),
        "inflation": plan_other_split(name, folds, data.y, data.patients, seed),
    }
    cheap = refits_are_cheap(estimator)
    skipped = [what for what, fits in possible.items() if fits and wants[what] is None and not cheap]
    chosen: dict[str, Any] = {
        what: fits if wants[what] or (wants[what] is None and cheap) else type(fits)()
        for what, fits in possible.items()
    }
    plan = Plan(
        plan_folds(name, folds),
        {rival: plan_folds(rival, folds, is_rival=True) for rival in rivals},
        chosen["inflation"],
        chosen["learning_curve"],
    )
    return plan, skipped


def _make_tasks(estimator: Any, rivals: dict[str, Rival], data: _Data) -> dict[str, Task]:
    rest = data.y, data.groups, data.coords
    tasks = {type(estimator).__name__: Task(estimator, data.X, *rest)}
    return tasks | {name: Task(rival.estimator, rival.table, *rest) for name, rival in rivals.items()}
