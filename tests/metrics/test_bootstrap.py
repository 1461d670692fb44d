import numpy as np
import pytest

from histoclf.metrics import _bootstrap, bootstrap_patients, percentile_interval


def weights_themselves(weights):
    return weights


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    groups = np.array(["a", "b", "a", "c", "a"])
    weights = bootstrap_patients(weights_themselves, groups, n_resamples=50)
    assert weights.shape == (50, 5)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_seed_decides():
    groups = np.arange(20)
    first, again = (bootstrap_patients(weights_themselves, groups, random_state=1) for _ in range(2))
    other = bootstrap_patients(weights_themselves, groups, random_state=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_chunks_do_not_show(monkeypatch):
    groups = np.arange(30) // 3
    whole = bootstrap_patients(weights_themselves, groups, n_resamples=20)
    monkeypatch.setattr(_bootstrap, "_CHUNK", 7 * 30)
    assert np.array_equal(bootstrap_patients(weights_themselves, groups, n_resamples=20), whole)


def test_the_global_stream_is_left_alone():
    before = np.random.get_state()[1].copy()
    bootstrap_patients(weights_themselves, np.arange(5), random_state=None)
    assert np.array_equal(np.random.get_state()[1], before)


def test_the_spread_is_that_of_the_mean_of_patients():
    values = np.random.default_rng(0).normal(size=200)
    means = bootstrap_patients(lambda weights: weights @ values / weights.sum(axis=1), np.arange(200))
    assert means.std() == pytest.approx(values.std() / np.sqrt(200), rel=0.1)


def test_undefined_draws_are_left_out_of_the_interval():
    values = np.r_[np.linspace(0, 1, 101), [np.nan] * 50]
    assert percentile_interval(values) == pytest.approx((0.025, 0.975))


def test_mostly_undefined_draws_are_no_interval():
    assert np.isnan(percentile_interval(np.array([0.5, np.nan, np.nan]))).all()
