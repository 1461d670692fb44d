import os
import sys

import pytest

from histoclf.cli._network import _withheld_stderr, load_network


def test_noise_from_below_python_is_withheld(capfd):
    with _withheld_stderr():
        os.write(2, b"from C++\n")
    print("afterwards", file=sys.stderr)
    assert capfd.readouterr().err == "afterwards\n"


def test_noise_is_shown_if_an_error_follows(capfd):
    def fail():
        with _withheld_stderr():
            os.write(2, b"the reason\n")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert "the reason" in capfd.readouterr().err


def test_what_is_loaded_is_not_loaded_again(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    load_network(quiet=False)
    assert capsys.readouterr().out == ""
