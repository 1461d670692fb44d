import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from histoclf.metrics import weighted_brier_score, weighted_calibration_error, weighted_log_loss


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def scored(request):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(request.param), size=60)
    return rng.integers(request.param, size=60), p, rng.integers(3, size=(4, 60)).astype(float)


def test_losses_are_those_of_scikit_learn(scored):
    y, p, weights = scored
    labels = range(p.shape[1])
    answer = p[:, 1] if len(labels) == 2 else p
    for row, loss, score in zip(
        weights, weighted_log_loss(y, p, weights), weighted_brier_score(y, p, weights), strict=True
    ):
        assert loss == pytest.approx(log_loss(y, p, sample_weight=row, labels=labels))
        assert score == pytest.approx(brier_score_loss(y, answer, sample_weight=row, labels=labels))


def test_a_sure_mistake_costs_much_but_not_infinitely_much():
    loss = weighted_log_loss(np.array([0]), np.array([[0.0, 1.0]]))
    assert 30 < loss[0] < 40


def test_calibrated_probabilities_have_a_small_error_and_sure_ones_a_large_one():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(int)
    honest, sure = np.stack([1 - p, p], axis=1), np.eye(2)[(p > 0.5).astype(int)]
    assert weighted_calibration_error(y, honest)[0] < 0.02
    assert weighted_calibration_error(y, sure)[0] == pytest.approx(0.25, abs=0.01)


def test_bins_hold_equally_many_samples():
    confidence = np.r_[np.linspace(0.55, 0.56, 30), np.linspace(0.9, 0.91, 30)]
    y = np.r_[np.ones(30, dtype=int), np.zeros(30, dtype=int)]  # right below, wrong above
    p = np.stack([1 - confidence, confidence], axis=1)
    apart = (abs(1 - confidence[:30].mean()) + confidence[30:].mean()) / 2
    assert weighted_calibration_error(y, p, n_bins=2)[0] == pytest.approx(apart)
    together = abs(0.5 - confidence.mean())
    assert weighted_calibration_error(y, p, n_bins=1)[0] == pytest.approx(together)


def test_the_order_of_equal_confidences_makes_up_no_error():
    y = np.r_[np.zeros(40, dtype=int), np.ones(60, dtype=int)]
    p = np.tile([0.4, 0.6], (100, 1))
    order = np.random.default_rng(0).permutation(100)
    assert weighted_calibration_error(y, p)[0] == pytest.approx(0, abs=1e-12)
    assert weighted_calibration_error(y[order], p)[0] == pytest.approx(0, abs=1e-12)


def test_weights_count_how_often_a_row_is_there():
    p = np.array([[0.2, 0.8], [0.2, 0.8], [0.2, 0.8]])
    weights = np.array([[4.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    found = weighted_calibration_error(np.array([1, 0, 0]), p, weights, n_bins=1)
    assert found[0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(found[1])
