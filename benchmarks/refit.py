"""What fitting costs beside the training steps: the first fine-tuning in a process, and the second.

The first builds the network and traces its training step; the second, of another estimator with the same
architecture, should not. The time of a steady step is the median over the later fits, from the beginning of
a step to that of the next one, and the overhead is the whole fit less that time for each of its steps.
What is left holds the frozen stage, the head, and the held-out part after each epoch; embeddings are
forgotten between the fits, so that each computes its own. Every round is a fresh process, in which
TensorFlow and OpenVINO are imported before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
from _report import in_fresh_process, machine, print_machine, print_table, spread, versions, write_json

N_FITS = 3
BAR = 0.3


def clocked_fits(n_patches: int, image_size: int, epochs: int) -> list[dict[str, Any]]:
    """Run in the fresh process: seconds of each fit, its number of steps, and how long these took."""
    from _frozen_peer import forget_embeddings, load_engines

    from histoclf import HistoTransferClassifier, make_patches
    from histoclf.networks import _training

    class Clock(_training.RateLog):
        """A callback that every fit uses, which notes when each step of each epoch begins."""

        begins: ClassVar[list[list[float]]] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            Clock.begins.append([])

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            Clock.begins[-1].append(time.perf_counter())

    _training.RateLog = Clock  # type: ignore[misc]
    load_engines()
    made = make_patches(
        n_patients=4, patches_per_patient=n_patches // 4, image_size=image_size, random_state=0
    )
    fits = []
    for _ in range(N_FITS):
        forget_embeddings()
        Clock.begins.clear()
        model = HistoTransferClassifier(
            "mobilenet_v2",
            backbone_params={"alpha": 0.35},
            weights=None,
            layers=None,
            fine_tune_layers=10,
            epochs=epochs,
            n_iter_no_change=epochs,
            random_state=0,
        )
        start = time.perf_counter()
        model.fit(made.images, made.labels, groups=made.groups)
        seconds = time.perf_counter() - start
        steps = np.concatenate([np.diff(epoch) for epoch in Clock.begins]).tolist()
        fits.append({"seconds": seconds, "n_steps": sum(map(len, Clock.begins)), "steps": steps})
    return fits


def overheads(fits: list[dict[str, Any]]) -> list[float]:
    """Take the time of the steps, were all of them steady, from that of each fit."""
    steady = median(seconds for fit in fits[1:] for seconds in fit["steps"])
    return [fit["seconds"] - fit["n_steps"] * steady for fit in fits]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=400)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=3, help="of each fit")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.patches < 200:
        parser.error("an epoch of fewer than 200 patches has no step between its first and its last")
    return arguments


def main() -> None:
    """Measure in fresh processes, and print."""
    arguments = parse()
    sizes = arguments.patches, arguments.image_size, arguments.epochs
    if arguments.in_child:
        print(json.dumps(clocked_fits(*sizes)))
        return
    print_machine()
    names = ("--patches", "--image-size", "--epochs")
    child = [
        "--in-child",
        *(text for name, size in zip(names, sizes, strict=True) for text in (name, str(size))),
    ]
    rounds = [in_fresh_process(__file__, *child) for _ in range(arguments.rounds)]
    beside = [overheads(fits) for fits in rounds]
    rows = [
        [
            f"fit {number + 1}",
            spread([fits[number]["seconds"] for fits in rounds]),
            spread([of_round[number] for of_round in beside]),
            spread([of_round[number] / of_round[0] for of_round in beside]),
        ]
        for number in range(N_FITS)
    ]
    print_table(["", "seconds", "beside the steps", "over the first"], rows)
    ratios = [of_round[1] / of_round[0] for of_round in beside]
    print(f"\nsecond over first, beside the steps: {spread(ratios)} (bar: {BAR})")
    facts = {"machine": machine(), "versions": versions()}
    write_json(arguments.json, {"ratios": ratios, "bar": BAR, "overheads": beside, "rounds": rounds, **facts})


if __name__ == "__main__":
    main()
