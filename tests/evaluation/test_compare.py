import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from histoclf import compare
from histoclf.datasets import make_patches
from histoclf.evaluation import evaluate

MADE = make_patches(n_patients=8, patches_per_patient=12, image_size=16, random_state=0)
ROWS = MADE.images.reshape(len(MADE.images), -1) / 255


@pytest.fixture(scope="module")
def found():
    """A good classifier and a constant one."""
    X = np.column_stack([ROWS[:, :5], (MADE.labels == "malignant") + np.linspace(-0.6, 0.6, len(ROWS))])
    options = {"groups": MADE.groups, "cv": 2, "learning_curve": False, "inflation": False}
    return {
        "constant": evaluate(DummyClassifier(), X, MADE.labels, **options),
        "good": evaluate(LogisticRegression(), X, MADE.labels, **options),
    }


def test_the_best_comes_first_and_the_difference_has_its_interval(found):
    comparison = compare(found)
    assert [row.name for row in comparison.rows] == ["good", "constant"]
    (difference,) = comparison.comparisons
    scores = [found[name].model.balanced_accuracy for name in ("good", "constant")]
    assert difference.difference == pytest.approx(scores[0] - scores[1])
    assert difference.interval[0] < difference.difference < difference.interval[1]
    assert difference.p_value == difference.adjusted_p_value == 4 / 2**8


def test_intervals_are_those_of_the_evaluations(found):
    assert compare(found).rows[0].intervals == found["good"].model.intervals


def test_p_values_are_adjusted_for_how_many_there_are(found):
    comparison = compare(found | {"good again": found["good"]})
    assert len(comparison.comparisons) == 3
    same = next(c for c in comparison.comparisons if {c.first, c.second} == {"good", "good again"})
    assert (same.difference, same.p_value) == (0.0, 1.0)
    other = comparison.comparisons[-1]
    assert other.adjusted_p_value == 3 * other.p_value


def test_it_is_readable_and_json(found):
    comparison = compare(found)
    text = " ".join(str(comparison).split())
    assert "- good - constant: +" in text
    assert "p = 0.016): more than chance" in text
    assert "adjusted for 1 comparison (Holm)" in str(comparison)
    assert max(map(len, str(comparison).splitlines())) <= 100
    content = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert content["comparisons"][0]["second"] == "constant"


def test_a_sequence_has_the_names_of_the_classifiers(found):
    assert [row.name for row in compare([*found.values()]).rows] == ["LogisticRegression", "DummyClassifier"]
    with pytest.raises(ValueError, match=r"LogisticRegression more than once\. Expected a dict"):
        compare([found["good"], found["good"]])


@pytest.mark.parametrize(
    ("field", "words"),
    [("y", r"labels \(y\)"), ("groups", r"patients \(groups\)"), ("folds", r"folds \(cv, random_state\)")],
)
def test_what_is_not_the_same_is_refused(found, field, words):
    values = getattr(found["good"], field)
    other = replace(found["good"], **{field: np.roll(values, 5)})
    with pytest.raises(ValueError, match=f"other and constant differ in their {words}. Expected evaluations"):
        compare({"constant": found["constant"], "other": other})


def test_one_is_nothing_to_compare(found):
    with pytest.raises(ValueError, match="at least 2 evaluations, got 1"):
        compare([found["good"]])
