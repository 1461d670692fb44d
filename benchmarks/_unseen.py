"""Weights of the histology backbone that were made without the patients of some test folds."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path


def add_unseen(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names them."""
    parser.add_argument(
        "--unseen", nargs="+", default=[], metavar="FILE=FOLDS", help="histology weights, and their folds"
    )


def read_unseen(texts: list[str]) -> dict[int, str]:
    """Read --unseen: the file for each of the five folds, or nothing."""
    pairs = [text.rpartition("=") for text in texts]
    found = {int(fold): file for file, _, folds in pairs for fold in folds.split(",")}
    if texts and sorted(found) != [*range(5)]:
        raise SystemExit(f"--unseen names files for the folds {sorted(found)}; expected 0 to 4, each once.")
    return dict(sorted(found.items()))


def digest(path: str) -> str:
    """Name a file of weights by its content."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def digests(unseen: dict[int, str]) -> dict[str, dict[str, str]]:
    """Return what identifies a run with these files, if there are any."""
    return {"unseen": {str(fold): digest(path) for fold, path in unseen.items()}} if unseen else {}
