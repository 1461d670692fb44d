"""The search for how far and how much neighbours count, on slides that were left out of the training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.base import clone

from histoclf.classifiers._context import Context, find_evidence, mix
from histoclf.classifiers._folds import Folds, make_folds
from histoclf.classifiers._metadata import takes
from histoclf.classifiers._neighbours import add_neighbours, sum_neighbours
from histoclf.classifiers._places import Places
from histoclf.exceptions import SplitError
from histoclf.preprocessing._labels import take_rows

# In units of the spacing: from the next patches to where, on real slides, the loss has risen again.
_RADII = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_FEATURE_RADII = (1.0, 2.0)  # each costs inner fits
_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # with more, a patch's own evidence is lost among its neighbours'

Evidence = dict[float | None, np.ndarray]  # by the radius of the features it was found with


@dataclass(frozen=True)
class Training:
    """What a classifier with context learns from, in the order of the slides and positions.

    Attributes
    ----------
    X : array-like of n_samples rows
        Patches; or where embeddings are used those, ndarray of shape (n_samples, n_values).
    y : ndarray of shape (n_samples,)
        Labels.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights.
    places : Places
        Slides and positions.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    places: Places

    def take(self, rows: np.ndarray) -> Training:
        """Return some of the patches, in the order asked for."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return Training(take_rows(self.X, rows), self.y[rows], weight, self.places.take(rows))


def fit_clone(estimator: Any, data: Training) -> Any:
    """Fit a clone, and hand it the slides if it takes them."""
    params = {"groups": data.places.groups} if takes(estimator, "fit", "groups") else {}
    if data.sample_weight is not None:
        params["sample_weight"] = data.sample_weight
    return clone(estimator).fit(data.X, data.y, **params)


def list_contexts(settings: Any, spacing: float, *, embeds: bool) -> list[Context]:
    """List what the parameters leave to be chosen.

    Parameters
    ----------
    settings : SlideContextClassifier
        With `radius`, `weight`, `neighbour_features` and `feature_radius`.
    spacing : float
        Of the training patches; NaN if there are no neighbours.
    embeds : bool
        Whether there are embeddings.

    Returns
    -------
    contexts : list of Context
        The plainer ones first, so that they win a draw.

    Raises
    ------
    ValueError
        If a radius is to be found where there are no neighbours.
    """
    features: list[float | None] = []
    if not embeds or settings.neighbour_features == "auto":
        features = [None]
    if embeds:
        features += _radii(settings.feature_radius, _FEATURE_RADII, spacing)
    weights = _WEIGHTS if settings.weight == "auto" else (float(settings.weight),)
    smoothing: list[tuple[float | None, float]] = [(None, 0.0)] if 0 in weights else []
    if any(weights):
        radii = _radii(settings.radius, _RADII, spacing)
        smoothing += [(radius, weight) for radius in radii for weight in weights if weight]
    return [Context(feature, *pair) for feature in features for pair in smoothing]


def _radii(radius: float | str, multiples: tuple[float, ...], spacing: float) -> list[float]:
    if not isinstance(radius, str):
        return [float(radius)]
    if np.isnan(spacing):
        raise ValueError(
            "No slide has two patches at different positions, so there are no neighbours to learn from. "
            "Expected groups to name the slide of each patch, and coords its position on it; check both, or "
            "use the estimator without SlideContextClassifier."
        )
    return [multiple * spacing for multiple in multiples]


def try_contexts(
    estimator: Any, data: Training, contexts: list[Context], n_folds: int, seed: int
) -> np.ndarray:
    """Compute the log loss of each context on slides that the estimator has not seen.

    Parameters
    ----------
    estimator : classifier
        Not fitted, and not changed.
    data : Training
        Patches; X a table of embeddings if any context has a feature radius.
    contexts : list of Context
        What to try.
    n_folds : int
        Number of folds; for each feature radius the estimator is fitted as often.
    seed : int
        Of the folds.

    Returns
    -------
    losses : ndarray of shape (n_contexts,)
        With the same weight for every class.

    Raises
    ------
    SplitError
        If there are too few slides for the folds, or too few with a class.
    """
    folds = _make_folds(data, n_folds, seed)
    own = {
        radius: find_evidence(_out_of_fold(estimator, data, radius, folds))
        for radius in dict.fromkeys(context.feature_radius for context in contexts)
    }
    codes = np.unique(data.y, return_inverse=True)[1]
    weights = _balance(codes, data.sample_weight)
    losses = np.empty(len(contexts))
    for radius in dict.fromkeys(context.radius for context in contexts):
        sums, totals = _sum_all(own, data.places, radius)
        for number, context in enumerate(contexts):
            if context.radius == radius:
                feature = context.feature_radius
                mixed = log_softmax(mix(own[feature], sums[feature], totals, context.weight), axis=1)
                losses[number] = -weights @ mixed[np.arange(len(codes)), codes]
    return losses


def _sum_all(own: Evidence, places: Places, radius: float | None) -> tuple[Evidence, np.ndarray]:
    """Sum over neighbours, in one walk over the pairs for all kinds of features."""
    if radius is None:
        return own, np.zeros(len(places.groups))
    sums, totals = sum_neighbours(places, np.hstack([*own.values()]), radius)
    return dict(zip(own, np.split(sums, len(own), axis=1), strict=True)), totals


def _make_folds(data: Training, n_folds: int, seed: int) -> Folds:
    try:
        return make_folds(data.y, data.places.groups, n_folds, seed)
    except SplitError as error:
        raise SplitError(
            f"How far and how much neighbours count is learned on slides that are left out. {error} Or give "
            "radius, weight and feature_radius as numbers, and neighbour_features as True or False: then "
            "there is nothing to learn."
        ) from error


def _out_of_fold(estimator: Any, data: Training, feature_radius: float | None, folds: Folds) -> np.ndarray:
    """Probabilities of each patch by itself, of an estimator that has not seen its slide."""
    if feature_radius is not None:
        data = replace(data, X=add_neighbours(data.X, data.places, feature_radius))
    classes = np.unique(data.y)
    probabilities = np.empty((len(data.y), len(classes)))
    for train, test in folds:
        fitted = fit_clone(estimator, data.take(train))
        _check_classes(fitted, classes)
        probabilities[test] = fitted.predict_proba(take_rows(data.X, test))
    return probabilities


def _check_classes(fitted: Any, classes: np.ndarray) -> None:
    if not np.array_equal(fitted.classes_, classes):
        raise ValueError(
            f"{type(fitted).__name__} has the classes {np.asarray(fitted.classes_).tolist()}, but y has "
            f"{classes.tolist()}. Expected the same; put LabelCleaningClassifier around "
            "SlideContextClassifier, not inside."
        )


def _balance(codes: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Weigh samples so that every class weighs the same, and all of them 1."""
    weights = np.ones(len(codes)) if sample_weight is None else sample_weight
    totals = np.bincount(codes, weights)
    return weights / np.where(totals > 0, totals, 1)[codes] / np.count_nonzero(totals)
