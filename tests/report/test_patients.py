"""One row per patient."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score

from histoclf import PatientScoresDisplay
from histoclf.metrics import jackknife_interval, wilson_interval

RNG = np.random.default_rng(0)
GROUPS = np.repeat(["A", "B", "C", "D"], [40, 30, 20, 10])
Y = np.where(GROUPS == "D", 1, RNG.integers(0, 2, 100))
P = np.clip(0.5 + 0.4 * (Y - 0.5) + RNG.normal(0, 0.3, 100), 0, 1)


@pytest.fixture(scope="module")
def display():
    return PatientScoresDisplay.from_predictions(Y, P, GROUPS, ax=Figure().subplots(1, 2))


def test_the_score_of_a_patient_is_the_mean_of_his_recalls(display):
    rows = [name == GROUPS for name in "ABC"]
    expected = [balanced_accuracy_score(Y[own], P[own] > 0.5) for own in rows]
    np.testing.assert_allclose(display.scores[:3], expected)
    assert display.counts.sum(axis=1).tolist() == [40, 30, 20, 10]


def test_a_patient_with_one_class_has_its_recall(display):
    right = int((P[GROUPS == "D"] > 0.5).sum())
    assert display.counts[3].tolist() == [0, 10]
    assert display.scores[3] == right / 10
    np.testing.assert_allclose(display.intervals[3], wilson_interval(right, 10))


def test_the_mean_is_over_patients_and_its_interval_that_of_the_tables(display):
    assert display.mean_ == pytest.approx(display.scores.mean())
    left_out = [np.delete(display.scores, place).mean() for place in range(4)]
    expected = jackknife_interval(display.mean_, np.array(left_out), scale="logit")
    assert display.mean_interval_ == pytest.approx(expected)


def test_of_one_patient_there_is_no_interval():
    display = PatientScoresDisplay.from_predictions([0, 1], [0.1, 0.9], ["a", "a"])
    assert np.isnan(display.mean_interval_).all()
    assert display.axes_[0].get_title() == "mean of 1 patients\n1.000"


def test_rows_are_sorted_the_best_on_top(display):
    scores, counts = display.axes_
    names = [tick.get_text() for tick in scores.get_yticklabels()]
    heights = dict(zip(names, scores.get_yticks(), strict=True))
    assert sorted(heights, key=heights.get) == display.patients[np.argsort(display.scores)].tolist()
    drawn = scores.lines[0].get_xdata()
    assert (np.diff(drawn) >= 0).all()
    lengths = [bar.get_width() for bar in counts.patches]
    assert sum(lengths) == 100
    assert scores.get_title().startswith("mean of 4 patients\n")
    assert counts.get_title() == "3 patients have\nseveral classes"


def test_many_patients_fit_on_a_page():
    groups = np.arange(500)
    display = PatientScoresDisplay.from_predictions(groups % 2, np.full(500, 0.7), groups)
    assert display.figure_.get_size_inches()[1] <= 16
    assert len(display.axes_[0].get_yticks()) <= 66


def test_a_classifier_is_asked():
    clf = DummyClassifier(strategy="prior").fit(P[:, None], Y)
    display = PatientScoresDisplay.from_estimator(clf, P[:, None], Y, groups=GROUPS)
    assert display.scores[:3].tolist() == [0.5] * 3
    with pytest.raises(ValueError, match="Patients are unknown"):
        PatientScoresDisplay.from_estimator(clf, P[:, None], Y)


def test_all_right_still_has_an_interval():
    display = PatientScoresDisplay.from_predictions([0, 1, 0, 1], [0, 1, 0, 1], ["a", "a", "b", "b"])
    assert display.scores.tolist() == [1, 1]
    assert (display.intervals[:, 0] < 0.8).all()
    assert display.intervals[:, 1].tolist() == [1, 1]
