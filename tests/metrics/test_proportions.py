"""Intervals of shares."""

import numpy as np
import pytest
from scipy.stats import binomtest

from histoclf.metrics import mean_share, wilson_interval


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (3, 7), (0, 40), (40, 40), (123, 456)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_it_is_the_interval_of_wilson(n_right, n, level):
    expected = binomtest(n_right, n).proportion_ci(level, method="wilson")
    np.testing.assert_allclose(wilson_interval(n_right, n, level), expected, atol=1e-12)


def test_arrays_go_in_and_come_out_and_nothing_counted_is_not_a_number():
    low, high = wilson_interval(np.array([[1, 0], [2, 0]]), np.array([[2, 0], [2, 3]]))
    assert low.shape == high.shape == (2, 2)
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [[False, True], [False, False]]


def test_the_mean_of_one_share_has_its_interval():
    mean, low, high = mean_share([[3, 0]], [[7, 0]])  # the second class does not occur
    assert mean[0] == pytest.approx(3 / 7)
    np.testing.assert_allclose([low[0], high[0]], wilson_interval(3, 7))


def test_the_mean_of_two_shares_counts_both_the_same():
    mean, low, high = mean_share([90, 1], [100, 2])
    assert mean == pytest.approx(0.7)
    few, _ = wilson_interval(1, 2)
    assert 0.7 - (0.5 - few) / 2 - 0.05 < low < 0.7 - (0.5 - few) / 2
    assert 0.7 < high < 1


def test_intervals_hold_the_mean_of_the_rates_as_often_as_they_say():
    rng, rates, n = np.random.default_rng(0), np.array([0.9, 0.6]), np.array([30, 10])
    _, low, high = mean_share(rng.binomial(n, rates, (4000, 2)), np.broadcast_to(n, (4000, 2)))
    assert 0.93 < np.mean((low <= rates.mean()) & (rates.mean() <= high)) < 0.98


def test_nothing_at_all_is_not_a_number():
    assert np.isnan(mean_share([0, 0], [0, 0])[0])
