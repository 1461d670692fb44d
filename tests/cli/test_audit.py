"""``histoclf audit``."""

import json

import numpy as np
import pytest

from histoclf.cli import main
from histoclf.io import save_patches
from tests.audit.changes import patches

MADE = patches(n_patients=4, patches_per_patient=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, folder)
    return folder


def test_a_clean_folder_passes(folder, capsys):
    assert main(["audit", str(folder), "-q"]) == 0
    assert (
        "No leakage found in any split of 20 images that keeps patients together" in capsys.readouterr().out
    )


def test_leakage_is_printed_written_and_fails(folder, tmp_path, capsys):
    copies = MADE.images[:2, :, ::-1]
    save_patches(copies, MADE.labels[:2], np.array(["P99", "P99"]), MADE.coords[:2], tmp_path / "test")
    page, content = tmp_path / "page.html", tmp_path / "found.json"
    words = ["audit", str(folder), "--test", str(tmp_path / "test"), "-q"]
    assert main([*words, "--report", str(page), "--json", str(content)]) == 1
    assert "LEAKAGE in 20 images to train on, 2 to test on" in capsys.readouterr().out
    assert len(json.loads(content.read_text(encoding="utf-8"))["near_duplicates"]) == 2
    assert page.read_text(encoding="utf-8").count("<img") == 4
    assert main([*words, "--report", str(page)]) == 2
    assert "exists already" in capsys.readouterr().err
