"""Confident learning, by hand and against cleanlab."""

import numpy as np
import pytest

from histoclf.evaluation import _confident_learning as learning
from histoclf.exceptions import MissingDependencyError

# Four samples of each class; the last of class 0 and the first of class 1 look like the other one.
CODES = np.array([0, 0, 0, 0, 1, 1, 1, 1])
OF_ZERO = np.array([0.9, 0.8, 0.7, 0.1, 0.95, 0.3, 0.2, 0.1])
PROBABILITIES = np.stack([OF_ZERO, 1 - OF_ZERO], axis=1)


def noisy(seed: int, n_classes: int, n: int = 400):
    """Labels of which a fifth is drawn anew, and probabilities that mostly tell."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, n_classes, n)
    codes = np.where(rng.random(n) < 0.2, rng.integers(0, n_classes, n), true)
    logits = rng.normal(size=(n, n_classes)) + 3 * np.eye(n_classes)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return true, codes, probabilities


def test_thresholds_are_the_mean_confidence_in_each_label():
    found = learning.confident_thresholds(CODES, PROBABILITIES)
    np.testing.assert_allclose(found, [(0.9 + 0.8 + 0.7 + 0.1) / 4, (0.05 + 0.7 + 0.8 + 0.9) / 4])


def test_a_class_without_samples_is_nobodys_true_label():
    probabilities = np.column_stack([PROBABILITIES * 0.9, np.full(8, 0.1)])
    joint = learning.confident_joint(CODES, probabilities)
    np.testing.assert_array_equal(joint[2], [0, 0, 0])
    np.testing.assert_array_equal(joint[:, 2], [0, 0, 0])
    assert learning.find_issues(CODES, probabilities).sum() == 2


def test_the_joint_counts_confident_samples_and_sums_to_the_labels():
    # Thresholds 0.625 and 0.6125: one sample of each label is confidently of the other class.
    np.testing.assert_array_equal(learning.confident_joint(CODES, PROBABILITIES), [[3, 1], [1, 3]])


def test_scores_by_hand():
    np.testing.assert_allclose(learning.self_confidence(CODES, PROBABILITIES)[[0, 4]], [0.9, 0.05])
    np.testing.assert_allclose(learning.normalized_margin(CODES, PROBABILITIES)[[0, 4]], [0.9, 0.05])
    margins = learning.normalized_margin(np.array([0, 2]), np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]))
    np.testing.assert_allclose(margins, [0.6, 0.35])


@pytest.mark.parametrize("filter_by", learning.FILTERS)
def test_the_two_odd_ones_are_found(filter_by):
    found = learning.find_issues(CODES, PROBABILITIES, filter_by=filter_by)
    np.testing.assert_array_equal(np.flatnonzero(found), [3, 4])


def test_clean_labels_have_no_issues():
    codes = np.repeat([0, 1, 2], 10)
    assert not learning.find_issues(codes, np.eye(3)[codes] * 0.7 + 0.1).any()


def test_most_of_the_planted_errors_are_found_and_most_of_what_is_found_was_planted():
    true, codes, probabilities = noisy(0, 3)
    found, planted = learning.find_issues(codes, probabilities), codes != true
    assert (found & planted).sum() / planted.sum() > 0.7
    assert (found & planted).sum() / found.sum() > 0.7


def test_rounding_keeps_the_sum_of_each_row():
    counts = np.array([[1.4, 1.4, 1.2], [0.5, 2.5, 1.0], [3.0, 0.0, 1.0]])
    rounded = learning._round_rows(counts)
    np.testing.assert_array_equal(rounded.sum(axis=1), [4, 4, 4])
    assert np.abs(rounded - counts).max() < 1


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("filter_by", learning.FILTERS)
def test_cleanlab_finds_the_same(n_classes, filter_by):
    pytest.importorskip("cleanlab", reason="a second opinion, optional: pip install 'histoclf[cleanlab]'")
    for seed in range(5):
        _, codes, probabilities = noisy(seed, n_classes)
        ours = learning.find_issues(codes, probabilities, filter_by=filter_by)
        theirs = learning.find_issues(codes, probabilities, filter_by=filter_by, engine="cleanlab")
        np.testing.assert_array_equal(ours, theirs)


def test_without_cleanlab_the_cure_is_named(monkeypatch):
    monkeypatch.setattr("histoclf.networks._optional.is_installed", lambda _: False)
    with pytest.raises(MissingDependencyError, match=r"histoclf\[cleanlab\]"):
        learning.find_issues(CODES, PROBABILITIES, engine="cleanlab")
