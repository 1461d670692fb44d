import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from histoclf.metrics import weighted_rates


@pytest.mark.parametrize("n_classes", [2, 3])
def test_rates_are_those_of_scikit_learn(n_classes):
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(n_classes, size=(2, 90))
    weights = rng.integers(3, size=(4, 90)).astype(float)
    average = {"average": "binary" if n_classes == 2 else "macro"}
    for row, (sensitivity, specificity, f1) in zip(
        weights, weighted_rates(y, predicted, n_classes, weights), strict=True
    ):
        assert sensitivity == pytest.approx(recall_score(y, predicted, sample_weight=row, **average))
        assert f1 == pytest.approx(f1_score(y, predicted, sample_weight=row, **average))
        classes = [1] if n_classes == 2 else range(n_classes)
        of_rest = [recall_score(y != c, predicted != c, sample_weight=row) for c in classes]
        assert specificity == pytest.approx(np.mean(of_rest))


def test_who_never_answers_the_positive_class_finds_none_of_it():
    y = np.array([0, 0, 1])
    assert weighted_rates(y, np.zeros(3, dtype=int), 2).tolist() == [[0.0, 1.0, 0.0]]
    assert precision_score(y, np.zeros(3), zero_division=0) == 0  # as scikit-learn has it


def test_without_a_class_there_is_no_rate_of_it():
    rates = weighted_rates(np.array([0, 1]), np.array([0, 1]), 2, np.array([[1.0, 0.0]]))
    assert np.isnan(rates[0]).tolist() == [True, False, True]
