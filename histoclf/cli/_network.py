"""Load TensorFlow without what it says to nobody."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def load_network(quiet: bool) -> None:
    """Import everything that trains and predicts; takes some seconds the first time."""
    if "tensorflow" in sys.modules:
        return
    if not quiet:
        print("Loading TensorFlow ...", flush=True)
    with _withheld_stderr():
        importlib.import_module("histoclf.networks._training")


@contextmanager
def _withheld_stderr() -> Iterator[None]:
    """Keep back what is written to the error stream, by C++ code too, and show it only if an error follows.

    TensorFlow's first lines come before any of its settings is read, so no setting turns them off.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+") as withheld:
        terminal = os.dup(2)
        os.dup2(withheld.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(terminal, 2)
            withheld.seek(0)
            shutil.copyfileobj(withheld, sys.stderr)
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
