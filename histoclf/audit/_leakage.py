"""Find what stands on both sides of a split: patients, images, and changed copies of images."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_consistent_length

from histoclf.audit._canvas import Canvases, open_canvases
from histoclf.audit._duplicates import MIN_SIMILARITY, Duplicates, search
from histoclf.audit._keypoints import join
from histoclf.audit._report import LeakageReport
from histoclf.classifiers._folds import Folds, check_groups, shared_patients
from histoclf.exceptions import LeakageError, SplitError


def audit_split(
    train: Any,
    test: Any,
    *,
    train_groups: Any = None,
    test_groups: Any = None,
    train_labels: Any = None,
    test_labels: Any = None,
    min_similarity: float = MIN_SIMILARITY,
    image_shape: tuple[int, int, int] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LeakageReport:
    """Look for what stands on both sides of a split into a training and a test part.

    Parameters
    ----------
    train, test : array-like of n_train and n_test rows
        Paths of image files; images of shape (n, height, width, 1 or 3); or the same flattened, with
        `image_shape`.
    train_groups, test_groups : array-like of shape (n_train,) and (n_test,), default=None
        Patient of each image. None is unknown, and the report says so.
    train_labels, test_labels : array-like of shape (n_train,) and (n_test,), default=None
        Classes. Copies with different ones are listed, also those within a part if they are exact.
    min_similarity : float, default=0.85
        As in `find_duplicates`.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of flattened images.
    n_jobs : int, default=None
        Threads.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    report : LeakageReport
        ``report.ok``, ``report.summary()``.

    Raises
    ------
    ImageReadError
        If files cannot be read. It names every one.
    InputContractError
        If a part holds no images.
    SplitError
        If groups or labels are missing, or not one for each image.

    See Also
    --------
    audit_cv : The same for the folds of a cross-validation.
    find_duplicates : How copies are found.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf import audit_split, make_patches
    >>> made = make_patches(n_patients=4, patches_per_patient=5, random_state=0)
    >>> train, test = made.images[:15], np.concatenate([made.images[15:], made.images[3:4, :, ::-1]])
    >>> report = audit_split(train, test)
    >>> report.ok, [(a, b, round(alike, 1)) for a, b, alike in report.near_duplicates]
    (False, [(3, 5, 1.0)])
    """
    parts = [
        open_canvases(X, image_shape=image_shape, n_jobs=n_jobs, verbose=verbose, name=name)
        for X, name in ((train, "train"), (test, "test"))
    ]
    groups = _beside(parts, train_groups, test_groups, "groups")
    labels = _beside(parts, train_labels, test_labels, "labels")
    side_of = np.repeat([0, 1], [len(part) for part in parts])
    canvases = join(parts)
    found = search(canvases, side_of=side_of, min_similarity=min_similarity, n_jobs=n_jobs, verbose=verbose)
    shared = () if groups is None else np.intersect1d(groups[side_of == 0], groups[side_of == 1]).tolist()
    return _report(
        canvases,
        found,
        crosses=side_of[found.pairs[:, 0]] != side_of[found.pairs[:, 1]],
        labels=labels,
        protocol=f"{len(parts[0]):,} images to train on, {len(parts[1]):,} to test on",
        shared=tuple(shared),
        groups=groups,
    )


def audit_cv(
    cv: Any,
    X: Any,
    y: Any = None,
    groups: Any = None,
    *,
    min_similarity: float = MIN_SIMILARITY,
    image_shape: tuple[int, int, int] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LeakageReport:
    """Look for what stands on both sides of some fold of a cross-validation.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test), or None
        As in scikit-learn: a number is that many folds, stratified, not shuffled, and blind to `groups`.
        None stands for any split that keeps patients together: every copy of an image of another patient is
        found, and where patients are unknown every copy.
    X : array-like of n_samples rows
        Paths of image files; images of shape (n, height, width, 1 or 3); or the same flattened, with
        `image_shape`.
    y : array-like of shape (n_samples,), default=None
        Classes, for `cv`, and for copies that have different ones.
    groups : array-like of shape (n_samples,), default=None
        Patient of each image. None is unknown, and the report says so.
    min_similarity : float, default=0.85
        As in `find_duplicates`.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of flattened images.
    n_jobs : int, default=None
        Threads.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    report : LeakageReport
        Of the pairs either image is tested on while the other trains.

    Raises
    ------
    ImageReadError
        If files cannot be read. It names every one.
    InputContractError
        If X holds no images.
    SplitError
        If groups or labels are missing, or not one for each image.

    See Also
    --------
    audit_split : The same for one split.

    Examples
    --------
    >>> from sklearn.model_selection import StratifiedGroupKFold
    >>> from histoclf import audit_cv, make_patches
    >>> made = make_patches(n_patients=4, patches_per_patient=5, random_state=0)
    >>> audit_cv(2, made.images, made.labels, made.groups).ok  # blind to patients
    False
    >>> audit_cv(StratifiedGroupKFold(2), made.images, made.labels, made.groups).ok
    True
    """
    canvases = open_canvases(X, image_shape=image_shape, n_jobs=n_jobs, verbose=verbose)
    n = len(canvases)
    groups = None if groups is None else check_groups(groups, n)
    labels = None if y is None else np.asarray(y)
    check_consistent_length(canvases.gray, labels)
    folds = None if cv is None else _split(cv, X, labels, groups)
    found = search(canvases, min_similarity=min_similarity, n_jobs=n_jobs, verbose=verbose)
    if folds is None:
        protocol = f"any split of {n:,} images" + ("" if groups is None else " that keeps patients together")
        crosses = np.ones(len(found.pairs), bool) if groups is None else _differs(groups, found.pairs)
    else:
        protocol = f"{len(folds)} folds of {n:,} images"
        crosses = _crosses_a_fold(found.pairs, folds, n)
    return _report(
        canvases,
        found,
        crosses=crosses,
        labels=labels,
        protocol=protocol,
        shared=() if folds is None else tuple(shared_patients(folds, groups)),
        groups=groups,
    )


def assert_no_leakage(train: Any, test: Any, **settings: Any) -> None:
    """Raise an error if anything stands on both sides of a split.

    Parameters
    ----------
    train, test : array-like of n_train and n_test rows
        As in `audit_split`.
    **settings
        Further parameters of `audit_split`.

    Raises
    ------
    LeakageError
        If a patient, an image or a copy of it is in both parts. Its attribute ``report`` is the
        `LeakageReport`.

    Examples
    --------
    >>> from histoclf import assert_no_leakage, make_patches
    >>> made = make_patches(n_patients=4, patches_per_patient=5, random_state=0)
    >>> assert_no_leakage(
    ...     made.images[:10], made.images[10:], train_groups=made.groups[:10], test_groups=made.groups[10:]
    ... )
    """
    report = audit_split(train, test, **settings)
    if not report.ok:
        raise LeakageError(report.summary(), report)


def _split(cv: Any, X: Any, y: np.ndarray | None, groups: np.ndarray | None) -> Folds:
    with warnings.catch_warnings():
        # What these say is in the report.
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(check_cv(cv, y, classifier=True).split(X, y, groups))


def _beside(parts: list[Canvases], train: Any, test: Any, name: str) -> np.ndarray | None:
    """Check what was given beside the images, and put it into one array."""
    if train is None and test is None:
        return None
    if train is None or test is None:
        known, unknown = ("test", "train") if train is None else ("train", "test")
        raise SplitError(f"{known}_{name} were given without {unknown}_{name}. Expected both or none.")
    for part, values, side in zip(parts, (train, test), ("train", "test"), strict=True):
        if np.shape(values) != (len(part),):
            raise SplitError(
                f"{side}_{name} has shape {np.shape(values)}; expected one entry for each image of {side}, "
                f"({len(part)},)."
            )
    values = np.concatenate([np.asarray(train), np.asarray(test)])
    return check_groups(values, len(values)) if name == "groups" else values


def _differs(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return values[pairs[:, 0]] != values[pairs[:, 1]]


def _crosses_a_fold(pairs: np.ndarray, folds: Folds, n: int) -> np.ndarray:
    """Whether there is a fold that trains on one image of a pair and tests on the other."""
    crosses = np.zeros(len(pairs), dtype=bool)
    for train, test in folds:
        trains, tests = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        trains[train], tests[test] = True, True
        for one, other in (pairs.T, pairs.T[::-1]):
            crosses |= trains[one] & tests[other]
    return crosses


def _report(
    canvases: Canvases,
    found: Duplicates,
    *,
    crosses: np.ndarray,
    labels: np.ndarray | None,
    protocol: str,
    shared: tuple[Any, ...],
    groups: np.ndarray | None,
) -> LeakageReport:
    def listed(chosen: np.ndarray) -> tuple[tuple[Any, Any, float], ...]:
        named = canvases.items[found.pairs[chosen]]
        return tuple(
            (*pair, float(alike)) for pair, alike in zip(named, found.similarity[chosen], strict=True)
        )

    conflicts: tuple[tuple[Any, Any, Any, Any], ...] = ()
    if labels is not None:
        rows = found.pairs[_differs(labels, found.pairs)]
        conflicts = tuple((*canvases.items[pair], *labels[pair].tolist()) for pair in rows)
    return LeakageReport(
        protocol=protocol,
        shared_groups=shared,
        exact_duplicates=listed(crosses & found.exact),
        near_duplicates=listed(crosses & ~found.exact),
        label_conflicts=conflicts,
        n_images=len(canvases),
        n_groups=None if groups is None else len(np.unique(groups)),
        n_blank=found.n_blank,
        n_copies=len(np.unique(found.pairs[crosses])),
    )
