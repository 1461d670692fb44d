"""Packages that only some features need."""

import sys

import pytest

from histoclf.exceptions import MissingDependencyError
from histoclf.networks import _optional
from histoclf.networks._optional import is_installed, require


def test_what_is_installed_is_found_without_importing_it():
    before = set(sys.modules)
    assert is_installed("antigravity")  # importing it opens a browser
    assert set(sys.modules) == before
    assert not is_installed("no_such_package")
    require("antigravity", "flying", "wings")


def test_what_is_missing_is_named_with_the_cure(monkeypatch):
    monkeypatch.setattr(_optional.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as error:
        require("onnxruntime", "This", "onnx")
    assert isinstance(error.value, ImportError)
    assert str(error.value) == (
        "This needs the package 'onnxruntime', which is not installed: pip install 'histoclf[onnx]'"
    )
