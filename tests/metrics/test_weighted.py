import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
)

from histoclf.metrics import (
    weighted_accuracy,
    weighted_auc,
    weighted_average_precision,
    weighted_balanced_accuracy,
)


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def scored(request):
    rng = np.random.default_rng(0)
    y = rng.integers(request.param, size=80)
    p = np.eye(request.param)[y] + rng.random((80, request.param))
    p = (p / p.sum(axis=1, keepdims=True)).round(1)  # rounded, so that there are ties
    return y, p, rng.integers(3, size=(4, 80)).astype(float)


def test_weights_count_how_often_a_row_is_there(scored):
    y, p, weights = scored
    predicted = p.argmax(axis=1)
    for row, accuracy, balanced, auc in zip(
        weights,
        weighted_accuracy(y, predicted, weights),
        weighted_balanced_accuracy(y, predicted, p.shape[1], weights),
        weighted_auc(y, p, weights),
        strict=True,
    ):
        drawn = np.repeat(np.arange(len(y)), row.astype(int))
        assert accuracy == pytest.approx(accuracy_score(y[drawn], predicted[drawn]))
        assert balanced == pytest.approx(balanced_accuracy_score(y[drawn], predicted[drawn]))
        areas = [roc_auc_score(y[drawn] == c, p[drawn, c]) for c in range(p.shape[1])]
        # Of two classes the second alone: p is rounded, so its complement may tie elsewhere.
        assert auc == pytest.approx(areas[1] if len(areas) == 2 else np.mean(areas))


def test_average_precision_is_that_of_scikit_learn_ties_included(scored):
    y, p, weights = scored
    classes = [1] if p.shape[1] == 2 else range(p.shape[1])
    for row, found in zip(weights, weighted_average_precision(y, p, weights), strict=True):
        each = [average_precision_score(y == c, p[:, c], sample_weight=row) for c in classes]
        assert found == pytest.approx(np.mean(each))
    assert np.isnan(weighted_average_precision(y, p, np.zeros((1, len(y))))).all()


def test_without_weights_every_row_counts_once(scored):
    y, p, _ = scored
    ones = np.ones((1, len(y)))
    assert weighted_auc(y, p).tolist() == weighted_auc(y, p, ones).tolist()
    assert weighted_accuracy(y, y).tolist() == [1.0]
    assert weighted_balanced_accuracy(y, y, p.shape[1]).tolist() == [1.0]


def test_a_class_without_weight_leaves_nothing_to_say():
    y, p = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    weights = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    assert np.isnan(weighted_auc(y, p, weights)).tolist() == [True, True, False]
    assert np.isnan(weighted_balanced_accuracy(y, p.argmax(axis=1), 2, weights)).tolist() == [
        True,
        True,
        False,
    ]
    assert np.isnan(weighted_accuracy(y, p.argmax(axis=1), weights)).tolist() == [False, True, False]


def test_a_constant_answer_has_half_the_area():
    assert weighted_auc(np.array([0, 1, 1]), np.tile([0.3, 0.7], (3, 1))).tolist() == [0.5]
