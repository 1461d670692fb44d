"""Splits that leak are called out, and clean ones are not."""

import json
import pickle

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

from histoclf import assert_no_leakage, audit_cv, audit_split, find_patches
from histoclf.exceptions import LeakageError, SplitError
from histoclf.io import save_patches
from tests.audit.changes import patches, warp

MADE = patches(n_patients=6, patches_per_patient=6)
IMAGES, LABELS, GROUPS = MADE.images, np.asarray(MADE.labels), np.asarray(MADE.groups)
TRAIN, TEST = np.arange(24), np.arange(24, 36)


def test_a_clean_split_is_clean():
    report = audit_split(IMAGES[TRAIN], IMAGES[TEST], train_groups=GROUPS[TRAIN], test_groups=GROUPS[TEST])
    assert report.ok
    assert report.summary() == (
        "No leakage found in 24 images to train on, 12 to test on: no copies, and none of 6 patients on both "
        "sides."
    )


def test_patients_copies_and_conflicts_are_each_named():
    test = np.concatenate([IMAGES[TEST], IMAGES[4:5], [warp(IMAGES[9], 8)]])
    opposite = np.where(LABELS[0] == LABELS, "other", LABELS[0])
    report = audit_split(
        IMAGES[TRAIN],
        test,
        train_groups=GROUPS[TRAIN],
        test_groups=[*GROUPS[TEST], "new", GROUPS[9]],
        train_labels=LABELS[TRAIN],
        test_labels=[*LABELS[TEST], opposite[4], LABELS[9]],
    )
    assert not report.ok
    assert report.shared_groups == (GROUPS[9],)
    assert report.exact_duplicates == ((4, 12, 1.0),)
    assert [(one, other) for one, other, _ in report.near_duplicates] == [(9, 13)]
    assert report.label_conflicts == ((4, 12, LABELS[4], opposite[4]),)
    text = report.summary()
    for words in ("LEAKAGE", GROUPS[9], "4 and 12 (1.00)", "9 and 13", "different labels"):
        assert words in text
    json.dumps(report.to_dict())


def test_copies_within_a_part_are_no_leak():
    train = np.concatenate([IMAGES[TRAIN], IMAGES[2:3], IMAGES[3:4, ::-1]])
    report = audit_split(train, IMAGES[TEST])
    assert report.ok
    assert report.exact_duplicates == report.near_duplicates == ()


def test_unknown_patients_are_said_to_be_unknown():
    assert "Patients are unknown" in audit_split(IMAGES[TRAIN], IMAGES[TEST]).summary()


def test_oversampling_before_the_split_is_called_out():
    """The mistake of the notebook that histoclf began with."""
    rare = np.flatnonzero(LABELS[0] == LABELS)[:6]
    X, y = (
        np.concatenate([IMAGES, IMAGES[rare], IMAGES[rare]]),
        np.concatenate([LABELS, LABELS[rare], LABELS[rare]]),
    )
    report = audit_cv(StratifiedKFold(3, shuffle=True, random_state=0), X, y)
    assert not report.ok
    assert len(report.exact_duplicates) > 4
    assert "Exact copies" in report.summary()


@pytest.mark.parametrize(
    ("cv", "leaks"),
    [(KFold(3, shuffle=True, random_state=0), True), (StratifiedGroupKFold(3), False), (None, False)],
)
def test_folds_that_split_patients_are_called_out(cv, leaks):
    report = audit_cv(cv, IMAGES, LABELS, GROUPS)
    assert report.ok is not leaks
    assert (len(report.shared_groups) > 0) is leaks


def test_a_copy_under_another_patient_s_name_is_found_by_any_split():
    X = np.concatenate([IMAGES, IMAGES[7:8, :, ::-1], IMAGES[8:9, ::-1]])
    groups = np.concatenate([GROUPS, ["P09"], GROUPS[8:9]])
    report = audit_cv(None, X, groups=groups)
    assert [(one, other) for one, other, _ in report.near_duplicates] == [(7, 36)]
    assert len(audit_cv(None, X).near_duplicates) == 2  # patients unknown: any two may be separated


def test_a_fold_that_keeps_the_copies_together_does_not_leak():
    X = np.concatenate([IMAGES[:6], IMAGES[1:2, ::-1]])
    together = [(np.array([0, 2, 3]), np.array([1, 6, 4]))]
    apart = [(np.array([0, 2, 6]), np.array([1, 3, 4]))]
    assert audit_cv(together, X).ok
    assert not audit_cv(apart, X).ok


def test_the_assertion_raises_with_the_report():
    with pytest.raises(LeakageError, match="LEAKAGE") as caught:
        assert_no_leakage(IMAGES[TRAIN], IMAGES[20:26])
    assert len(caught.value.report.exact_duplicates) == 4
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert_no_leakage(IMAGES[TRAIN], IMAGES[TEST])


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(SplitError, match="train_groups were given without test_groups"):
        audit_split(IMAGES[TRAIN], IMAGES[TEST], train_groups=GROUPS[TRAIN])
    with pytest.raises(SplitError, match=r"test_labels has shape \(3,\); expected.*\(12,\)"):
        audit_split(IMAGES[TRAIN], IMAGES[TEST], train_labels=LABELS[TRAIN], test_labels=LABELS[:3])


def test_items_are_paths_where_paths_were_given_and_the_page_shows_them(tmp_path):
    copies = np.concatenate([IMAGES[:4], IMAGES[1:2, ::-1]])
    paths = save_patches(copies, LABELS[[0, 1, 2, 3, 1]], np.repeat("P1", 5), None, tmp_path / "set")
    report = audit_split(paths[:4], paths[4:])
    assert report.near_duplicates[0][:2] == (paths[1], paths[4])
    assert str(tmp_path) not in report.summary()  # the folder that all of them share says nothing
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2
    assert "http:" not in page
    assert "https:" not in page


def test_the_page_shows_arrays_if_it_is_given_them(tmp_path):
    test = IMAGES[3:4, ::-1]
    report = audit_split(IMAGES[TRAIN], test)
    report.to_html(tmp_path / "without.html")
    report.to_html(tmp_path / "with.html", IMAGES[TRAIN], test)
    assert (tmp_path / "without.html").read_text(encoding="utf-8").count("<img") == 0
    assert (tmp_path / "with.html").read_text(encoding="utf-8").count("<img") == 2


@pytest.mark.real_data
@pytest.mark.slow
def test_the_published_split_of_the_oral_set_leaks(real_data):
    train, test = (find_patches(real_data / "oral_oscc" / part, groups=None) for part in ("train", "test"))
    report = audit_split(train.paths, test.paths, train_labels=train.labels, test_labels=test.labels)
    assert len(report.near_duplicates) > 150
    assert len(report.exact_duplicates) == 3


@pytest.mark.real_data
@pytest.mark.slow
def test_copies_with_opposite_labels_of_the_oral_set_are_found(real_data):
    found = find_patches(real_data / "oral_originals", groups=None)
    report = audit_cv(None, found.paths, found.labels)
    exact = {pair[:2] for pair in report.exact_duplicates}
    assert sum((one, other) in exact for one, other, *_ in report.label_conflicts) == 11
