import numpy as np
import pytest
from scipy import stats

from histoclf.metrics import (
    bootstrap_patients,
    jackknife_interval,
    leave_out_patients,
    percentile_interval,
    weighted_accuracy,
    weighted_auc,
    weighted_balanced_accuracy,
)


def test_each_patient_is_left_out_once():
    groups = np.array(["b", "a", "b", "c"])
    weights = leave_out_patients(lambda weights: weights, groups)
    assert weights.tolist() == [[1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]]


def test_of_a_mean_it_is_the_interval_of_students_t():
    values = np.random.default_rng(0).normal(size=9)
    left_out = leave_out_patients(lambda weights: weights @ values / weights.sum(axis=1), np.arange(9))
    expected = stats.t.interval(0.9, 8, loc=values.mean(), scale=values.std(ddof=1) / 3)
    assert jackknife_interval(values.mean(), left_out, level=0.9) == pytest.approx(expected)


def test_shares_keep_within_0_and_1_and_losses_above_0():
    low, high = jackknife_interval(0.97, np.array([0.96, 0.99, 0.95, 0.98]), scale="logit")
    assert 0 < low < 0.97 < high < 1
    low, high = jackknife_interval(0.1, np.array([0.01, 0.2, 0.05, 0.15]), scale="log")
    assert 0 < low < 0.1 < high


def test_no_error_in_a_few_patients_is_no_proof():
    low, high = jackknife_interval(1.0, np.ones(14), scale="logit")
    assert (low, high) == (pytest.approx(0.025 ** (1 / 14)), 1.0)
    low, high = jackknife_interval(0.0, np.zeros(14), scale="logit")
    assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 14)))


def test_a_class_of_one_patient_leaves_nothing_to_say():
    y, groups = np.array([0, 0, 0, 1]), np.array(["a", "b", "c", "c"])
    left_out = leave_out_patients(lambda weights: weighted_balanced_accuracy(y, y, 2, weights), groups)
    assert np.isnan(left_out).tolist() == [False, False, True]
    assert np.isnan(jackknife_interval(1.0, left_out, scale="logit")).all()
    assert np.isnan(jackknife_interval(1.0, left_out[:1], scale="logit")).all()


def test_an_answer_that_never_varies_has_no_width():
    assert jackknife_interval(0.5, np.full(5, 0.5), scale="logit") == pytest.approx((0.5, 0.5))


def test_it_is_about_as_wide_as_the_bootstrap_with_many_patients():
    rng = np.random.default_rng(0)
    groups, y = np.arange(900) // 3, rng.integers(2, size=900)
    right = y == np.where(rng.random(900) < 0.8, y, 1 - y)

    def statistic(weights):
        return weighted_accuracy(y, np.where(right, y, 1 - y), weights)

    one = jackknife_interval(right.mean(), leave_out_patients(statistic, groups), scale="logit")
    other = percentile_interval(bootstrap_patients(statistic, groups))
    assert one == pytest.approx(other, abs=0.01)


# --- coverage: of 100 intervals of 95 %, 95 should hold the value for all patients --------------------------


def simulate(rng, n_patients, single, spread=1.0, distance=1.5):
    """Scores with a level of its own for each patient; true classes mixed, or one for each patient."""
    sizes = np.maximum(4, (15 * rng.lognormal(0, 0.5, n_patients)).astype(int))
    share = (np.arange(n_patients) % 2).astype(float) if single else rng.beta(2, 2, n_patients)
    groups = np.repeat(np.arange(n_patients), sizes)
    y = (rng.random(len(groups)) < share[groups]).astype(int)
    level = spread * rng.normal(size=n_patients)[groups]
    return y, distance * (y - 0.5) + level + rng.normal(size=len(groups)), groups


def statistic_of(y, scores):
    p = np.stack([-scores, scores], axis=1)

    def statistic(weights):
        balanced = weighted_balanced_accuracy(y, (scores > 0).astype(int), 2, weights)
        return np.stack([balanced, weighted_auc(y, p, weights)], axis=1)

    return statistic


def coverage(n_patients, single, n_rounds=400):
    """Shares of rounds whose interval holds the truth: of the jackknife and of the percentiles."""
    rng = np.random.default_rng(0)
    y, scores, _ = simulate(rng, 6000, single)
    truth = statistic_of(y, scores)(np.ones((1, len(y))))[0]
    hits = np.zeros((2, 2))
    for number in range(n_rounds):
        y, scores, groups = simulate(rng, n_patients, single)
        statistic = statistic_of(y, scores)
        here = statistic(np.ones((1, len(y))))[0]
        left_out = leave_out_patients(statistic, groups)
        draws = bootstrap_patients(statistic, groups, n_resamples=400, random_state=number)
        for score in range(2):
            found = [
                jackknife_interval(here[score], left_out[:, score], scale="logit", n_samples=len(y)),
                percentile_interval(draws[:, score]),
            ]
            hits[:, score] += [low <= truth[score] <= high for low, high in found]
    return hits / n_rounds


@pytest.mark.slow
@pytest.mark.parametrize("single", [False, True], ids=["mixed patients", "patients of one class"])
@pytest.mark.parametrize("n_patients", [6, 8, 14, 30])
def test_intervals_hold_the_truth_as_often_as_they_say(n_patients, single):
    jackknife, percentiles = coverage(n_patients, single)
    assert jackknife.min() > 0.90
    assert jackknife.max() <= 0.99
    assert jackknife.mean() == pytest.approx(0.95, abs=0.03)
    if n_patients < 10:
        assert percentiles.max() < 0.90  # why they are not used


def simulate_two(rng, n_patients):
    """Two classifiers that err together on the same patients, the first better."""
    y, scores, groups = simulate(rng, n_patients, False)
    others = scores - 0.3 * (y - 0.5) + 0.5 * rng.normal(size=n_patients)[groups]
    return y, scores > 0, others > 0, groups


def difference_of(y, first, second):
    def statistic(weights):
        balanced = (weighted_balanced_accuracy(y, p.astype(int), 2, weights) for p in (first, second))
        return np.subtract(*balanced)

    return statistic


@pytest.mark.slow
@pytest.mark.parametrize("n_patients", [6, 14, 30])
def test_intervals_of_paired_differences_hold_the_truth_too(n_patients):
    rng = np.random.default_rng(0)
    *answers, groups = simulate_two(rng, 8000)
    truth = difference_of(*answers)(np.ones((1, len(groups))))[0]
    hits = []
    for _ in range(600):
        *answers, groups = simulate_two(rng, n_patients)
        statistic = difference_of(*answers)
        here = statistic(np.ones((1, len(groups))))[0]
        low, high = jackknife_interval(here, leave_out_patients(statistic, groups))
        hits.append(low <= truth <= high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)
