import csv
import os

import numpy as np
import pytest

from histoclf import load_model
from histoclf.cli import main
from histoclf.cli._predict import list_images, write_predictions


def read(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_the_table_holds_what_the_model_says(model, folder, tmp_path, capsys):
    out = tmp_path / "p.csv"
    assert main(["predict", str(model), str(folder), "--out", str(out), "-q"]) == 0
    assert "40 images predicted (" in capsys.readouterr().out
    rows = read(out)
    paths = [row["path"] for row in rows]
    assert paths == list_images([str(folder)])
    classifier = load_model(model).set_params(verbose=0)
    assert [row["predicted"] for row in rows] == classifier.predict(paths).tolist()
    benign = classifier.predict_proba(paths)[:, 0].tolist()
    assert [float(row["probability_benign"]) for row in rows] == benign


@pytest.mark.parametrize("context", [[], ["--slide-context"]])
def test_a_loud_model_can_be_asked_quietly(context, folder, transfer, tmp_path, capsys):
    out, table = tmp_path / "new.histoclf", tmp_path / "p.csv"
    assert main(["train", str(folder), "--out", str(out), *transfer, *context]) == 0
    assert "[HistoTransferClassifier] X: " in capsys.readouterr().out
    assert main(["predict", str(out), str(folder), "--out", str(table), "-q"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("40 images predicted (")
    assert said.err == ""
    paths = [row["path"] for row in read(table)]
    benign = load_model(out).predict_proba(paths)[:, 0].tolist()
    assert [float(row["probability_benign"]) for row in read(table)] == benign


def test_unreadable_images_are_all_named(model, folder, tmp_path, capsys):
    out, bad = tmp_path / "p.csv", tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    words = ["predict", str(model), str(bad), str(folder), "missing.png", "--out", str(out), "-q"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "Cannot read 2 of 42 image files" in said
    assert "missing.png: there is no such file" in said
    assert not out.exists()


def test_unreadable_images_may_have_an_empty_row(model, folder, tmp_path, capsys):
    out, bad = tmp_path / "p.csv", tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    words = ["predict", str(model), str(bad), str(folder), "--out", str(out), "-q", "--on-error", "skip"]
    assert main(words) == 0
    assert "1 unreadable images have an empty row" in capsys.readouterr().out
    rows = read(out)
    assert len(rows) == 41
    assert rows[0] == {
        "path": str(bad),
        "predicted": "",
        "probability_benign": "",
        "probability_malignant": "",
    }
    assert all(row["predicted"] for row in rows[1:])


def test_nothing_readable_is_an_error_even_so(model, tmp_path, capsys):
    words = [
        "predict",
        str(model),
        "a.png",
        "b.png",
        "--out",
        str(tmp_path / "p.csv"),
        "-q",
        "--on-error",
        "skip",
    ]
    assert main(words) == 2
    assert "Cannot read 2 of 2 image files" in capsys.readouterr().err


@pytest.mark.parametrize("force", [False, True])
def test_a_table_is_replaced_with_consent_only(model, folder, tmp_path, force):
    out = tmp_path / "p.csv"
    out.write_text("mine")
    words = ["predict", str(model), str(folder), "--out", str(out), "-q", *(["--force"] if force else [])]
    assert main(words) == (0 if force else 2)
    assert (out.read_text() == "mine") is not force


def test_a_path_that_a_spreadsheet_would_compute_is_written_as_the_same_path(tmp_path):
    write_predictions(str(tmp_path / "p.csv"), ["=1.png", "a.png"], np.array(["b"]), np.ones((2, 1)))
    assert [row["path"] for row in read(tmp_path / "p.csv")] == [os.path.join(".", "=1.png"), "a.png"]


def test_files_and_folders_keep_their_order(folder):
    first = str(folder / "P02")
    assert list_images(["x.png", first])[0] == "x.png"
    assert len(list_images(["x.png", first])) == 11
