"""Labels and probabilities on their way into a display."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.svm import LinearSVC

from histoclf.exceptions import LabelError
from histoclf.report._answers import ask, check_answers, find_groups, require_groups

TABLE = np.array([[0.2, 0.8], [0.6, 0.4], [1.0, 0.0]])


def test_labels_become_numbers_and_the_second_column_is_enough():
    answers = check_answers(["a", "b", "b"], TABLE[:, 1])
    np.testing.assert_allclose(answers.probabilities, TABLE)
    assert answers.classes.tolist() == ["a", "b"]
    assert answers.truth.tolist() == [0, 1, 1]
    assert answers.predicted.tolist() == [1, 0, 0]


def test_classes_stand_in_the_order_of_the_columns():
    answers = check_answers(["malignant", "benign", "malignant"], TABLE, ["malignant", "benign"])
    assert answers.truth.tolist() == [0, 1, 0]


def test_labels_may_be_unknown():
    answers = check_answers(None, TABLE)
    assert answers.codes is None
    assert answers.classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("y", "table", "classes", "message"),
    [
        ([0, 1], TABLE, None, "inconsistent numbers of samples"),
        ([0, 1, 2], TABLE, None, r"2 columns, but there are 3 classes \(\[0, 1, 2\]\)"),
        ([0, 0, 0], TABLE, None, "give all as classes="),
        ([0, 1, 1], TABLE * 3, None, r"lie in 0 to 3\. Expected 0 to 1"),
        ([0, 1, 1], [-1.5, 0.3, 2.0], None, "scores of a decision_function"),
        ([0, 1, 1], np.where(TABLE > 0.9, np.nan, TABLE), None, r"NaN in 1 rows \(\[2\]\).*leave these rows"),
        ([0, None, 1], TABLE, None, "labels are missing"),
    ],
)
def test_what_does_not_fit_is_refused(y, table, classes, message):
    with pytest.raises(ValueError, match=message):
        check_answers(y, table, classes)


def test_an_unknown_label_is_named():
    with pytest.raises(LabelError, match="benigne"):
        check_answers(["benign", "benigne", "malignant"], TABLE, ["benign", "malignant"])


def test_a_classifier_must_give_probabilities():
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        ask(LinearSVC(), TABLE)


def test_places_are_handed_to_those_who_take_them():
    class InContext(DummyClassifier):
        def predict_proba(self, X, groups=None, coords=None):
            self.given = groups, coords
            return super().predict_proba(X)

    clf = InContext().fit(TABLE, [0, 1, 1])
    ask(clf, TABLE, groups="g", coords="c")
    assert clf.given == ("g", "c")
    assert ask(DummyClassifier().fit(TABLE, [0, 1, 1]), TABLE, groups="g").classes.tolist() == [0, 1]


def test_patients_are_read_from_names():
    paths = ["8863_idx5_x51_y1251_class1.png", "9176_idx5_x1_y1_class0.png"]
    assert find_groups(paths, None).tolist() == ["8863", "9176"]
    assert find_groups(paths, [1, 2]).tolist() == [1, 2]
    assert find_groups(np.zeros((2, 3)), None) is None


def test_patients_that_must_be_known_are_asked_for():
    with pytest.raises(ValueError, match=r"Patients are unknown\. Expected groups="):
        require_groups(None, 3)
    with pytest.raises(ValueError, match="one patient per sample"):
        require_groups(["a"], 3)
