import json

import numpy as np
import pytest

from histoclf.evaluation import Evaluation, Row
from histoclf.evaluation._rows import Comparison

NAN = float("nan")


def make(difference, interval, *, groups=np.array(["a", "a", "b", "b"]), warnings=(), **patient):  # noqa: B008
    rows = (
        Row("Net", 0.8 + difference, (0.7, 0.9), 0.9, (0.85, 0.95), 0.81, **patient),
        Row("mean colour", 0.8, (0.75, 0.85), 0.85, (NAN, NAN), 0.8, **patient),
        Row("majority class", 0.5, (0.5, 0.5), 0.5, (0.5, 0.5), 0.6, **patient),
    )
    return Evaluation(
        rows=rows,
        out_of_fold={"Net": np.full((4, 2), 0.5)},
        classes=np.array(["x", "y"]),
        y=np.array(["x", "y", "x", "y"]),
        groups=groups,
        folds=np.array([0, 0, 1, 1]),
        fit_times=(1.2, 2.3),
        warnings=warnings,
        comparison=Comparison(difference, interval),
    )


@pytest.mark.parametrize(
    ("difference", "interval", "beats", "words"),
    [
        (0.0, (-0.1, 0.1), False, "does NOT beat the mean colour"),
        (-0.05, (-0.1, 0.0), False, "balanced accuracy 0.750 against 0.800"),
        (0.05, (-0.01, 0.1), False, "that may be chance (95 % interval -1.0 to +10.0)"),
        (0.05, (0.01, 0.1), True, "5.0 points of balanced accuracy better than the mean colour (95 %"),
        (0.05, (NAN, NAN), False, "on too few patients for an interval"),
    ],
)
def test_the_verdict_is_plain(difference, interval, beats, words):
    evaluation = make(difference, interval)
    assert words in evaluation.verdict
    assert evaluation.beats_mean_colour is beats


def test_the_table_is_readable():
    evaluation = make(
        0.05, (0.01, 0.1), patient_accuracy=0.7, within_patient_auc=0.9, n_within=1, warnings=("Mind.",)
    )
    assert (
        str(evaluation)
        == """\
4 patches, 2 classes, 2 patients; 2 folds, 4 s of training

                per patch:                                            per patient:
                balanced accuracy     AUC                   accuracy  accuracy      AUC within
Net             0.850 [0.700, 0.900]  0.900 [0.850, 0.950]  0.810     0.700         0.900
mean colour     0.800 [0.750, 0.850]  0.850                 0.800     0.700         0.900
majority class  0.500                 0.500                 0.600     0.700         0.900

In brackets: 95 % intervals, from 1,000 random draws of the 2 patients.
AUC within: within one patient, where the stain tells nothing; mean of the 1 patient with more than one class.

Net is 5.0 points of balanced accuracy better than the mean colour (95 % interval +1.0 to +10.0).
Warning: Mind."""
    )


def test_without_patients_there_are_no_columns_of_them():
    text = make(0.05, (0.01, 0.1), groups=None).to_text()
    assert "patients unknown" in text
    assert "per patient" not in text
    assert "random draws of patches" in text


def test_scores_are_json_without_nan():
    content = json.loads(json.dumps(make(0.05, (NAN, NAN)).to_dict(), allow_nan=False))
    assert content["rows"][0]["balanced_accuracy_interval"] == [0.7, 0.9]
    assert content["rows"][1]["auc_interval"] == [None, None]
    assert content["n_patients"] == 2
    assert content["verdict"].startswith("Net is 5.0 points")
