import numpy as np
import pytest

from histoclf.evaluation._spread import find_spread, limits


def mean_of(values):
    return lambda weights: np.stack([weights @ values / weights.sum(axis=1)] * 2, axis=1)


def test_few_patients_are_left_out_and_many_are_drawn():
    few, many = (np.random.default_rng(0).random(n) for n in (20, 150))
    assert find_spread(mean_of(few), np.arange(20)).values.shape == (20, 2)
    drawn = find_spread(mean_of(many), np.arange(150), 0)
    assert drawn.values.shape == (1000, 2)
    assert drawn.drawn
    low, high = drawn.interval(0, scale="logit")
    reach = 1.96 * many.std() / np.sqrt(150)
    assert (low, high) == pytest.approx((many.mean() - reach, many.mean() + reach), abs=0.01)


def test_the_same_has_no_difference():
    values = np.random.default_rng(0).random(20)
    assert find_spread(mean_of(values), np.arange(20)).difference((0,), (1,)) == (0.0, (0.0, 0.0))


def test_limits_are_in_points():
    assert limits((-0.012, 0.05)) == "95 % interval -1.2 to +5.0"
