"""README and docs: their commands are the ones we run, their code is code, the site builds."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import histoclf
from tests.conftest import REPO

PAGES = sorted([*REPO.glob("*.md"), *(REPO / "docs").glob("*.rst")])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)

MARKDOWN_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
RST_BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n\n((?:   .*\n|\n)+)", re.M)


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a page that are written in a language."""
    pattern = MARKDOWN_BLOCK if page.suffix == ".md" else RST_BLOCK
    found = pattern.findall(page.read_text(encoding="utf-8"))
    return [textwrap.dedent(text) for kind, text in found if kind == language]


def install_commands() -> list[str]:
    """The README's commands that start on a fresh machine, in its order."""
    lines = [line for block in blocks(REPO / "README.md", "bash") for line in block.splitlines()]
    return [line for line in lines if " -m venv " in line]


def test_the_first_command_installs_and_does_the_main_job():
    assert len(install_commands()) == 2
    assert install_commands()[0].endswith("&& .venv/bin/histoclf demo")


def test_the_second_command_is_what_ci_runs():
    command = install_commands()[1]
    script = (REPO / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert command.endswith("&& .venv/bin/python -m pytest -n auto --dist worksteal")
    assert script[-1] == command


@each_page
def test_python_blocks_compile(page):
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


@each_page
def test_imports_in_pages_name_what_exists(page):
    text = "\n".join(blocks(page, "python"))
    for names in re.findall(r"^from histoclf import (.+)$", text, re.M):
        assert {*names.split(", ")} <= {*histoclf.__all__}


@each_page
def test_links_between_files_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path, child_env):
    source = shutil.copytree(
        REPO / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build", "generated")
    )
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        source,
        tmp_path / "html",
    ]
    done = subprocess.run(build, env=child_env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "html" / "index.html").exists()
