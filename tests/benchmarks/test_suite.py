"""The runner of the benchmarks: what it knows, gathers and draws. Nothing is timed."""

import ast
import configparser
import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from tests.conftest import REPO

FOLDER = REPO / "benchmarks"
CONTRIBUTION = {"work": "decoding", "peer": "Pillow", "unit": "patches/s"}


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_the_path():
    """As the scripts find each other."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def comparison():
    from _comparison import Comparison

    return lambda ours, theirs=(), bar="": Comparison(
        **CONTRIBUTION, ours=list(ours), theirs=list(theirs), bar=bar
    )


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=REPO, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "bar", "verdict"),
    [
        ([3.0, 4.0, 100.0], [2.0, 2.0, 2.0], "at least 2", "met"),
        ([3.0, 3.9, 100.0], [2.0, 2.0, 2.0], "at least 2", "missed"),
        ([1.0], [2.0], "at most 0.5", "met"),
        ([1.0], [1.9], "at most 0.5", "missed"),
        ([0.1, 0.3, 0.2], [], "at most 0.2", "met"),
        ([0.1, 0.3, 0.3], [], "at most 0.2", "missed"),
        ([1.0], [2.0], "", ""),
        ([float("inf")], [2.0], "at most 0.5", "missed"),
    ],
)
def test_the_verdict_is_about_the_median_round(comparison, ours, theirs, bar, verdict):
    assert comparison(ours, theirs, bar).verdict == verdict


def test_rounds_of_both_belong_together(comparison):
    assert comparison([2.0, 9.0], [4.0, 3.0]).values == [0.5, 3.0]
    with pytest.raises(ValueError, match="zip"):
        comparison([2.0, 9.0], [4.0]).values  # noqa: B018


def test_every_benchmark_exists_says_what_it_does_and_takes_what_the_runner_hands_over():
    from benchmarks.__main__ import SUITE

    assert len({each.name for each in SUITE}) == len(SUITE)
    for each in SUITE:
        text = (FOLDER / f"{each.name}.py").read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), each.name
        assert each.question.endswith("?")
        options = [option for option in each.quick if option.startswith("--")]
        assert all(f'"{option}"' in text for option in [*options, "--json"]), each.name
        assert ('add_argument("data"' in text) == each.needs_data, each.name


def test_every_benchmark_has_its_row_in_the_readme():
    from benchmarks.__main__ import SUITE

    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [each.name for each in SUITE if f"benchmarks/{each.name}.py" not in table] == []


def test_a_name_that_is_not_in_the_suite_is_an_error_that_lists_them():
    done = run("import_tim", "--list")
    assert done.returncode == 2
    assert "'import_tim' is not in the suite. Expected any of " in done.stderr
    assert "import_time" in done.stderr.partition("Expected")[2]
    assert "[]" not in done.stderr


def test_the_list_runs_nothing_and_can_be_narrowed(tmp_path):
    done = run("import_time", "--list", "--out", str(tmp_path / "out"))
    assert done.returncode == 0
    assert done.stdout.startswith("import_time ")
    assert len(done.stdout.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_everything_is_saved_with_its_verdict(comparison, tmp_path):
    from benchmarks.__main__ import save

    save(tmp_path, [comparison([3.0], [2.0], "at least 2"), comparison([0.1], bar="at most 0.2")], ["grid"])
    found = json.loads((tmp_path / "suite.json").read_text(encoding="utf-8"))
    assert [each["verdict"] for each in found["comparisons"]] == ["missed", "met"]
    assert found["failed"] == ["grid"]
    assert {"machine", "versions"} <= found.keys()


def test_the_plot_is_drawn_whatever_was_measured(comparison, tmp_path):
    from _plot import plot

    met, missed, none = (
        comparison([3.0, 2.5], [2.0, 2.0], "at least 1"),
        comparison([3.0], [2.0], "at most 1"),
        comparison([3.0], [2.0]),
    )
    empty = comparison([0.0], bar="at most 0.2")
    never = comparison([float("inf")], [2.0], "at most 0.5")
    plot([met, missed, none, empty, never], tmp_path / "suite.svg")
    assert ET.parse(tmp_path / "suite.svg").getroot().tag.endswith("svg")


def test_without_a_peer_the_plot_shows_the_share_of_what_is_allowed(comparison):
    from _plot import shares

    assert shares(comparison([0.1, 0.4], bar="at most 0.2")) == ([0.5, 2.0], 1.0)
    assert shares(comparison([1.0], [2.0], "at most 0.9")) == ([0.5], 0.9)
    assert shares(comparison([1.0], [2.0])) == ([0.5], None)


def test_a_long_label_is_cut_at_a_word(comparison):
    from dataclasses import replace

    from _plot import label

    assert label(comparison([1.0], [1.0])) == "decoding: Pillow"
    cut = label(replace(comparison([1.0], [1.0]), work="training of a network " * 9))
    assert cut.endswith(" ...")
    assert len(cut) <= 82


def test_the_extra_names_the_peers_each_with_a_lower_bound():
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", encoding="utf-8")
    lines = config["options.extras_require"]["benchmarks"].split()
    assert all(">=" in line for line in lines)
    assert lines == sorted(lines)
    assert {"torch", "skorch", "imagehash"} <= {line.partition(">=")[0] for line in lines}
