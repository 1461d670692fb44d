import numpy as np
import pytest

from histoclf.metrics import patient_accuracy, patient_probabilities, patient_votes, within_patient_auc


def two_columns(p):
    return np.stack([1 - np.asarray(p), p], axis=1)


def test_every_patient_counts_the_same_for_accuracy():
    y = np.array([0] * 9 + [1])
    groups = np.array(["big"] * 9 + ["small"])
    assert patient_accuracy(y, np.zeros(10, dtype=int), groups).tolist() == [1.0, 0.0]


def test_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    y, p, groups = rng.integers(2, size=60), rng.random(60), rng.integers(5, size=60)
    order = rng.permutation(60)
    areas = within_patient_auc(y, two_columns(p), groups)
    assert np.array_equal(areas, within_patient_auc(y[order], two_columns(p[order]), groups[order]))
    accuracies = patient_accuracy(y, p > 0.5, groups)
    assert np.array_equal(accuracies, patient_accuracy(y[order], p[order] > 0.5, groups[order]))


def test_who_only_tells_patients_apart_has_half_the_area_within_them():
    y = np.array([0, 0, 1, 0, 1, 1])
    groups = np.array(["a"] * 3 + ["b"] * 3)
    by_patient = two_columns([0.2, 0.2, 0.2, 0.8, 0.8, 0.8])
    assert within_patient_auc(y, by_patient, groups).tolist() == [0.5, 0.5]


def test_patients_with_one_class_do_not_count():
    y, groups = np.array([0, 1, 1, 1]), np.array(["a", "a", "b", "b"])
    assert within_patient_auc(y, two_columns([0.1, 0.9, 0.0, 0.0]), groups).tolist() == [1.0]


def test_no_patient_with_two_classes_is_no_area():
    assert len(within_patient_auc(np.array([0, 1]), two_columns([0.1, 0.9]), np.array(["a", "b"]))) == 0


def test_of_three_classes_those_that_a_patient_has_count():
    y = np.array([0, 0, 2, 2])  # no class 1
    p = np.array([[0.8, 0.1, 0.1], [0.7, 0.1, 0.2], [0.2, 0.1, 0.7], [0.1, 0.1, 0.8]])
    assert within_patient_auc(y, p, np.zeros(4)).tolist() == [1.0]


def test_probabilities_are_averaged_where_a_patient_has_a_class():
    y_patients, mean = patient_probabilities(
        np.array([1, 0, 1]), np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]), np.array(["b", "a", "b"])
    )
    assert y_patients.tolist() == [0, 1]
    assert mean == pytest.approx(np.array([[1.0, 0.0], [0.25, 0.75]]))


def test_a_patient_with_two_classes_has_no_class():
    assert patient_probabilities(np.array([0, 1]), two_columns([0.1, 0.9]), np.array(["a", "a"])) is None


def test_every_patch_has_one_vote_and_ties_go_to_the_first_class():
    shares = patient_votes(two_columns([0.6, 0.6, 0.0, 0.9, 0.1]), np.array(["a", "a", "a", "b", "b"]))
    assert shares == pytest.approx(np.array([[1 / 3, 2 / 3], [0.5, 0.5]]))
    assert shares.argmax(axis=1).tolist() == [1, 0]
