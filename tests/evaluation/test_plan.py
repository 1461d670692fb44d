import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoclf import (
    HistoCNNClassifier,
    HistoEmbedder,
    HistoTransferClassifier,
    LabelCleaningClassifier,
    SlideContextClassifier,
)
from histoclf.classifiers._folds import make_folds
from histoclf.evaluation._plan import BY_PATIENT, plan_curve, plan_other_split, refits_are_cheap

GROUPS = np.repeat([f"P{number}" for number in range(12)], 8)
Y = np.tile(["a", "a", "a", "b"], 24)
FOLDS = make_folds(Y, GROUPS, 3, 0)


@pytest.mark.parametrize(
    ("estimator", "cheap"),
    [
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (HistoTransferClassifier(), True),
        (SlideContextClassifier(HistoTransferClassifier()), True),
        (LabelCleaningClassifier(LogisticRegression()), True),
        (make_pipeline(HistoEmbedder(), LogisticRegression()), True),
        (HistoTransferClassifier(fine_tune_layers=2), False),
        (HistoTransferClassifier(head="mlp"), False),
        (HistoTransferClassifier(augmented_copies=1), False),
        (HistoCNNClassifier(), False),
        (SlideContextClassifier(HistoCNNClassifier()), False),
        (GridSearchCV(LogisticRegression(), {"C": [1, 2]}), False),
    ],
)
def test_it_is_known_where_another_fit_is_cheap(estimator, cheap):
    assert refits_are_cheap(estimator) is cheap


def test_what_is_unknown_is_not_called_cheap():
    assert not refits_are_cheap(type("Mine", (LogisticRegression,), {"__module__": "mine"})())


def test_parts_of_the_patients_are_whole_nested_and_as_many_as_they_say():
    curve = plan_curve("net", FOLDS, Y, GROUPS, 0)
    for quarter, half, (train, test) in zip(
        curve["patients", 0.25], curve["patients", 0.5], FOLDS, strict=True
    ):
        few, many = np.unique(GROUPS[quarter.train]), np.unique(GROUPS[half.train])
        assert (len(few), len(many)) == (2, 4)
        assert {*few} < {*many} < {*GROUPS[train]}
        assert len(half.train) == 4 * 8
        assert np.array_equal(half.test, test)


def test_parts_of_the_patches_are_from_every_patient_and_class():
    curve = plan_curve("net", FOLDS, Y, GROUPS, 0)
    for quarter, half, (train, _) in zip(curve["patches", 0.25], curve["patches", 0.5], FOLDS, strict=True):
        assert {*quarter.train} < {*half.train} < {*train}
        assert {*GROUPS[quarter.train]} == {*GROUPS[train]}
        assert np.bincount(np.unique(Y[half.train], return_inverse=True)[1]).tolist() == [24, 8]


def test_every_class_stays_in_even_if_few_patients_have_it():
    y = np.where(np.isin(GROUPS, ["P3", "P9", "P11"]), "rare", "common")
    folds = make_folds(y, GROUPS, 3, 0)
    for fits in plan_curve("net", folds, y, GROUPS, 0).values():
        assert all({*y[fit.train]} == {"rare", "common"} for fit in fits)


def test_too_little_to_learn_from_is_no_point_of_the_curve():
    folds = make_folds(Y[:32], GROUPS[:32], 2, 0)  # two patients to learn from
    curve = plan_curve("net", folds, Y[:32], GROUPS[:32], 0)
    assert [*curve] == [("patches", 0.25), ("patches", 0.5)]


def test_without_patients_only_patches_are_left_out():
    assert {kind for kind, _ in plan_curve("net", FOLDS, Y, None, 0)} == {"patches"}


def test_beside_folds_by_patient_there_is_a_random_split_that_tests_the_same_patches():
    fits = plan_other_split("net", FOLDS, Y, GROUPS, 0)
    assert len(fits) == 3
    assert np.array_equal(np.sort(np.concatenate([fit.test for fit in fits])), np.arange(96))
    assert all({*GROUPS[fit.train]} & {*GROUPS[fit.test]} for fit in fits)


def test_beside_a_random_split_there_are_folds_by_patient():
    fits = plan_other_split("net", make_folds(Y, None, 3, 0), Y, GROUPS, 0)
    assert {fit.part for fit in fits} == {BY_PATIENT}
    assert not any({*GROUPS[fit.train]} & {*GROUPS[fit.test]} for fit in fits)


def test_there_is_no_other_split_where_it_could_not_be_compared_or_made():
    assert plan_other_split("net", FOLDS[:2], Y, GROUPS, 0) == []
    assert plan_other_split("net", FOLDS, Y, None, 0) == []
    two = np.where(np.arange(96) % 2, "P0", "P1")
    assert plan_other_split("net", make_folds(Y, None, 3, 0), Y, two, 0) == []
