"""Whether probabilities are to be believed."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.dummy import DummyClassifier

from histoclf import PatientCalibrationDisplay

RNG = np.random.default_rng(0)
N = 2000
P = RNG.random(N) ** 2
GROUPS = RNG.integers(0, 12, N)
Y = np.where(RNG.random(N) < P, "malignant", "benign")


@pytest.fixture(scope="module")
def display():
    return PatientCalibrationDisplay.from_predictions(Y, P, GROUPS, name="made", ax=Figure().subplots())


def test_bins_hold_equally_many_and_true_probabilities_lie_on_the_diagonal(display):
    assert len(display.prob_pred) == 10
    edges = (display.prob_pred[1:] + display.prob_pred[:-1]) / 2
    counts = np.histogram(P, np.concatenate([[0], edges, [1]]))[0]
    assert counts.min() > 150
    assert np.abs(display.prob_true - display.prob_pred).max() < 0.1
    assert ((display.band[:, 0] <= display.prob_true) & (display.prob_true <= display.band[:, 1])).all()


def test_the_band_is_wide_where_patients_differ(display):
    shifted = np.clip(P + np.where(GROUPS % 2, 0.2, -0.2), 0, 1)
    other = PatientCalibrationDisplay.from_predictions(Y, shifted, GROUPS)
    assert np.diff(other.band).mean() > np.diff(display.band).mean()
    one_each = PatientCalibrationDisplay.from_predictions(Y, shifted, np.arange(N))
    assert np.diff(other.band).mean() > 1.2 * np.diff(one_each.band).mean()


def test_curve_and_band_are_drawn(display):
    assert display.ax_.get_legend_handles_labels()[1] == [
        "Perfectly calibrated",
        "made",
        "95 % interval over patients",
    ]
    assert display.line_.get_xdata().tolist() == display.prob_pred.tolist()
    assert "malignant" in display.ax_.get_xlabel()
    again = display.plot(ax=Figure().subplots(), color="red", ref_line=False)
    assert again.line_.get_color() == "red"
    assert len(again.ax_.lines) == 1


def test_equal_predictions_share_a_bin():
    display = PatientCalibrationDisplay.from_predictions(Y, np.full(N, 0.3), GROUPS)
    assert display.prob_pred == pytest.approx([0.3])
    assert display.prob_true == pytest.approx([np.mean(Y == "malignant")])


def test_a_classifier_is_asked():
    clf = DummyClassifier().fit(P[:, None], Y)
    display = PatientCalibrationDisplay.from_estimator(clf, P[:, None], Y, groups=GROUPS)
    assert display.estimator_name == "DummyClassifier"
    assert display.pos_label == "malignant"


def test_more_than_two_classes_are_refused():
    with pytest.raises(ValueError, match=r"There are 3 classes; expected two\. Draw one class against"):
        PatientCalibrationDisplay.from_predictions([0, 1, 2], np.eye(3), [1, 2, 3])
