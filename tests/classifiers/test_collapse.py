"""The collapse alarm."""

import warnings

import numpy as np
import pytest

from histoclf.classifiers._collapse import warn_if_collapsed
from histoclf.exceptions import CollapsedModelWarning

CLASSES = np.array(["benign", "malignant"])
Y = np.repeat([0, 1], [62, 38])


def test_one_class_for_everything_is_named_with_its_share_and_likely_causes():
    with pytest.warns(CollapsedModelWarning) as caught:
        warn_if_collapsed(Y, np.zeros(100, dtype=int), CLASSES, "validation")
    message = str(caught[0].message)
    assert "answers 'benign' for 100.0% of the validation part" in message
    assert "accuracy 0.620, majority share 0.620, balanced accuracy 0.500" in message
    for cause in ("learning_rate", "labels that are wrong", "scaled beforehand", "class_weight='balanced'"):
        assert cause in message


def test_almost_one_class_counts():
    predicted = np.zeros(100, dtype=int)
    predicted[0] = 1
    with pytest.warns(CollapsedModelWarning, match=r"99\.0%"):
        warn_if_collapsed(Y, predicted, CLASSES, "training")


def test_no_better_than_the_majority_counts():
    predicted = np.arange(100) % 2
    with pytest.warns(CollapsedModelWarning, match="no better on the validation part than always .*'benign'"):
        warn_if_collapsed(Y, predicted, CLASSES, "validation")


@pytest.mark.parametrize(
    ("y", "predicted"),
    [
        (Y, Y),
        (Y, np.where(np.arange(100) < 30, 1 - Y, Y)),  # 70 % right
        (np.repeat([0, 1], [95, 5]), np.repeat([0, 1, 1], [80, 15, 5])),  # balanced, at the cost of accuracy
        (np.repeat([0, 1], [99, 1]), np.repeat([0, 1], [99, 1])),  # so rare that 99 % are one answer
        (np.zeros(10, dtype=int), np.zeros(10, dtype=int)),  # one class to find
    ],
)
def test_a_model_that_learned_something_raises_no_alarm(y, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_collapsed(y, predicted, CLASSES, "validation")
