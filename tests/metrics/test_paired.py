import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from histoclf.metrics import accuracy_contributions, holm, sign_flip_test


def test_all_ways_to_swap_are_counted():
    differences = np.array([0.3, -0.1, 0.2, 0.25, 0.05, 0.1])
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_test(differences) == pytest.approx(expected.pvalue)


def test_it_does_not_matter_who_comes_first():
    differences = np.random.default_rng(0).normal(0.3, size=12)
    assert sign_flip_test(differences) == sign_flip_test(-differences[::-1])


def test_five_patients_never_show_a_difference():
    assert sign_flip_test(np.full(5, 0.5)) == pytest.approx(2 / 2**5)


def test_no_difference_is_no_evidence():
    assert sign_flip_test(np.zeros(8)) == 1.0


def test_many_patients_are_drawn_by_seed_and_agree_with_students_t():
    differences = np.random.default_rng(0).normal(0.3, size=60)
    found = sign_flip_test(differences, random_state=1)
    assert found == sign_flip_test(differences, random_state=1)
    assert found == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)
    assert sign_flip_test(np.full(60, 1.0)) == pytest.approx(1 / 20_001)


def test_the_level_is_kept_where_both_are_equally_good():
    rng = np.random.default_rng(0)
    p_values = [sign_flip_test(rng.normal(size=8) * rng.lognormal(size=8)) for _ in range(400)]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.04, abs=0.025)


def test_contributions_add_up_to_the_difference():
    rng = np.random.default_rng(0)
    y, first, second = rng.integers(3, size=(3, 90))
    groups = rng.integers(7, size=90).astype(str)
    found = accuracy_contributions(y, first, second, 3, groups)
    assert found.shape == (7,)
    expected = balanced_accuracy_score(y, first) - balanced_accuracy_score(y, second)
    assert found.sum() == pytest.approx(expected)


def test_one_comparison_needs_no_adjustment_and_none_exceeds_1():
    assert holm([0.03]) == [0.03]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
