import json

import pytest

from histoclf.cli import main
from histoclf.datasets import make_patches
from histoclf.io import save_patches
from tests.cli.conftest import TINY


def test_the_table_is_printed_and_the_scores_are_written(folder, tmp_path, capsys):
    file = tmp_path / "scores.json"
    words = ["evaluate", str(folder), "--folds", "2", "--seed", "1", "--json", str(file), *TINY]
    assert main(words) == 0
    said, shown = capsys.readouterr()
    assert "40 images, 2 classes from folders, 4 patients from IDC file names" in said
    assert "fit 10 of 10, HistoCNNClassifier" in shown
    for row in ("HistoCNNClassifier", "mean colour", "colour histogram", "file size", "majority class"):
        assert f"\n{row} " in said
    assert said.endswith(f"Scores written to {file}\n")
    content = json.loads(file.read_text())
    assert content["seed"] == 1
    assert "epochs=1" in content["classifier"]
    assert [row["name"] for row in content["rows"]][1::4] == ["mean colour", "majority class"]
    assert content["estimated_inflation"] is None
    assert "learning_curve=True and inflation=True measures it" in content["notes"][-1]


def test_more_is_measured_and_kept_on_request(folder, tmp_path, capsys):
    file, checkpoint = tmp_path / "scores.json", tmp_path / "checkpoint"
    words = ["evaluate", str(folder), "--folds", "2", "-q", *TINY, "--checkpoint", str(checkpoint)]
    assert main(words) == 0
    assert "calib. error" not in capsys.readouterr().out
    assert main([*words, "--inflation", "--learning-curve", "--details", "--json", str(file)]) == 0
    assert "calib. error" in capsys.readouterr().out
    content = json.loads(file.read_text())
    assert 0 <= content["estimated_inflation"]["balanced_accuracy"] <= 1
    assert [point["kind"] for point in content["learning_curve"]["points"]] == ["patches", "patches"]
    assert main([*words, "--seed", "1"]) == 2
    assert "random_state (0 there, 1 here)" in capsys.readouterr().err


@pytest.mark.parametrize("context", [[], ["--slide-context"]])
def test_a_transfer_classifier_is_evaluated(context, tmp_path, transfer, capsys):
    made = make_patches(n_patients=6, patches_per_patient=8, image_size=16, random_state=0)
    save_patches(made.images, made.labels, made.groups, made.coords, tmp_path)
    assert main(["evaluate", str(tmp_path), "--folds", "2", "-q", *transfer, *context]) == 0
    said = capsys.readouterr().out
    row = "SlideContextClassifier" if context else "HistoTransferClassifier"
    assert f"\n{row}" in said
    assert "\nmean colour" in said


def test_quiet_prints_results_only(folder, capsys):
    assert main(["evaluate", str(folder), "--folds", "2", "--groups", "none", "--quiet", *TINY]) == 0
    out, err = capsys.readouterr()
    assert "fold 1" not in out
    assert "patients unknown" in out
    assert "Warning: patients are unknown" in out
    assert err == ""
