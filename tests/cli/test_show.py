"""histoclf show."""

import json

from histoclf import read_card
from histoclf.cli import main
from tests.test_architecture import loaded_by


def test_the_card_is_printed(model, capsys):
    assert main(["show", str(model)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Model card: HistoCNNClassifier\n")
    assert "40 patches of 4 patients" in said
    assert "NOT FOR CLINICAL USE" in said
    assert "NOT EVALUATED: how good it is on new patients is not known." in said
    assert "\n  histoclf train DIR --out MODEL --evaluate\n" in said


def test_the_card_as_json(model, capsys):
    assert main(["show", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read_card(model)


def test_what_is_no_model_is_answered(tmp_path, capsys):
    (tmp_path / "a.histoclf").write_bytes(b"nothing")
    assert main(["show", str(tmp_path / "a.histoclf")]) == 2
    assert "is no model file of histoclf" in capsys.readouterr().err


def test_showing_loads_neither_a_network_nor_the_classifiers(model, child_env):
    loaded = loaded_by(f"from histoclf import read_card; read_card({str(model)!r})", child_env)
    assert not loaded & {"tensorflow", "keras", "sklearn", "scipy", "histoclf.classifiers"}
    shown = loaded_by("import histoclf.cli._show", child_env)
    assert not shown & {"tensorflow", "keras", "sklearn", "scipy", "histoclf.classifiers"}
