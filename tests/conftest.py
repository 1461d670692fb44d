"""What every test may use."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest

REPO = Path(__file__).resolve().parent.parent

# TensorFlow's start-up notes would drown the output of a failing test, here and in child processes.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")  # no windows


MOST_WORKERS = 4  # each loads TensorFlow, and takes 1 GB, at its peak 3


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes ``-n auto`` is: one a core that this process may use, up to a limit."""
    return min(MOST_WORKERS, joblib.cpu_count())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse ids with an address: each worker of pytest-xdist would find other ones."""
    unstable = [item.nodeid for item in items if re.search(r" ?at ?0x[0-9a-f]{6,}", item.nodeid)]
    if unstable:
        raise pytest.UsageError("ids of tests that change from run to run: " + ", ".join(unstable))


@pytest.fixture(autouse=True)
def no_figure_is_left_open() -> Iterator[None]:
    """Close the figures of a test; pyplot keeps them, and warns once there are many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real patches; the tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("HISTOCLF_DATA", REPO.parent / "shared" / "data"))
    if not (folder / "idc_breast").is_dir():
        pytest.skip(f"no real patches in {folder}; name their folder in HISTOCLF_DATA")
    return folder


@pytest.fixture(scope="session")
def child_env() -> dict[str, str]:
    """The environment for a child process that is to import this very histoclf, installed or not."""
    paths = [str(REPO), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "MPLBACKEND": "agg"}
