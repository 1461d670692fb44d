"""To which power of their number do patches cost time, from files: to fit and to predict; and how long.

PNGs of 50 px with contents of their own, so that nothing is computed once for two. After a small fit that
builds and traces, each work is timed at each size; embeddings are forgotten before each. The exponent is the
slope of a straight line through the logarithms. The estimates for larger sets start from the time at the
largest size and grow with the exponent, or in proportion where the exponent is below 1: what does not grow
with the patches is behind by then. The audit has `audit_scale.py`, which needs real tissue.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _comparison import Comparison, report
from _frozen_peer import forget_embeddings
from _many_files import list_files, write_files
from _report import power, print_machine, print_table
from sklearn.utils import shuffle

from histoclf import HistoCNNClassifier, HistoTransferClassifier
from histoclf.exceptions import CollapsedModelWarning

BAR = 1.1
ESTIMATES = (277_524, 1_000_000)  # the whole IDC set, and a set of a large laboratory
WARM_UP = 64

Works = dict[str, Callable[[np.ndarray, np.ndarray], Any]]


def build_works() -> Works:
    """Say what is timed, in this order: a fit comes before its prediction."""
    frozen = HistoTransferClassifier()
    cnn = HistoCNNClassifier(epochs=1, early_stopping=False, random_state=0)
    return {
        "fit, HistoTransferClassifier()": frozen.fit,
        "predict_proba of it": lambda paths, labels: frozen.predict_proba(paths),
        "fit, HistoCNNClassifier, one epoch": cnn.fit,
    }


def measure(sizes: list[int], rounds: int) -> dict[str, list[list[float]]]:
    """Return the seconds of each work: for each round, one number for each size."""
    works = build_works()
    seconds: dict[str, list[list[float]]] = {name: [] for name in works}
    with TemporaryDirectory() as folder:
        write_files(folder, sizes[-1])
        paths, labels = shuffle(*list_files(folder, sizes[-1]), random_state=0)
        for work in works.values():  # builds networks, and traces
            work(paths[:WARM_UP], labels[:WARM_UP])
        for _ in range(rounds):
            for name, work in works.items():
                seconds[name].append([time_one(work, paths[:size], labels[:size]) for size in sizes])
                print(name, [f"{took:.2f} s" for took in seconds[name][-1]], flush=True)
    return seconds


def time_one(work: Callable[[np.ndarray, np.ndarray], Any], paths: np.ndarray, labels: np.ndarray) -> float:
    """Do it once, with nothing embedded before; seconds."""
    forget_embeddings()
    start = time.perf_counter()
    work(paths, labels)
    return time.perf_counter() - start


def estimate(sizes: list[int], seconds: list[list[float]], wanted: int) -> float:
    """Extrapolate to a larger set; seconds."""
    largest = float(np.median([took[-1] for took in seconds]))
    grows = float(np.median([power(sizes, took) for took in seconds]))
    return largest * (wanted / sizes[-1]) ** max(1.0, grows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 4000, 16000, 64000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    arguments.sizes.sort()
    if len(arguments.sizes) < 2:
        parser.error("--sizes needs at least two sizes, to see how time grows.")
    return arguments


def main() -> None:
    """Measure, extrapolate, print."""
    arguments = parse()
    warnings.simplefilter("ignore", CollapsedModelWarning)  # one epoch may teach nothing
    print_machine()
    sizes = arguments.sizes
    seconds = measure(sizes, arguments.rounds)
    print_table(
        ["", *(f"{size:,}" for size in sizes), *(f"{size:,} (estimate)" for size in ESTIMATES)],
        [
            [
                name,
                *(f"{value:.1f} s" for value in np.median(rounds, axis=0)),
                *(f"{estimate(sizes, rounds, size) / 60:.1f} min" for size in ESTIMATES),
            ]
            for name, rounds in seconds.items()
        ],
    )
    found = [
        Comparison(
            f"power of the number of patches, {sizes[0]:,} to {sizes[-1]:,}: {name}",
            "a bar",
            "",
            [power(sizes, took) for took in rounds],
            bar=f"at most {BAR}",
        )
        for name, rounds in seconds.items()
    ]
    report(arguments.json, found, sizes=sizes, seconds=seconds)


if __name__ == "__main__":
    main()
