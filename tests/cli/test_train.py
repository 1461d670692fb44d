import shutil

import pytest

from histoclf import load_model, read_card
from histoclf.cli import main
from histoclf.cli._train import _say_context
from tests.cli.conftest import TINY


def test_the_model_can_be_loaded(model):
    classifier = load_model(model)
    assert classifier.classes_.tolist() == ["benign", "malignant"]
    assert classifier.n_iter_ == 1


def test_unreadable_images_may_be_skipped_and_are_counted(folder, tmp_path, capsys):
    patches = shutil.copytree(folder, tmp_path / "patches")
    for path in sorted(patches.rglob("*.png"))[:2]:
        path.write_bytes(b"")
    out = tmp_path / "new.histoclf"
    words = ["train", str(patches), "--out", str(out), "-q", *TINY]
    assert main(words) == 2
    assert "Cannot read 2 of 40 image files" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--on-error", "skip"]) == 0
    said = capsys.readouterr()
    assert "Trained on 38 patches for 1 epochs" in said.out
    assert "histoclf: warning: Skipped 2 of 40 image files" in said.err


def test_a_head_on_a_frozen_network_has_no_epochs(folder, transfer, tmp_path, capsys):
    out = tmp_path / "new.histoclf"
    assert main(["train", str(folder), "--out", str(out), "-q", *transfer]) == 0
    assert "Trained on 40 patches; classifier of benign, malignant written to" in capsys.readouterr().out
    classifier = load_model(out)
    assert (classifier.weights, classifier.image_size) == (None, 32)
    assert classifier.coef_.shape == (1, 8)


@pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("early_stopping=False", "Trained on 40 patches for 1 epochs; classifier"),
        ("learning_rate=9.0", "Trained on 40 patches; fine-tuning did not help and was dropped; classifier"),
    ],
)
def test_epochs_of_fine_tuning_are_counted(folder, transfer, tmp_path, capsys, setting, said):
    words = ["--set", "fine_tune_layers=1", "--set", setting, "--epochs", "1"]
    assert main(["train", str(folder), "--out", str(tmp_path / "new"), "-q", *transfer, *words]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("model", ["cnn", "transfer"])
def test_the_slide_has_a_say(model, folder, transfer, tmp_path, capsys):
    words = transfer if model == "transfer" else TINY
    out = tmp_path / "new.histoclf"
    assert main(["train", str(folder), "--out", str(out), "-q", "--slide-context", *words]) == 0
    said = capsys.readouterr().out
    assert "Trained on 40 patches for 1 epochs; their neighbours" in said or model == "transfer"
    assert "Trained on 40 patches; their neighbours" in said or model == "cnn"
    assert load_model(out).estimator_.classes_.tolist() == ["benign", "malignant"]


@pytest.mark.parametrize(
    ("weight", "radius", "said"),
    [(0.5, 48.0, "weigh up to 0.5, over a radius of 48 pixels"), (0.0, None, "have no say")],
)
def test_what_was_learned_of_the_slide_is_said(weight, radius, said):
    assert said in _say_context(weight, radius)


def test_scores_get_into_the_card_on_request(folder, tmp_path, capsys):
    out, kept = tmp_path / "new.histoclf", tmp_path / "kept.npz"
    protocol = ["--folds", "2", "--no-audit", "--checkpoint", str(kept)]
    assert main(["evaluate", str(folder), "-q", *TINY, *protocol, "--baselines", "none"]) == 0
    made = kept.stat().st_size
    assert main(["train", str(folder), "--out", str(out), "-q", *TINY, *protocol, "--evaluate"]) == 0
    assert kept.stat().st_size > made  # the same fits, and those of the baselines
    said = capsys.readouterr().out
    assert "\nmean colour " in said
    assert "Not evaluated" not in said
    scores = read_card(out)["evaluation"]
    assert [row["name"] for row in scores["rows"]][:2] == ["HistoCNNClassifier", "mean colour"]
    assert (scores["n_patches"], scores["n_patients"], scores["n_folds"]) == (40, 4, 2)


@pytest.mark.parametrize("force", [False, True])
def test_a_model_is_replaced_with_consent_only(folder, tmp_path, force):
    out = tmp_path / "old.histoclf"
    out.write_bytes(b"old")
    status = main(["train", str(folder), "--out", str(out), "-q", *TINY, *(["--force"] if force else [])])
    assert (status, out.read_bytes() == b"old") == ((0, False) if force else (2, True))
