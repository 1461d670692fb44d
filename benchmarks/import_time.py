"""What `import histoclf` adds to `import sklearn`, and how long `histoclf --help` takes.

Fresh processes, taken in turns, median.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
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
HELP, HELP_BAR = "histoclf --help", 0.5  # seconds of the whole process, the start of Python with it
# What the command that pip installs does.
HELP_CODE = "import sys; sys.argv = ['histoclf', '--help']; from histoclf.cli import main; sys.exit(main())"
CODE = "import time\n{before}\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"


def measure(repeats: int) -> dict[str, list[float]]:
    """Time each statement in as many fresh processes, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in (*STATEMENTS, HELP)}
    for repeat in range(repeats + 1):
        for name, (before, statement) in STATEMENTS.items():
            took = in_fresh_process("-c", CODE.format(before=before, statement=statement))
            if repeat:  # the first round fills the disk's cache
                seconds[name].append(took)
        took = ask_for_help()
        if repeat:
            seconds[HELP].append(took)
    return seconds


def ask_for_help() -> float:
    """Time the command from its start to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", HELP_CODE], capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="processes for each statement")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    seconds = measure(arguments.repeats)
    print_table(["statement", "median"], [[name, f"{median(s):.3f} s"] for name, s in seconds.items()])
    added = seconds["import histoclf, after import sklearn"]
    bars = [
        Comparison("import histoclf, after import sklearn", "a bar", "s", added, bar=f"at most {BAR}"),
        Comparison(HELP, "a bar", "s", seconds[HELP], bar=f"at most {HELP_BAR}"),
    ]
    report(arguments.json, bars, seconds=seconds)


if __name__ == "__main__":
    main()
