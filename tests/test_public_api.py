"""Every public name is there and documented, and its documentation is true."""

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.validate import validate
from sklearn.base import BaseEstimator

import histoclf
from histoclf import exceptions
from tests.conftest import REPO

# What numpydoc must find nothing to say about. Left out are matters of taste (infinitive verbs) and sections
# that not everything needs ("See Also", an extended summary); examples are asked for below, where they fit.
CHECKS = {
    *("GL03", "GL05", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS04", "SS06"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR09", "PR10"),
    *("RT01", "RT03", "RT05", "YD01"),
}
# Estimators that scikit-learn's check suite does not fit, each with its reason.
NOT_CHECKED: dict[str, str] = {}


def names_in(source: Path) -> list[str]:
    """``__all__`` of a module, read and not run: collecting tests must not load TensorFlow."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


def public_names() -> list[str]:
    """Dotted names of the public classes and functions: the top level's and what the rooms add."""
    found = {
        name: f"histoclf.{name}" for name in histoclf.__all__ if name not in {"__version__", "exceptions"}
    }
    for source in sorted((REPO / "histoclf").glob("*/__init__.py")):
        for name in names_in(source):
            found.setdefault(name, f"histoclf.{source.parent.name}.{name}")
    return sorted(found.values())


each_public_name = pytest.mark.parametrize("dotted", public_names())


def resolve(dotted: str) -> object:
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


def own_methods(cls: type) -> list[str]:
    """Public methods and properties written here; scikit-learn documents its own."""
    members = {name: inspect.getattr_static(cls, name) for name in dir(cls) if not name.startswith("_")}
    functions = {
        name: getattr(member, "fget", None) or getattr(member, "__func__", member)
        for name, member in members.items()
    }
    return [name for name, found in functions.items() if is_own_function(found)]


def is_own_function(thing: object) -> bool:
    return inspect.isfunction(thing) and thing.__module__.startswith("histoclf")


def complaints(dotted: str) -> list[str]:
    return [f"{dotted}: {code} {text}" for code, text in validate(dotted)["errors"] if code in CHECKS]


# --- the names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", histoclf.__all__)
def test_every_name_resolves_and_is_listed(name):
    assert getattr(histoclf, name) is not None
    assert name in dir(histoclf)


def test_the_lists_of_names_agree():
    """``__all__`` for readers, ``_MODULE_OF`` for the lazy import, ``TYPE_CHECKING`` for editors."""
    source = (REPO / "histoclf" / "__init__.py").read_text(encoding="utf-8")
    for_editors = dict(re.findall(r"^    from (\S+) import (.+)$", source, re.M))
    named = {name: module for module, names in for_editors.items() for name in names.split(", ")}
    assert named == histoclf._MODULE_OF
    assert {*histoclf.__all__} == {*histoclf._MODULE_OF, "__version__", "exceptions"}


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'find_patch'; did you mean 'find_patches'\?"):
        _ = histoclf.find_patch


def test_a_name_like_no_other_gets_no_guess():
    with pytest.raises(AttributeError, match=r"no attribute 'zebra'$"):
        _ = histoclf.zebra


# --- their documentation -----------------------------------------------------------------------------------


@each_public_name
def test_docstrings_say_what_goes_in_and_what_comes_out(dotted):
    thing = resolve(dotted)
    parts = [f"{dotted}.{name}" for name in own_methods(thing)] if inspect.isclass(thing) else []
    found = [text for part in [dotted, *parts] for text in complaints(part)]
    assert not found, "\n".join(found)


@each_public_name
def test_examples_are_given_and_true(dotted, tmp_path, monkeypatch):
    thing = resolve(dotted)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        pytest.skip("a constant")
    monkeypatch.chdir(tmp_path)
    has_example = ">>>" in (inspect.getdoc(thing) or "")
    assert has_example
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    report: list[str] = []
    for found in doctest.DocTestFinder().find(thing, dotted):
        runner.run(found, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", [name for name in vars(exceptions) if name[0].isupper()])
def test_exceptions_are_documented_and_caught_as_standard_ones(name):
    kind = getattr(exceptions, name)
    assert inspect.getdoc(kind)
    assert issubclass(kind, ValueError | ImportError | UserWarning)


# --- discovery ---------------------------------------------------------------------------------------------


def test_scikit_learn_checks_every_public_estimator():
    """A new estimator is named in a test that runs scikit-learn's check suite, or here with a reason."""
    things = {dotted.rpartition(".")[2]: resolve(dotted) for dotted in public_names()}
    estimators = {
        name
        for name, thing in things.items()
        if inspect.isclass(thing) and issubclass(thing, BaseEstimator) and hasattr(thing, "fit")
    }
    sources = [path.read_text(encoding="utf-8") for path in (REPO / "tests").rglob("test_*.py")]
    checking = "\n".join(source for source in sources if "estimator_checks import" in source)
    unchecked = {name for name in estimators if not re.search(rf"\b{name}\(", checking)}
    assert unchecked == {*NOT_CHECKED}
