"""What `import histoclf` adds to `import sklearn`: fresh processes, taken in turns, median."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from _comparison import Comparison, report
from _report import in_fresh_process, print_table

STATEMENTS = {
    "import sklearn": ("pass", "import sklearn"),
    "import histoclf": ("pass", "import histoclf"),
    "import histoclf, after import sklearn": ("import sklearn", "import histoclf"),
    "from histoclf import HistoCNNClassifier": ("pass", "from histoclf import HistoCNNClassifier"),
}
BAR = 0.2  # seconds
CODE = "import time\n{before}\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"


def measure(repeats: int) -> dict[str, list[float]]:
    """Time each statement in as many fresh processes, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for repeat in range(repeats + 1):
        for name, (before, statement) in STATEMENTS.items():
            took = in_fresh_process("-c", CODE.format(before=before, statement=statement))
            if repeat:  # the first round fills the disk's cache
                seconds[name].append(took)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="processes for each statement")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    seconds = measure(arguments.repeats)
    print_table(["statement", "median"], [[name, f"{median(s):.3f} s"] for name, s in seconds.items()])
    added = seconds["import histoclf, after import sklearn"]
    bar = Comparison("import histoclf, after import sklearn", "a bar", "s", added, bar=f"at most {BAR}")
    report(arguments.json, [bar], seconds=seconds)


if __name__ == "__main__":
    main()
