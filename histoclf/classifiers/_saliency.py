"""Where on its patches a classifier sees evidence for each class, through whatever is wrapped around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from histoclf.classifiers._base import BaseHistoClassifier
from histoclf.classifiers._reading import open_again
from histoclf.io._store import settle_failures
from histoclf.preprocessing._symmetry import flips_and_turns, turn_back

_SUREST = 1e-9  # a probability that is nearer to 0 or 1 has no log-odds that could be drawn


@dataclass(frozen=True)
class Saliency:
    """What a classifier sees where.

    Attributes
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        What the network was shown, in 0-255.
    evidence : ndarray of shape (n_samples, height, width, n_classes), float32
        Log-odds of each class against all others, laid out over the image; their mean over the image is the
        log-odds of the patch.
    probabilities : ndarray of shape (n_samples, n_classes), float64
        As the classifier estimates them from the patch alone.
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the columns.
    """

    images: np.ndarray
    evidence: np.ndarray
    probabilities: np.ndarray
    classes: np.ndarray


def find_saliency(estimator: Any, X: Any) -> Saliency:
    """Find out where a fitted classifier sees evidence for each class.

    Parameters
    ----------
    estimator : estimator
        A `HistoCNNClassifier` or a `HistoTransferClassifier`; or a pipeline, a search or another wrapper
        around one.
    X : array-like
        As in its ``predict``.

    Returns
    -------
    saliency : Saliency
        Averaged over flips and turns where the probabilities are.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    TypeError
        If there is no network in it that could be asked.
    ValueError
        If its network has no places, or it is fed something else than images.
    InputContractError
        If X contradicts what `fit` saw.
    """
    from histoclf.networks._engine import borrow_engine
    from histoclf.networks._saliency import SaliencySpec

    classifier, X = find_classifier(estimator, X)
    network, weights = classifier._whole_network()
    source = open_again(classifier, X, classifier.input_format_)
    read = source.read()
    settle_failures(read.failures, read.kept, len(source), "raise")
    views = flips_and_turns(read.pixels) if classifier.test_time_augmentation else [read.pixels]
    with borrow_engine(SaliencySpec(replace(network, augmentation=None)), weights) as engine:
        maps = [engine.predict(view) for view in views]
    probabilities = classifier.predict_proba(X)
    evidence = _balance(np.mean(turn_back(maps), axis=0), probabilities)
    return Saliency(read.pixels, evidence, probabilities, classifier.classes_)


def _balance(evidence: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Spread what has no place, such as the intercept, evenly: the mean becomes the log-odds of the patch."""
    log_odds = logit(np.clip(probabilities, _SUREST, 1 - _SUREST))
    left = log_odds - evidence.mean(axis=(1, 2), dtype="float64")
    return evidence + left[:, np.newaxis, np.newaxis].astype(evidence.dtype)


def find_classifier(estimator: Any, X: Any) -> tuple[BaseHistoClassifier, Any]:
    """Unwrap the fitted image classifier, and bring X to where it stands.

    Raises
    ------
    NotFittedError
        If something on the way is not fitted.
    TypeError
        If there is no image classifier inside.
    ValueError
        If it is not shown images.
    """
    while not isinstance(estimator, BaseHistoClassifier):
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
            estimator = estimator[-1]
            continue
        inside = getattr(estimator, "best_estimator_", getattr(estimator, "estimator_", None))
        if inside is None:
            check_is_fitted(estimator)
            raise TypeError(
                f"There is no network to be asked in {type(estimator).__name__}. Expected a "
                "HistoCNNClassifier or a HistoTransferClassifier; or a Pipeline, a search, a "
                "SlideContextClassifier or a LabelCleaningClassifier around one."
            )
        if getattr(estimator, "embedder_", None) is not None:
            raise ValueError(
                f"The classifier inside {type(estimator).__name__} is shown embeddings of patches and their "
                "neighbours, which have no places. Expected one with neighbour_features=False."
            )
        estimator = inside
    check_is_fitted(estimator)
    return estimator, X
