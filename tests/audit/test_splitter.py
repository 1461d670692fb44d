"""Folds: patients and copies together, even in size and classes, and words where that cannot be."""

import pickle
import re
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_score, cross_validate

from histoclf import StratifiedPatientKFold, make_patches
from histoclf.audit import Duplicates, find_duplicates
from histoclf.exceptions import ImageReadError, LabelError, SplitError, UnfairSplitWarning
from histoclf.io import save_patches

# Twelve patients of unequal size, half of them of one class each.
SIZES = [40, 10, 10, 20, 30, 10, 20, 20, 30, 10, 20, 20]
GROUPS = np.repeat([f"p{number:02}" for number in range(12)], SIZES)
Y = np.repeat(np.arange(12) % 2, SIZES)
ROWS = np.zeros(len(Y))


def fold_of(cv, X=ROWS, y=Y, groups=GROUPS):
    """Fold in which each row is tested; every row is in one, and trains in the others."""
    found = np.full(len(y), -1)
    for number, (train, test) in enumerate(cv.split(X, y, groups)):
        assert (found[test] == -1).all()
        found[test] = number
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))
    assert found.min() == 0
    return found


def patients_of(folds, groups=GROUPS):
    return {frozenset(groups[folds == fold].tolist()) for fold in np.unique(folds)}


# --- folds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_splits", [2, 3, 4])
def test_patients_stay_together_and_folds_are_even(n_splits):
    folds = fold_of(StratifiedPatientKFold(n_splits, random_state=0))
    assert all(len(np.unique(folds[patient == GROUPS])) == 1 for patient in np.unique(GROUPS))
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 20
    for fold in range(n_splits):
        assert abs(Y[folds == fold].mean() - Y.mean()) <= 0.125  # one patient of 60 rows


def test_sizes_are_more_even_than_those_of_scikit_learn_where_patients_have_one_class():
    def unevenness(splitter, seed):
        generator = np.random.default_rng(seed)
        sizes = np.ceil(50 * np.exp(generator.standard_normal(20))).astype(int)
        y, groups = np.repeat(np.arange(20) % 2, sizes), np.repeat(np.arange(20), sizes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnfairSplitWarning)
            tested = [len(test) for _, test in splitter.split(np.zeros(len(y)), y, groups)]
        return np.std(tested) / np.mean(tested)

    ours = [unevenness(StratifiedPatientKFold(4, random_state=seed), seed) for seed in range(10)]
    theirs = [
        unevenness(StratifiedGroupKFold(4, shuffle=True, random_state=seed), seed) for seed in range(10)
    ]
    assert np.median(ours) < 0.8 * np.median(theirs)


def test_the_best_folds_are_found_where_they_can_be_counted_out():
    sizes = [7, 6, 5, 4, 3, 3, 2, 2, 2, 2]  # of 36, which makes 12 a fold
    y = np.concatenate([np.arange(size) % 2 for size in [2 * size for size in sizes]])
    groups = np.repeat(np.arange(10), [2 * size for size in sizes])
    folds = fold_of(StratifiedPatientKFold(3, random_state=0), np.zeros(72), y, groups)
    assert np.bincount(folds).tolist() == [24, 24, 24]


