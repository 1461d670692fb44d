"""setup.cfg, pyproject.toml and the tools they set up say the same, and each does its own job."""

import configparser
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

import histoclf
from tests.conftest import REPO

HARD_DEPENDENCIES = {"joblib", "keras", "numpy", "pillow", "scikeras", "scikit-learn", "tensorflow", "tqdm"}

HOOKS = re.findall(r"^ +entry: (.+)$", (REPO / ".pre-commit-config.yaml").read_text(encoding="utf-8"), re.M)


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(lines: str) -> list[Requirement]:
    return [Requirement(line) for line in lines.strip().splitlines() if not line.startswith("#")]


def test_each_file_has_its_own_job(setup_cfg, pyproject):
    assert "project" not in pyproject
    assert "setuptools" not in pyproject["tool"]
    tools = {section.split(":")[0] for section in setup_cfg.sections()}
    assert not tools & {"flake8", "mypy", "tool", "isort", "coverage"}
    assert not (REPO / "setup.py").exists()


def test_dependencies_are_the_ones_agreed_on_each_with_a_lower_bound(setup_cfg):
    found = requirements(setup_cfg["options"]["install_requires"])
    assert {requirement.name for requirement in found} == HARD_DEPENDENCIES
    assert all(">=" in str(requirement.specifier) for requirement in found)


def test_the_environment_satisfies_every_bound(setup_cfg):
    """Otherwise the tests would have run on something else than what is declared."""
    extras = setup_cfg["options.extras_require"]
    declared = setup_cfg["options"]["install_requires"] + extras["test"]
    for requirement in requirements(declared):
        if requirement.name != "setuptools":  # the wheel test looks at that one
            assert requirement.specifier.contains(importlib.metadata.version(requirement.name)), requirement


def test_only_extras_hold_what_is_optional(setup_cfg):
    extras = setup_cfg["options.extras_require"]
    assert set(extras) == {
        "openvino",
        "onnx",
        "hub",
        "dask",
        "ray",
        "report",
        "cleanlab",
        "benchmarks",
        "test",
        "docs",
        "dev",
    }
    assert "histoclf[test,docs]" in extras["dev"]


def test_the_version_is_told_once(setup_cfg):
    assert setup_cfg["metadata"]["version"] == "attr: histoclf.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", histoclf.__version__)


def test_the_changelog_is_open_for_the_next_change():
    text = (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.+?)\]", text, re.M)[0] == "Unreleased"


def test_no_tool_is_fetched_from_a_host():
    for name in ["setup.cfg", "pyproject.toml", ".pre-commit-config.yaml", ".ci/run"]:
        assert "://" not in (REPO / name).read_text(encoding="utf-8"), name


def test_ci_run_is_executable():
    assert os.access(REPO / ".ci" / "run", os.X_OK)


@pytest.mark.slow
@pytest.mark.parametrize("hook", HOOKS)
def test_pre_commit_hooks_are_content(hook, child_env, tmp_path):
    """The very commands of .pre-commit-config.yaml, with this interpreter's tools."""
    scripts = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
    caches = {"MYPY_CACHE_DIR": str(tmp_path / "mypy"), "RUFF_CACHE_DIR": str(tmp_path / "ruff")}
    done = subprocess.run(
        hook.split(), cwd=REPO, env=child_env | caches | {"PATH": scripts}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_hooks_for_style_types_and_rooms():
    assert HOOKS == ["ruff check", "ruff format --check", "mypy", "lint-imports --no-logo"]


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    pytest.importorskip("setuptools", minversion="77", reason="builds without isolation, so without network")
    source = tmp_path / "source"
    shutil.copytree(REPO / "histoclf", source / "histoclf", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ["setup.cfg", "pyproject.toml", "README.md", "LICENSE"]:
        shutil.copy(REPO / name, source)
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip_wheel, "--wheel-dir", tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = archive.read(f"histoclf-{histoclf.__version__}.dist-info/METADATA").decode()
    modules = {str(path.relative_to(REPO)) for path in (REPO / "histoclf").rglob("*.py")}
    templates = {str(path.relative_to(REPO)) for path in (REPO / "histoclf/report/templates").iterdir()}
    weights = {str(path.relative_to(REPO)) for path in (REPO / "histoclf/networks/weights").glob("*")}
    assert files == modules | templates | weights | {"histoclf/py.typed"}
    assert "License-Expression: BSD-3-Clause" in about
    assert "Requires-Python: >=3.11" in about
