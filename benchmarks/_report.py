"""What every benchmark does: measure in a fresh process, print a table, write JSON that nothing can tear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns; the first is flush left, the others are flush right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        print("  ".join(cells))


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Replace the file at once, so that there is always a whole one; without a path, write nothing."""
    if path is None:
        return
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def in_fresh_process(*arguments: str) -> Any:
    """Run Python with these arguments, and read the last line that it prints as JSON."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def versions() -> dict[str, str]:
    """Name what was measured."""
    return {name: version(name) for name in ("histoclf", "scikit-learn", "tensorflow", "keras", "numpy")}
