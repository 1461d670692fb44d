import os
import re
import subprocess
import sys

import pytest

from histoclf.cli import _demo, main
from histoclf.datasets import make_patches


def test_the_whole_way_is_gone(tmp_path, monkeypatch, capsys):
    """On fewer and smaller patches."""

    def make_few(**params):
        return make_patches(**params | {"n_patients": 4, "patches_per_patient": 10, "image_size": 16})

    monkeypatch.setattr(_demo, "make_patches", make_few)
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "4 patients from IDC file names" in said
    assert "\nmean colour " in said
    assert "gives identical probabilities for all 40 patches" in said
    assert {entry.name for entry in out.iterdir()} == {"patches", "demo.histoclf", "predictions.csv"}


@pytest.mark.slow
def test_the_demo_takes_less_than_90_seconds_of_work_and_beats_colour(child_env):
    script = "import sys; from histoclf.cli import main; sys.exit(main(['demo']))"
    before = os.times().children_user + os.times().children_system
    done = subprocess.run([sys.executable, "-c", script], env=child_env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    used = os.times()
    # Of the processors, not of the clock: other tests may be running beside this one.
    assert used.children_user + used.children_system - before < 90
    model, colour = (float(re.search(rf"^{row} +([\d.]+)", done.stdout, re.M)[1]) for row in ROWS)
    assert model > colour + 0.1
    assert "identical probabilities" in done.stdout
    assert "oneDNN" not in done.stderr


ROWS = ("HistoTransferClassifier", "mean colour")
