import json

import numpy as np
import pytest

from histoclf.evaluation import Comparison, Evaluation, Row

NAN = float("nan")


def row(name, balanced_accuracy, auc, interval=(NAN, NAN), **scores):
    return Row(name, balanced_accuracy, auc, intervals={"balanced_accuracy": interval}, **scores)


def make(difference, interval, p_value=0.01, *, groups=("a", "a", "b", "b"), **fields):
    patient = fields.pop("patient", {})
    rows = (
        row("Net", 0.8 + difference, 0.9, (0.7, 0.9), **patient),
        row("mean colour", 0.8, 0.85, (0.75, 0.85), **patient),
        row("majority class", 0.5, 0.5, **patient),
    )
    return Evaluation(
        rows=rows,
        comparisons=(
            Comparison("Net", "mean colour", difference, interval, p_value, 2 * p_value, 0.05, (0.0, 0.1)),
            Comparison("Net", "majority class", 0.3 + difference, (0.1, 0.5), 0.01, 0.02, 0.4, (0.3, 0.5)),
        ),
        out_of_fold={"Net": np.full((4, 2), 0.5)},
        classes=np.array(["x", "y"]),
        y=np.array(["x", "y", "x", "y"]),
        groups=None if groups is None else np.array(groups),
        folds=np.array([0, 0, 1, 1]),
        fit_times=(1.2, 2.3),
        warnings=fields.pop("warnings", ()),
        **fields,
    )


@pytest.mark.parametrize(
    ("difference", "interval", "p_value", "beats", "words"),
    [
        (0.0, (-0.1, 0.1), 1.0, False, "does NOT beat the best of 2 baselines, the mean colour"),
        (-0.05, (-0.1, 0.0), 0.04, False, "balanced accuracy 0.750 against 0.800"),
        (0.05, (-0.01, 0.1), 0.2, False, "(95 % interval -1.0 to +10.0, p = 0.200): that may be chance"),
        (0.05, (0.01, 0.1), 0.2, False, "that may be chance"),
        (0.05, (0.01, 0.1), 0.0004, True, "adds 5.0 points of balanced accuracy to the best of 2 baselines"),
        (0.05, (0.01, 0.1), 0.0004, True, "p = below 0.001), and beats each of them by more than chance"),
        (0.05, (NAN, NAN), 0.01, False, "on too few patients for an interval"),
    ],
)
def test_the_verdict_is_plain(difference, interval, p_value, beats, words):
    evaluation = make(difference, interval, p_value)
    assert words in evaluation.verdict
    assert evaluation.beats_shortcuts is beats
    assert evaluation.value_added.second == "mean colour"


def test_the_table_is_readable():
    evaluation = make(
        0.05,
        (0.01, 0.1),
        patient={"patient_accuracy": 0.7, "within_patient_auc": 0.9, "n_within": 1},
        notes=("a note that is so long that it has to go on in the next line, where it is set in by two.",),
        warnings=("Mind.",),
    )
    assert (
        str(evaluation)
        == """\
4 patches, 2 classes, 2 patients; 2 folds, 4 s of training; copies not looked for

                per patch:                   per patient:
                balanced accuracy     AUC    accuracy      AUC within
Net             0.850 [0.700, 0.900]  0.900  0.700         0.900
mean colour     0.800 [0.750, 0.850]  0.850  0.700         0.900
majority class  0.500                 0.500  0.700         0.900

In brackets: 95 % intervals, from how much the 2 patients differ.
AUC within: within one patient, where the stain tells nothing; mean of the 1 patient with more than
one class.

Net adds 5.0 points of balanced accuracy to the best of 2 baselines, the mean colour (95 % interval
+1.0 to +10.0, p = 0.010), and beats each of them by more than chance.
- a note that is so long that it has to go on in the next line, where it is set in by two.
Warning: Mind."""
    )


def test_details_are_a_second_table():
    evaluation = make(0.05, (0.01, 0.1))
    text = evaluation.to_text(details=True)
    heading = "accuracy  avg. precision  sens.  spec.  F1  log-loss  Brier  calib. error"
    assert heading in " ".join(text.split("  ")).replace("   ", "  ") or "calib. error" in text
    assert "are those of class 'y'" in text
    assert "calib. error" not in evaluation.to_text()


def test_patients_of_one_class_have_a_mean_and_a_vote():
    patient = {"patient_balanced_accuracy": 0.9, "patient_auc": 0.8, "vote_balanced_accuracy": 0.7}
    text = make(0.05, (0.01, 0.1), patient=patient).to_text()
    assert "of mean       of vote  AUC" in text
    assert "0.900         0.700    0.800" in text
    assert "Every patient has one class" in text


def test_without_patients_there_are_no_columns_of_them():
    text = make(0.05, (0.01, 0.1), groups=None).to_text()
    assert "patients unknown" in text
    assert "per patient" not in text
    assert "from how much the patches differ" in text


def test_scores_are_json_without_nan():
    content = json.loads(json.dumps(make(0.05, (NAN, NAN)).to_dict(), allow_nan=False))
    assert content["rows"][0]["intervals"]["balanced_accuracy"] == [0.7, 0.9]
    assert content["rows"][2]["intervals"]["balanced_accuracy"] == [None, None]
    assert content["n_patients"] == 2
    assert content["test_patients"] == [["a"], ["b"]]
    assert content["value_added"] == 0.05
    assert content["value_added_interval"] == [None, None]
    assert content["verdict"].startswith("Net adds 5.0 points")
    assert content["estimated_inflation"] is None
