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
    said = capsys.readouterr().out
    assert "40 images, 2 classes from folders, 4 patients from IDC file names" in said
    assert "[evaluate] fold 2 of 2" in said
    for row in ("HistoCNNClassifier", "mean colour", "majority class"):
        assert f"\n{row} " in said
    assert said.endswith(f"Scores written to {file}\n")
    content = json.loads(file.read_text())
    assert content["seed"] == 1
    assert "epochs=1" in content["classifier"]
    assert [row["name"] for row in content["rows"]][1:] == ["mean colour", "majority class"]


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
