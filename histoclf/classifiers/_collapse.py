"""The collapse alarm: a network that learned nothing must not look like one that did."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from histoclf.exceptions import CollapsedModelWarning

_ALMOST_ALL = 0.98


def warn_if_collapsed(y: np.ndarray, predicted: np.ndarray, classes: np.ndarray, part: str) -> None:
    """Warn if the predictions say (almost) one class only, or are no better than the majority class.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_samples,)
        True and predicted class numbers of a part of the data.
    classes : ndarray of shape (n_classes,)
        Labels, for the message.
    part : str
        Which part: "validation" or "training".
    """
    counts = np.bincount(y, minlength=len(classes))
    if counts.max() == len(y):
        return  # one class to find: nothing can be said
    majority = counts.max() / len(y)
    answers = np.bincount(predicted, minlength=len(classes)) / len(y)
    accuracy = float(np.mean(y == predicted))
    balanced = balanced_accuracy_score(y, predicted)
    chance = 1.0 / np.count_nonzero(counts)
    # Where one class is nearly everything, even a perfect model says little else; its balance then tells.
    one_class = answers.max() >= _ALMOST_ALL and balanced <= chance + 0.05
    # Weighted classes trade accuracy for balance, so a model is at fault only if both are no better.
    useless = accuracy <= majority and balanced <= chance + 0.01
    if not (one_class or useless):
        return
    what = (
        f"answers {str(classes[answers.argmax()])!r} for {answers.max():.1%} of the {part} part"
        if one_class
        else f"is no better on the {part} part than always answering {str(classes[counts.argmax()])!r}"
    )
    warnings.warn(
        f"The fitted network {what}: accuracy {accuracy:.3f}, majority share {majority:.3f}, balanced "
        f"accuracy {balanced:.3f}. It has learned nothing that can be used. Likely causes: too few epochs "
        "or a learning_rate that does not suit; labels that are wrong or shuffled against the images; "
        "images scaled beforehand in a way that hides their contrast; very unequal classes (try "
        "class_weight='balanced').",
        CollapsedModelWarning,
        stacklevel=6,  # the line that called fit
    )
