import shutil

import pytest

from histoclf import load_model
from histoclf.cli import main
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


@pytest.mark.parametrize("force", [False, True])
def test_a_model_is_replaced_with_consent_only(folder, tmp_path, force):
    out = tmp_path / "old.histoclf"
    out.write_bytes(b"old")
    status = main(["train", str(folder), "--out", str(out), "-q", *TINY, *(["--force"] if force else [])])
    assert (status, out.read_bytes() == b"old") == ((0, False) if force else (2, True))
