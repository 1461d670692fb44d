"""What every benchmark does: measure in a fresh process, print a table, write JSON that nothing can tear."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from math import log
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

from joblib import cpu_count
from threadpoolctl import threadpool_info

PACKAGES = ("histoclf", "scikit-learn", "tensorflow", "keras", "numpy", "openvino")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns; the first is flush left, the others are flush right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        print("  ".join(cells))


def print_rst(title: str, header: list[str], table: list[list[str]]) -> None:
    """Print a table as reStructuredText has it."""
    if not table:
        return
    widths = [max(len(row[column]) for row in [header, *table]) for column in range(len(header))]
    line = "  ".join("=" * width for width in widths)
    print(f"\n{title}\n\n{line}")
    for row in [header, None, *table]:
        print(line if row is None else "  ".join(map(str.ljust, row, widths)).rstrip())
    print(line)


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
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra
            found[name] = "not installed"
    return found


def machine() -> dict[str, str | int]:
    """Name what it was measured on; the threads are those that linear algebra takes in this process."""
    cpuinfo = Path("/proc/cpuinfo")  # elsewhere than on Linux the platform has to do
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "CPU": models[0] if models else platform.processor(),
        "cores": cpu_count(),
        "BLAS threads": max(blas, default=1),
    }


def print_machine() -> None:
    """Print machine and versions on two lines."""
    for facts in (machine(), versions()):
        print(", ".join(f"{name} {value}" for name, value in facts.items()))


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Write the median, and the smallest and largest value."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def power(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Fit the power of the size with which seconds grow: the slope through their logarithms."""
    return linear_regression([log(size) for size in sizes], [log(took) for took in seconds]).slope
