import json

import numpy as np
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


def test_copies_are_found_unless_told_otherwise_and_kept_together_on_request(tmp_path, capsys):
    made = make_patches(n_patients=6, patches_per_patient=4, image_size=32, random_state=0)
    images = np.concatenate([made.images, made.images[:1]])  # of another patient
    who, where = np.append(made.groups, made.groups[-1]), np.append(made.coords, [[0, 992]], axis=0)
    save_patches(images, np.append(made.labels, made.labels[0]), who, where, tmp_path / "patches")
    words = ["evaluate", str(tmp_path / "patches"), "--folds", "3", "-q", *TINY, "--baselines", "none"]
    assert main([*words, "--json", str(tmp_path / "scores.json")]) == 0
    assert "2 patches have COPIES ACROSS FOLDS" in capsys.readouterr().out
    assert json.loads((tmp_path / "scores.json").read_text())["audit"]["n_copies"] == 2
    assert main([*words, "--no-audit"]) == 0
    assert "copies not looked for" in capsys.readouterr().out
    assert main([*words, "--copies-together"]) == 0
    assert "no copies cross the folds" in capsys.readouterr().out


def test_sites_and_baselines_are_taken(tmp_path, capsys):
    made = make_patches(n_patients=4, patches_per_patient=6, image_size=16, random_state=0)
    for site, groups in {"north": ("P01", "P02"), "south": ("P03", "P04")}.items():
        rows = np.isin(made.groups, groups)
        save_patches(
            made.images[rows], made.labels[rows], made.groups[rows], made.coords[rows], tmp_path / site
        )
    words = ["evaluate", str(tmp_path), "--folds", "2", "-q", "--no-audit", *TINY, "--baselines"]
    assert main([*words, "mean colour, site", "--sites", "(north|south)/"]) == 0
    said = capsys.readouterr().out
    assert "2 sites: north, south\n" in said
    assert [
        line.split("  ")[0] for line in said.splitlines() if line.startswith(("site", "mean", "file"))
    ] == [
        "mean colour",
        "site",
    ]
    assert main([*words, "none", "--sites", "(east|west)/"]) == 2
    assert "--sites is read as --groups is: " in capsys.readouterr().err


def test_quiet_prints_results_only(folder, capsys):
    assert main(["evaluate", str(folder), "--folds", "2", "--groups", "none", "--quiet", *TINY]) == 0
    out, err = capsys.readouterr()
    assert "fold 1" not in out
    assert "patients unknown" in out
    assert "Warning: groups were not given, though file names tell 4 patients" in out
    assert "no copies cross the folds" in out
    assert err == ""


def test_a_report_is_written_and_not_replaced(folder, tmp_path, capsys):
    file = tmp_path / "report.html"
    words = ["evaluate", str(folder), "--folds", "2", "-q", *TINY, "--report", str(file)]
    assert main(words) == 0
    assert capsys.readouterr().out.endswith(f"Report written to {file}\n")
    page = file.read_text(encoding="utf-8")
    assert "<h1>Evaluation of HistoCNNClassifier</h1>" in page
    assert "<h2>Slides</h2>" in page
    assert "<h2>Most confident errors</h2>" in page
    file.write_text("old")
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert file.read_text() == "old"


def test_what_a_report_lacks_is_found_before_the_run(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("histoclf.cli._evaluate.evaluate", lambda *_, **__: pytest.fail("ran"))
    file = str(tmp_path / "out")
    words = ["evaluate", str(folder), "--report", file]
    assert main([*words, "--json", file]) == 2
    assert "--json and --report both name" in capsys.readouterr().err
    assert main(["evaluate", str(folder), "--report", str(tmp_path / "no" / "report.html")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    monkeypatch.setattr("histoclf.networks._optional.is_installed", lambda name: name != "jinja2")
    assert main(words) == 2
    assert "pip install 'histoclf[report]'" in capsys.readouterr().err
