"""To which power of their number do patches cost time, from files: to fit and to predict; and how long.

Different synthetic PNGs of 50 px, so that nothing is computed once for two of them. After a small fit that
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
from _report import print_machine, print_table

from histoclf import HistoCNNClassifier, HistoTransferClassifier, make_patches
from histoclf.exceptions import CollapsedModelWarning
from histoclf.io import save_patches

SIDE = 50
BAR = 1.1
ESTIMATES = (277_524, 1_000_000)  # the whole IDC set, and a set of a large laboratory
WARM_UP = 64

Works = dict[str, Callable[[np.ndarray, np.ndarray], Any]]


def write(n_patches: int, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Write so many different patches; their paths and labels, shuffled."""
    made = make_patches(
        n_patients=16, patches_per_patient=-(-n_patches // 16), image_size=SIDE, random_state=0
    )
    paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    order = np.random.default_rng(0).permutation(len(paths))[:n_patches]
    return np.array(paths, dtype=object)[order], made.labels[order]


def build_works(paths: np.ndarray, labels: np.ndarray) -> Works:
    """Fit on a few, so that networks are built; and say what is timed."""
    frozen = HistoTransferClassifier("histology").fit(paths, labels)
    HistoCNNClassifier(epochs=1, early_stopping=False, random_state=0).fit(paths, labels)

    def fit_frozen(paths: np.ndarray, labels: np.ndarray) -> None:
        forget_embeddings()
        HistoTransferClassifier("histology").fit(paths, labels)

    def predict(paths: np.ndarray, labels: np.ndarray) -> None:
        forget_embeddings()
        frozen.predict_proba(paths)

    def fit_cnn(paths: np.ndarray, labels: np.ndarray) -> None:
        HistoCNNClassifier(epochs=1, early_stopping=False, random_state=0).fit(paths, labels)

    return {
        'fit, HistoTransferClassifier("histology")': fit_frozen,
        "predict_proba of it": predict,
        "fit, HistoCNNClassifier, one epoch": fit_cnn,
    }


def measure(sizes: list[int], rounds: int) -> dict[str, list[list[float]]]:
    """Return the seconds of each work: for each round, one number for each size."""
    with TemporaryDirectory() as folder:
        paths, labels = write(max(sizes), folder)
        works = build_works(paths[:WARM_UP], labels[:WARM_UP])
        seconds: dict[str, list[list[float]]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                took = []
                for size in sizes:
                    start = time.perf_counter()
                    work(paths[:size], labels[:size])
                    took.append(time.perf_counter() - start)
                seconds[name].append(took)
                print(name, [f"{s:.2f} s" for s in took], flush=True)
    return seconds


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Fit the power with which seconds grow."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def estimate(sizes: list[int], seconds: list[list[float]], wanted: int) -> float:
    """Extrapolate to a larger set; seconds."""
    largest = float(np.median([took[-1] for took in seconds]))
    power = float(np.median([exponent(sizes, took) for took in seconds]))
    return largest * (wanted / sizes[-1]) ** max(1.0, power)


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
            [exponent(sizes, took) for took in rounds],
            bar=f"at most {BAR}",
        )
        for name, rounds in seconds.items()
    ]
    report(arguments.json, found, sizes=sizes, seconds=seconds)


if __name__ == "__main__":
    main()
