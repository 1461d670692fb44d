import subprocess
import sys
import time

import pytest

import histoclf
from histoclf.cli import main


def run(child_env, *words):
    command = [sys.executable, "-c", "import sys; from histoclf.cli import main; sys.exit(main())", *words]
    return subprocess.run(command, env=child_env, capture_output=True, text=True)


def test_help_answers_at_once_and_names_the_commands(child_env):
    start = time.perf_counter()
    done = run(child_env, "--help")
    assert time.perf_counter() - start < 1.5
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("demo", "evaluate", "train", "predict", "show"))


def test_the_import_is_light(child_env):
    script = "import histoclf.cli, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], env=child_env, capture_output=True, text=True)
    assert not {*done.stdout.split()} & {"tensorflow", "keras", "sklearn", "numpy", "PIL", "scikeras"}


def test_the_library_sets_no_environment(child_env):
    script = "import os; before = dict(os.environ); import histoclf.cli; assert dict(os.environ) == before"
    assert subprocess.run([sys.executable, "-c", script], env=child_env).returncode == 0


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"histoclf {histoclf.__version__}\n"


def test_no_command_shows_the_help(capsys):
    assert main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "no-such-folder"], "There is no folder 'no-such-folder'"),
        (["evaluate", "{empty}"], "No images (PNG, JPEG, TIFF, BMP, WebP) in"),
        (["evaluate", "{file}"], "is a file, expected the folder that holds the patches"),
        (["evaluate", "{folder}", "--set", "lerning_rate=1"], "did you mean 'learning_rate'?"),
        (["evaluate", "{folder}", "--set", "dropout"], "--set dropout: expected NAME=VALUE"),
        (
            ["evaluate", "{folder}", "--set", "dropout=2"],
            "The 'dropout' parameter of HistoCNNClassifier must be",
        ),
        (["evaluate", "{folder}", "--groups", "foldr"], "Did you mean 'folder'?"),
        (["evaluate", "{folder}", "--label-table", "ids"], "must be a str among"),
        (["evaluate", "{folder}", "--json", "no/such/place.json"], "There is no folder 'no/such'"),
        (["evaluate", "{folder}", "--folds", "5", "-q"], "need at least 5 patients, but there are 4"),
        (["train", "{folder}", "--out", "{file}"], "exists already"),
        (["train", "{folder}", "--out", "{empty}"], "is a folder, expected the name of a file"),
        (["train", "{flat}", "--out", "new"], "It is unknown which class"),
        (["predict", "{file}", "{folder}", "--out", "new.csv"], "no model file of histoclf"),
        (["predict", "{file}", "{empty}", "--out", "new.csv"], "No images (PNG"),
        (["demo", "--out", "{empty}"], "exists already; expected the name of a new folder"),
    ],
)
def test_what_goes_wrong_is_one_message_and_status_2(words, message, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty, file = tmp_path / "empty", tmp_path / "file.png"
    empty.mkdir()
    file.write_bytes(b"")
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "a.png").write_bytes(b"")
    places = {"flat": flat, "empty": empty, "file": file, "folder": folder}
    assert main([word.format(**places) for word in words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("histoclf: error: ")
    assert message in said
    assert "Traceback" not in said


def test_developers_may_see_the_traceback():
    with pytest.raises(FileNotFoundError):
        main(["evaluate", "no-such-folder", "--traceback"])


def test_bugs_keep_their_traceback(monkeypatch):
    def broken(*args, **kwargs):
        raise KeyError("a bug")

    monkeypatch.setattr("histoclf.cli._inputs.find_patches", broken)
    with pytest.raises(KeyError, match="a bug"):
        main(["evaluate", "anywhere"])


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("histoclf.cli._inputs.find_patches", interrupted)
    assert main(["evaluate", "anywhere"]) == 130
    assert capsys.readouterr().err == "histoclf: interrupted\n"
