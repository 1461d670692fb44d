"""A patch's evidence for each class, mixed with that of its neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from histoclf.classifiers._neighbours import sum_neighbours
from histoclf.classifiers._places import Places

# An answer that is surer than this is no stronger evidence: forests and networks say 0 and 1 too easily.
_SUREST = 1e-3


class Context(NamedTuple):
    """How far and how much neighbours count.

    Parameters
    ----------
    feature_radius : float or None
        Radius of the mean embedding; None for none.
    radius : float or None
        Radius of the smoothing; None where the weight is 0.
    weight : float
        Of a neighbour at no distance; that of the patch itself is 1.
    """

    feature_radius: float | None
    radius: float | None
    weight: float


def find_evidence(probabilities: np.ndarray) -> np.ndarray:
    """Turn probabilities into log-probabilities that are finite, and centred in each row."""
    evidence = np.log(np.clip(probabilities, _SUREST, None))
    return evidence - evidence.mean(axis=1, keepdims=True)


def mix(evidence: np.ndarray, sums: np.ndarray, weights: np.ndarray, weight: float) -> np.ndarray:
    """Average a patch's evidence, which weighs 1, and the sums over its neighbours."""
    return (evidence + weight * sums) / (1 + weight * weights)[:, np.newaxis]


def smooth(probabilities: np.ndarray, places: Places, radius: float | None, weight: float) -> np.ndarray:
    """Mix each patch's probabilities with those of its neighbours.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes), float64
        Of each patch by itself. Not changed.
    places : Places
        Slides and positions, in their order.
    radius : float or None
        Of the Gaussian; None mixes nothing.
    weight : float
        Of a neighbour at no distance; that of the patch itself is 1.

    Returns
    -------
    smoothed : ndarray of shape (n_samples, n_classes), float64
        The same where there are no neighbours.
    """
    if radius is None:
        return probabilities
    evidence = find_evidence(probabilities)
    sums, weights = sum_neighbours(places, evidence, radius)
    mixed = softmax(mix(evidence, sums, weights, weight), axis=1)
    return np.where((weights > 0)[:, np.newaxis], mixed, probabilities)
