"""What one more fit leaves in memory: resident set over many fits, each classifier in a fresh process.

The first fits are left out: they load TensorFlow, trace the network and fill the allocator. Growth is the
slope of a straight line through the resident set after each of the others. Every fit is given a new copy of
the images (1.6 MB), so that it shows if one of them is kept. The transfer classifier, frozen and fine-tuned,
forgets its embeddings before each fit, so that each computes its own. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _report import in_fresh_process, print_table, versions, write_json

NAMES = {
    "cnn": "HistoCNNClassifier",
    "frozen": "HistoTransferClassifier, frozen",
    "tuned": "HistoTransferClassifier, fine-tuned",
    "scikeras": "scikeras.KerasClassifier",
}
N_PATCHES, IMAGE_SIZE = 512, 32
N_LEFT_OUT = 5
BAR = 1.0  # MB a fit


def build_fit(which: str) -> Callable[[], Any]:
    """Return a function that fits a new estimator, for one epoch where it trains."""
    from _peer import BATCH_SIZE, build_model, n_steps, training_data

    images, labels = training_data(N_PATCHES, IMAGE_SIZE)
    if which in ("frozen", "tuned"):
        return build_transfer_fit(images, labels, n_layers=10 if which == "tuned" else 0)
    if which == "cnn":
        from histoclf import HistoCNNClassifier

        return lambda: HistoCNNClassifier(epochs=1, batch_size=BATCH_SIZE, random_state=0).fit(
            images.copy(), labels
        )
    from scikeras.wrappers import KerasClassifier

    def new_model() -> Any:
        return build_model(IMAGE_SIZE, n_steps(N_PATCHES, 1), False)

    return lambda: KerasClassifier(new_model, epochs=1, batch_size=BATCH_SIZE, verbose=0).fit(
        images.copy(), labels
    )


def build_transfer_fit(images: np.ndarray, labels: np.ndarray, n_layers: int) -> Callable[[], Any]:
    """Return a function that fits a new head, and the last layers if there are any to learn along."""
    from _frozen_peer import forget_embeddings

    from histoclf import HistoTransferClassifier

    def fit() -> None:
        forget_embeddings()
        HistoTransferClassifier(
            "mobilenet_v2",
            backbone_params={"alpha": 0.35},
            weights=None,
            image_size=IMAGE_SIZE,
            fine_tune_layers=n_layers,
            epochs=1,
            random_state=0,
        ).fit(images.copy(), labels)

    return fit


def resident_mb() -> float:
    """Read the resident set of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def fit_and_print(which: str, n_fits: int) -> None:
    """Run in the fresh process: print the resident set after each fit."""
    fit = build_fit(which)
    resident = []
    for _ in range(n_fits):
        fit()
        resident.append(resident_mb())
    print(json.dumps(resident))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=40)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", choices=NAMES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure each classifier in a process of its own, and print."""
    arguments = parse()
    if arguments.in_child:
        fit_and_print(arguments.in_child, arguments.fits)
        return
    results: dict[str, Any] = {"bar": BAR, "versions": versions()}
    for which in arguments.only:
        resident = in_fresh_process(__file__, "--in-child", which, "--fits", str(arguments.fits))
        slope = np.polyfit(np.arange(len(resident))[N_LEFT_OUT:], resident[N_LEFT_OUT:], 1)[0]
        results[NAMES[which]] = {"growth": float(slope), "resident": resident}
    rows = [
        [name, f"{r['resident'][0]:.0f} MB", f"{r['resident'][-1]:.0f} MB", f"{r['growth']:.2f} MB"]
        for name, r in ((NAMES[which], results[NAMES[which]]) for which in arguments.only)
    ]
    print_table([f"{arguments.fits} fits", "after the first", "after the last", "growth a fit"], rows)
    write_json(arguments.json, results)


if __name__ == "__main__":
    main()