def test_a_rare_class_is_in_as_many_folds_as_it_has_patients():
    y = np.zeros(200, dtype=int)
    y[[0, 50, 100, 150]] = 1  # one patch of each of four patients, beside which nothing else matters
    folds = fold_of(StratifiedPatientKFold(4, random_state=0), y, y, np.arange(200) // 10)
    assert sorted(folds[y == 1].tolist()) == [0, 1, 2, 3]


def test_a_seed_always_gives_the_same_folds_and_changes_nothing():
    y, groups = Y.copy(), GROUPS.copy()
    state = np.random.get_state()[1].copy()
    first, again = (fold_of(StratifiedPatientKFold(3, random_state=1), y=y, groups=groups) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(groups, GROUPS)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_seeds_differ_and_without_shuffling_they_cannot():
    y, groups = np.arange(300) % 2, np.arange(300) // 10  # thirty patients alike
    found = {
        frozenset(patients_of(fold_of(StratifiedPatientKFold(3, random_state=seed), y, y, groups), groups))
        for seed in range(4)
    }
    assert len(found) == 4
    still = [fold_of(StratifiedPatientKFold(3, shuffle=False), y, y, groups) for _ in range(2)]
    np.testing.assert_array_equal(*still)


def test_the_order_of_the_rows_does_not_matter():
    order = np.random.default_rng(0).permutation(len(Y))
    folds = fold_of(StratifiedPatientKFold(3, random_state=0))
    shuffled = fold_of(StratifiedPatientKFold(3, random_state=0), y=Y[order], groups=GROUPS[order])
    np.testing.assert_array_equal(shuffled, folds[order])


def test_many_rows_without_patients_are_dealt_evenly():
    y = np.repeat([0, 1], [15_000, 5_000])
    folds = fold_of(StratifiedPatientKFold(5, random_state=0), y, y, None)
    assert np.bincount(folds).tolist() == [4000] * 5
    assert np.bincount(folds[y == 1]).tolist() == [1000] * 5


# --- duplicates --------------------------------------------------------------------------------------------

FIRST = np.unique(GROUPS, return_index=True)[1]
PAIRS = np.array([[FIRST[0], FIRST[5]], [FIRST[5] + 1, FIRST[7]]])  # 0 and 7 are linked by 5
LABELS = np.arange(len(Y))
LABELS[PAIRS[:, 1]] = LABELS[PAIRS[:, 0]]


@pytest.mark.parametrize(
    "duplicates",
    [
        PAIRS,
        PAIRS.tolist(),
        LABELS,
        [f"cluster {label}" for label in LABELS],
        Duplicates(PAIRS, np.ones(2), np.ones(2, dtype=bool), len(Y), 0),
    ],
    ids=["pairs", "list", "labels", "names", "found"],
)
def test_patients_who_share_a_duplicate_are_kept_together(duplicates):
    folds = fold_of(StratifiedPatientKFold(4, duplicates=duplicates, random_state=0))
    linked = np.isin(GROUPS, ["p00", "p05", "p07"])
    assert len(np.unique(folds[linked])) == 1
    assert all(len(np.unique(folds[patient == GROUPS])) == 1 for patient in np.unique(GROUPS))


def test_without_patients_each_cluster_is_kept_together():
    y = np.arange(40) % 2
    clusters = np.arange(40) // 4
    folds = fold_of(StratifiedPatientKFold(5, duplicates=clusters, random_state=0), y, y, None)
    assert all(len(np.unique(folds[clusters == cluster])) == 1 for cluster in range(10))


@pytest.fixture(scope="module")
def copied():
    """Patches of six patients; the last has a mirrored copy of one of the first."""
    made = make_patches(n_patients=6, patches_per_patient=6, random_state=0)
    images = made.images.copy()
    images[35] = images[0, ::-1]
    assert find_duplicates(images).pairs.tolist() == [[0, 35]]
    return images, np.arange(36) % 2, np.repeat(np.arange(6), 6)


@pytest.mark.parametrize("kind", ["array", "list", "paths"])
def test_images_and_files_are_searched(copied, kind, tmp_path):
    images, y, groups = copied
    X = list(images) if kind == "list" else images
    if kind == "paths":
        X = save_patches(images, y, groups, np.repeat(np.arange(36), 2).reshape(36, 2), tmp_path)
    folds = fold_of(StratifiedPatientKFold(3, random_state=0), X, y, groups)
    first, last = (np.unique(folds[groups == patient]) for patient in (0, 5))
    assert first.tolist() == last.tolist()


def test_tables_of_numbers_are_not_searched(copied):
    images, y, groups = copied
    rows = images.reshape(36, -1)
    for X in (rows, rows.tolist(), None):
        folds = fold_of(StratifiedPatientKFold(6, random_state=0), X, y, groups)
        assert len(patients_of(folds, groups)) == 6  # six folds of six patients: none are linked


# --- what cannot be fair -----------------------------------------------------------------------------------


def test_a_patient_who_holds_most_of_a_class_is_named():
    y = np.repeat([0, 1, 0, 1, 0, 1], [20, 30, 20, 5, 20, 5])
    groups = np.repeat(list("abcdef"), [20, 30, 20, 5, 20, 5])
    with pytest.warns(
        UnfairSplitWarning, match=r"75 % of class '1' \(30 of 40 samples\) is from patient 'b'"
    ):
        list(StratifiedPatientKFold(2, random_state=0).split(y, y, groups))


def test_a_class_in_fewer_patients_than_folds_is_named():
    y = np.repeat(["x", "y", "x", "y", "x", "x"], 10)
    groups = np.repeat(list("abcdef"), 10)
    match = r"class 'y' is in 2 patients only, so 1 of the 3 folds has none to test.*n_splits=2 at most"
    with pytest.warns(UnfairSplitWarning, match=match):
        list(StratifiedPatientKFold(3, random_state=0).split(None, y, groups))


def test_uneven_folds_are_said_with_the_patient_who_is_the_cause():
    sizes = [80, 10, 10, 10, 10]
    y = np.concatenate([np.arange(size) % 2 for size in sizes])
    match = r"the 3 folds hold 20 to 80 samples, where 40 would be even; 80 of 120 are from patient '0'"
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        list(StratifiedPatientKFold(3, random_state=0).split(y, y, np.repeat(np.arange(5), sizes)))
    assert any(re.search(match, str(warning.message)) for warning in found)
    assert {warning.filename for warning in found} == {__file__}  # not a line of ours


def test_linked_patients_are_named_together():
    y = np.arange(60) % 2
    cv = StratifiedPatientKFold(2, duplicates=[(0, 10), (11, 20), (21, 30)], random_state=0)
    match = r"20 of 30 samples\) is from patients 'a', 'b', 'c', 'd' \(linked by duplicates\)"
    with pytest.warns(UnfairSplitWarning, match=match):
        list(cv.split(y, y, np.repeat(list("abcdef"), 10)))


def test_fair_folds_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fold_of(StratifiedPatientKFold(3, random_state=0))


# --- what is refused ---------------------------------------------------------------------------------------


def split(y=Y, groups=GROUPS, X=None, n_splits=3, **options):
    return list(StratifiedPatientKFold(n_splits, random_state=0, **options).split(X, y, groups))


def test_a_class_of_one_patient_is_refused_with_the_cure():
    with pytest.raises(SplitError, match=r"class '1' is in patient 'p01' only.*add patients who have it"):
        split(y=(GROUPS == "p01").astype(int))


def test_fewer_patients_than_folds_are_refused_with_the_cure():
    with pytest.raises(SplitError, match=r"there are 12 patients\. Use n_splits=12 at most"):
        split(n_splits=13)
    match = (
        r"there are 2 sets of linked patients\. In one piece are patients 'a', 'b'.*Use n_splits=2 at most"
    )
    with pytest.raises(SplitError, match=match):
        split(np.arange(30) % 2, np.repeat(list("abc"), 10), duplicates=[(0, 10)])


def test_labels_and_patients_that_are_missing_are_refused():
    with pytest.raises(SplitError, match="y is None"):
        split(y=None)
    with pytest.raises(LabelError, match="labels are missing"):
        split(y=np.where(Y == 1, None, "x"))
    with pytest.raises(ValueError, match="Unknown label type"):
        split(y=np.linspace(0, 1, len(Y)))
    with pytest.raises(SplitError, match="groups has no patient in 10 rows"):
        split(groups=np.where(GROUPS == "p01", None, GROUPS))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        split(groups=GROUPS[1:])


@pytest.mark.parametrize(
    ("duplicates", "match"),
    [
        ("automatic", "expected 'auto', None"),
        ([(0, len(Y))], f"rows 0 to {len(Y)}, but {len(Y)} rows are to be split.*duplicates='auto'"),
        ([(0.0, 1.0)], "expected pairs of row numbers"),
        (np.zeros((3, 3), dtype=int), r"shape \(3, 3\)"),
        (Duplicates(PAIRS, np.ones(2), np.ones(2, dtype=bool), 7, 0), "a search of 7 images"),
    ],
    ids=["word", "beyond", "floats", "triples", "other rows"],
)
def test_duplicates_that_cannot_be_meant_are_refused(duplicates, match):
    with pytest.raises(ValueError, match=match):
        split(duplicates=duplicates)


def test_files_that_cannot_be_read_are_named_with_the_way_around():
    with pytest.raises(ImageReadError) as caught:
        split(X=[f"absent{row}.png" for row in range(len(Y))])
    assert "duplicates=None does not" in caught.value.__notes__[0]


# --- in scikit-learn ---------------------------------------------------------------------------------------


def test_it_is_a_splitter_of_scikit_learn():
    cv = StratifiedPatientKFold(3, random_state=7)
    assert isinstance(cv, StratifiedGroupKFold)
    assert cv.get_n_splits(ROWS, Y, GROUPS) == 3
    assert "n_splits=3" in repr(cv)
    assert "duplicates='auto'" in repr(cv)
    again = pickle.loads(pickle.dumps(cv))
    np.testing.assert_array_equal(fold_of(again), fold_of(cv))
    with pytest.raises(ValueError, match="n_splits=2 or more"):
        StratifiedPatientKFold(1)


def test_searches_and_scores_take_it():
    X, cv = np.arange(len(Y), dtype=float)[:, np.newaxis], StratifiedPatientKFold(3, random_state=0)
    assert cross_val_score(DummyClassifier(), X, Y, groups=GROUPS, cv=cv).shape == (3,)
    search = GridSearchCV(DummyClassifier(), {"strategy": ["prior", "uniform"]}, cv=cv)
    assert search.fit(X, Y, groups=GROUPS).n_splits_ == 3


def test_patients_are_routed():
    X = np.arange(len(Y), dtype=float)[:, np.newaxis]
    with sklearn.config_context(enable_metadata_routing=True):
        cv = StratifiedPatientKFold(3, random_state=0)
        result = cross_validate(
            DummyClassifier(), X, Y, cv=cv, params={"groups": GROUPS}, return_indices=True
        )
    expected = [test.tolist() for _, test in cv.split(X, Y, GROUPS)]
    assert [test.tolist() for test in result["indices"]["test"]] == expected
