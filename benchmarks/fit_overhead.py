"""Time per epoch of HistoCNNClassifier over that of a plain Keras script with the same network and data.

Fits of both alternate in one process. An epoch is timed from the end of the one before, so that the first,
with its tracing, does not count; whole fits are timed as well. The script is measured with Keras' default
compilation (jit_compile="auto") and without XLA (False), and the ratio is against the faster of the two. CPU
time, of all threads, is beside the time on the clock: it hardly notices what else the machine does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import keras
import numpy as np
from _peer import BATCH_SIZE, build_model, n_steps, training_data
from _report import print_table, versions, write_json

from histoclf import HistoCNNClassifier
from histoclf.networks import _training

BAR = 1.05
OURS = "HistoCNNClassifier"
PEERS = {'Keras script, jit_compile="auto"': "auto", "Keras script, jit_compile=False": False}


def now() -> tuple[float, float]:
    """Read the clock, and the CPU time of this process."""
    return time.perf_counter(), time.process_time()


class Clock(keras.callbacks.Callback):
    """Notes when each epoch ends."""

    ends: ClassVar[
        list[tuple[float, float]]
    ] = []  # of the fit that runs; the classifier makes its callbacks itself

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        Clock.ends.append(now())
        super().on_epoch_end(epoch, logs)


class ClockedRateLog(Clock, _training.RateLog):
    """The callback that the classifier always uses, with the clock in it."""


def fit_ours(images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
    """Fit the estimator: its checks, its network and its alarm included."""
    HistoCNNClassifier(epochs=epochs, batch_size=BATCH_SIZE, random_state=seed).fit(images, labels)


def fit_script(images: np.ndarray, labels: np.ndarray, epochs: int, jit_compile: Any) -> None:
    """Do what a script does: build, compile, fit."""
    model = build_model(images.shape[1], n_steps(len(images), epochs), jit_compile)
    model.fit(
        images, labels, batch_size=BATCH_SIZE, epochs=epochs, shuffle=True, verbose=0, callbacks=[Clock()]
    )


def timed(fit: Callable[[], None]) -> dict[str, float]:
    """Seconds of the whole fit, and of each epoch but the first."""
    Clock.ends.clear()
    start = time.perf_counter()
    fit()
    whole = time.perf_counter() - start
    clock, cpu = np.diff(Clock.ends, axis=0).T
    return {"fit": whole, "epoch": median(clock), "CPU of an epoch": median(cpu)}


def measure(n_patches: int, image_size: int, epochs: int, repeats: int) -> dict[str, list[dict[str, float]]]:
    """Fit everything `repeats` times, in turns."""
    images, labels = training_data(n_patches, image_size)
    _training.RateLog = ClockedRateLog  # type: ignore[misc]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in (OURS, *PEERS)}
    for repeat in range(repeats):
        runs[OURS].append(timed(lambda seed=repeat: fit_ours(images, labels, epochs, seed)))
        for name, jit in PEERS.items():
            runs[name].append(timed(lambda jit=jit: fit_script(images, labels, epochs, jit)))
        print(f"round {repeat + 1} of {repeats} done", flush=True)
    return runs


def summarise(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Reduce to medians; a ratio is the median of the rounds' ratios to the faster script."""
    rows = {
        name: {
            "epoch": median(run["epoch"] for run in of_name),
            "CPU of an epoch": median(run["CPU of an epoch"] for run in of_name),
            "first fit": of_name[0]["fit"],
            "later fit": median(run["fit"] for run in of_name[1:]),
        }
        for name, of_name in runs.items()
    }
    fastest = min(PEERS, key=lambda name: rows[name]["epoch"])
    rounds = list(zip(runs[OURS], runs[fastest], strict=True))
    ratios = {
        time: [ours[time] / peer[time] for ours, peer in rounds] for time in ("epoch", "CPU of an epoch")
    }
    return {"seconds": rows, "fastest peer": fastest, "ratios": ratios, "bar": BAR}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=4000)
    parser.add_argument("--image-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=4, help="of each fit, at least 2")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each, at least 2")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    if min(arguments.epochs, arguments.repeats) < 2:
        parser.error("the first epoch and the first fit do not count: both need at least 2")
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = parse()
    runs = measure(arguments.patches, arguments.image_size, arguments.epochs, arguments.repeats)
    result = summarise(runs)
    rows = [[name, *(f"{value:.2f} s" for value in row.values())] for name, row in result["seconds"].items()]
    print_table(["", *result["seconds"][OURS]], rows)
    print(f"\n{OURS} over {result['fastest peer']} (bar: {BAR}):")
    for name, ratios in result["ratios"].items():
        print(f"  {name}: {median(ratios):.3f} (rounds: {min(ratios):.3f} to {max(ratios):.3f})")
    write_json(arguments.json, {**result, "runs": runs, "versions": versions()})


if __name__ == "__main__":
    main()
