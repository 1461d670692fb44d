import numpy as np
import pytest
from sklearn.model_selection import GroupShuffleSplit, KFold, ShuffleSplit

from histoclf.classifiers._folds import check_groups, make_folds, shared_patients
from histoclf.exceptions import SplitError

Y = np.tile(["a", "b", "b"], 20)
GROUPS = np.arange(60) // 6


def test_folds_are_by_patient_and_test_each_row_once():
    folds = make_folds(Y, GROUPS, 5, random_state=0)
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(60))
    assert shared_patients(folds, GROUPS) == []


def test_without_patients_folds_are_stratified():
    for _, test in make_folds(Y, None, 4, random_state=0):
        assert (Y[test] == "a").sum() == 5


def test_the_seed_decides():
    first, again, other = (make_folds(Y, GROUPS, 5, random_state=seed)[0][1].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_a_splitter_may_leave_rows_out():
    folds = make_folds(Y, GROUPS, GroupShuffleSplit(1, test_size=0.3, random_state=0), random_state=None)
    assert len(folds) == 1
    assert len(folds[0][1]) == 18


def test_a_list_of_folds_is_taken_as_it_is():
    given = [(list(range(30)), list(range(30, 60))), (list(range(30, 60)), list(range(30)))]
    folds = make_folds(Y, None, given, random_state=None)
    assert [test.tolist() for _, test in folds] == [test for _, test in given]


def test_patients_on_both_sides_are_named():
    folds = make_folds(Y, GROUPS, KFold(5, shuffle=True, random_state=0), random_state=None)
    assert 0 in shared_patients(folds, GROUPS)


@pytest.mark.parametrize(
    ("y", "groups", "cv", "message"),
    [
        (Y, GROUPS, 1, "cv=1: expected at least 2 folds"),
        (Y, GROUPS, 11, r"need at least 11 patients, but there are 10\. Use cv=10 at most"),
        (Y, np.zeros(60), 2, r"need at least 2 patients, but there are 1\. Add patients"),
        (["a", "b", "b"], None, 2, "at least 2 samples of the rarest class, but there are 1"),
        (Y, None, ShuffleSplit(5, test_size=0.5, random_state=0), "tests some samples more than once"),
        (Y, None, [(np.arange(60), [])], "Fold 1 of 1 has nothing to test on"),
    ],
)
def test_folds_that_cannot_be_are_refused(y, groups, cv, message):
    with pytest.raises(SplitError, match=message):
        make_folds(np.asarray(y), groups, cv, random_state=0)


def test_a_class_that_a_training_part_lacks_is_named():
    y = np.where(GROUPS == 3, "rare", Y)
    with pytest.raises(SplitError, match="no sample of class 'rare', which has 6 samples in 1 patients"):
        make_folds(y, GROUPS, 3, random_state=0)


def test_patients_must_be_known_for_every_sample():
    with pytest.raises(SplitError, match=r"no patient in 1 rows \(\[1\]\)"):
        check_groups(["p1", None, "p2"], 3)
    with pytest.raises(SplitError, match=r"groups has shape \(2,\); expected .* \(3,\)"):
        check_groups(["p1", "p2"], 3)
