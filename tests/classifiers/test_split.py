"""The inner validation part."""

import numpy as np
import pytest

from histoclf.classifiers._split import split_validation
from histoclf.exceptions import SplitError


def split(y, groups=None, fraction=0.2, seed=0):
    y = np.asarray(y)
    groups = None if groups is None else np.asarray(groups)
    classes = np.array(["benign", "malignant", "other"])[: y.max() + 1]
    train, validation = split_validation(y, groups, fraction, np.random.default_rng(seed), classes)
    assert sorted([*train, *validation]) == list(range(len(y)))
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(validation) > 0)
    return train, validation


def test_samples_are_stratified_even_if_sorted():
    y = np.repeat([0, 1], [80, 20])
    _, validation = split(y)
    assert np.bincount(y[validation]).tolist() == [16, 4]


def test_the_same_seed_gives_the_same_part_and_another_another():
    y = np.arange(100) % 2
    assert split(y, seed=1)[1].tolist() == split(y, seed=1)[1].tolist()
    assert split(y, seed=1)[1].tolist() != split(y, seed=2)[1].tolist()


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_every_class_is_on_both_sides_whatever_the_fraction(fraction):
    y = np.arange(10) % 2
    for side in split(y, fraction=fraction):
        assert set(y[side]) == {0, 1}


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 12, 300)
    y = (rng.random(300) < 0.1 + 0.8 * (groups % 3 == 0)).astype(int)
    train, validation = split(y, groups, seed=seed)
    assert not set(groups[train]) & set(groups[validation])
    assert 0.1 < len(validation) / 300 < 0.3
    assert y[validation].mean() == pytest.approx(y.mean(), abs=0.15)


def test_groups_may_be_strings():
    groups = np.repeat(["8863", "8864", "8865", "8867"], 5)
    y = np.arange(20) % 2
    train, validation = split(y, groups)
    assert len(set(groups[validation])) == 1
    assert set(groups[train]) | set(groups[validation]) == set(groups)


def test_one_sample_of_a_class_is_refused():
    with pytest.raises(SplitError, match=r"'malignant' has only 1 sample.*at least 2.*early_stopping=False"):
        split([0, 0, 0, 1])


def test_a_class_within_one_patient_is_refused():
    with pytest.raises(SplitError, match=r"'malignant' is in one patient only.*np\.arange\(len\(y\)\)"):
        split([0, 0, 0, 1, 1], ["a", "b", "c", "a", "a"])


def test_patients_that_cannot_be_divided_are_refused():
    """Each class is in two patients, but every choice leaves one class on one side."""
    y = [0, 1, 0, 2, 1, 2]
    with pytest.raises(SplitError, match=r"No set of patients was found.*3 patients"):
        split(y, ["a", "a", "b", "b", "c", "c"])
