"""Patches a second in training: HistoCNNClassifier, and the same network, batch and augmentation elsewhere.

Peers are a plain Keras script, two wrappers of Keras for scikit-learn, and torch under skorch, all in single
precision; torch in bfloat16 with the channels last has no bar, and says what the machine could do. All are
fitted in one process and take turns epoch by epoch, so that whatever else slows the machine down slows all of
them. A rate is of one epoch, but not of a fit's first. The first has the tracing in it, and is part of the
seconds of a whole fit, which are reported apart: ours traces in the first fit only, the others in each.

TensorFlow takes oneDNN's kernels where the processor has instructions for neural networks, and elsewhere with
`TF_ENABLE_ONEDNN_OPTS=1`; whichever it takes, it takes for all of them.

Operations a second are multiplications and additions of convolutions and dense layers, forward and backward,
beside what products of large matrices in single precision reach on the same threads.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
from _comparison import Comparison, report
from _peer import BATCH_SIZE, DEFAULTS, build_model, build_model_for_rows, n_steps, training_data
from _report import print_machine, print_table, spread

from histoclf import HistoCNNClassifier
from histoclf.networks import _training

OURS = "HistoCNNClassifier"
KERAS, SCIKERAS, WRAPPER = "plain Keras script", "scikeras", "keras.wrappers.SKLearnClassifier"
TORCH, FAST_TORCH = "skorch with torch", "skorch with torch, bfloat16, channels last"
BARS = {KERAS: "at least 1.25", SCIKERAS: "at least 1.25", WRAPPER: "at least 1.25", TORCH: "at least 1"}

Fit = Callable[[np.ndarray, np.ndarray, int], Any]
Runs = dict[str, list[list[tuple[float, float]]]]  # what `Turns` notes of each fit


class Turns:
    """Lets the threads of all contestants go on one at a time, each for an epoch.

    Attributes
    ----------
    spent : dict of str to list of (float, float)
        Seconds and processor seconds of each turn: one for each epoch, and what a fit does after the last.
    """

    def __init__(self, names: list[str]) -> None:
        self._waiting = deque(names)
        self._change = threading.Condition()
        self.spent: dict[str, list[tuple[float, float]]] = {name: [] for name in names}

    def take(self, name: str) -> None:
        """Wait for the turn of `name`."""
        with self._change:
            self._change.wait_for(lambda: self._waiting[0] == name)
        self._start = time.perf_counter(), time.process_time()

    def end(self, last: bool = False) -> str:
        """Let the next one go on; `last` if there is nothing more to do. Return whose turn it was."""
        seconds, processor = time.perf_counter() - self._start[0], time.process_time() - self._start[1]
        with self._change:
            name = self._waiting.popleft()
            self.spent[name].append((seconds, processor))
            if not last:
                self._waiting.append(name)
            self._change.notify_all()
        return name

    def run(self, name: str, fit: Callable[[], None]) -> None:
        """Fit, in a thread of its own."""
        self.take(name)
        try:
            fit()
        finally:
            self.end(last=True)


class Clock(keras.callbacks.Callback):
    """Ends a turn with each epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time, and wait."""
        note()
        super().on_epoch_end(epoch, logs)


class ClockedRateLog(Clock, _training.RateLog):
    """The callback that the classifier always uses, with the clock in it; the classifier makes it itself."""


_turns = Turns([])  # of the fits that run


def note() -> None:
    """Note that an epoch has ended, and wait for the next turn."""
    _turns.take(_turns.end())


def fit_ours(images: np.ndarray, codes: np.ndarray, epochs: int) -> None:
    """Fit the estimator: its checks, its network and its alarm included."""
    HistoCNNClassifier(epochs=epochs, batch_size=BATCH_SIZE, random_state=0).fit(images, codes)


def fit_keras(images: np.ndarray, codes: np.ndarray, epochs: int) -> None:
    """Do what a script does: build, compile, fit."""
    model = build_model(images.shape[1], n_steps(len(images), epochs))
    model.fit(images, codes, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[Clock()])


def fit_scikeras(images: np.ndarray, codes: np.ndarray, epochs: int) -> None:
    """Let scikeras fit the script's network."""
    from scikeras.wrappers import KerasClassifier

    model = build_model(images.shape[1], n_steps(len(images), epochs))
    wrapped = KerasClassifier(
        model, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[Clock()], random_state=None
    )
    wrapped.fit(images, codes)


def fit_wrapper(images: np.ndarray, codes: np.ndarray, epochs: int) -> None:
    """Let Keras' own wrapper fit it: it takes rows of numbers only."""
    size, steps = images.shape[1], n_steps(len(images), epochs)
    settings = {"batch_size": BATCH_SIZE, "epochs": epochs, "verbose": 0, "callbacks": [Clock()]}
    wrapped = keras.wrappers.SKLearnClassifier(
        lambda X, y: build_model_for_rows(size, steps), fit_kwargs=settings
    )
    wrapped.fit(images.reshape(len(images), -1), codes)


def contestants(bfloat16: bool) -> dict[str, Fit]:
    """List who is fitted; torch where it is installed, in bfloat16 as well on request."""
    found: dict[str, Fit] = {OURS: fit_ours, KERAS: fit_keras, SCIKERAS: fit_scikeras, WRAPPER: fit_wrapper}
    try:
        from _torch_peer import count_parameters, fit_torch
    except ImportError as error:
        print(f"Left out: {TORCH} ({error}). Install histoclf[benchmarks].")
        return found
    ours, theirs = build_model(50, 1).count_params(), count_parameters()
    if ours != theirs:
        raise SystemExit(f"The network in torch has {theirs} weights, ours has {ours}.")
    found[TORCH] = lambda images, codes, epochs: fit_torch(images, codes, epochs, note)
    if bfloat16:
        found[FAST_TORCH] = lambda images, codes, epochs: fit_torch(images, codes, epochs, note, fast=True)
    return found


def fit_in_turns(
    found: dict[str, Fit], images: np.ndarray, codes: np.ndarray, epochs: int
) -> dict[str, list[tuple[float, float]]]:
    """Fit each once, and return what `Turns` notes."""
    global _turns
    _turns = Turns(list(found))
    with ThreadPoolExecutor(len(found)) as threads:
        running = [
            threads.submit(_turns.run, name, lambda fit=fit: fit(images, codes, epochs))
            for name, fit in found.items()
        ]
    for each in running:
        each.result()
    return _turns.spent


def measure(arguments: argparse.Namespace) -> Runs:
    """Fit everything `rounds` times."""
    images, codes = training_data(arguments.patches, arguments.image_size)
    _training.RateLog = ClockedRateLog  # type: ignore[misc]
    found = contestants(not arguments.no_bfloat16)
    runs: Runs = {name: [] for name in found}
    for number in range(arguments.rounds):
        for name, spent in fit_in_turns(found, images, codes, arguments.epochs).items():
            runs[name].append(spent)
        print(f"round {number + 1} of {arguments.rounds} done", flush=True)
    return runs


def rates(fits: list[list[tuple[float, float]]], n_patches: int, clock: int = 0) -> list[float]:
    """Patches a second of every epoch that counts; with ``clock=1`` a second of the processor."""
    return [n_patches / epoch[clock] for fit in fits for epoch in fit[1:-1]]


def operations(image_size: int) -> float:
    """Count multiplications and additions of a training step for one image."""
    forward = []
    for layer in build_model(image_size, 1).layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            places = np.prod(layer.output.shape[1:-1])
            forward.append(2.0 * places * np.prod(layer.kernel.shape))
    return 3 * sum(forward) - forward[0]  # nobody asks for the gradient of the images


def matrix_rate(size: int = 2048, repeats: int = 10) -> float:
    """Measure operations a second of TensorFlow's matrix product in single precision."""
    matrix = keras.random.normal((size, size), seed=0)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)[0, 0])
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / median(seconds)


def compare(runs: Runs, arguments: argparse.Namespace) -> list[Comparison]:
    """Put us beside each."""
    limit, each_patch = matrix_rate(), operations(arguments.image_size)
    of_wall, of_processor = (
        {name: rates(fits, arguments.patches, clock) for name, fits in runs.items()} for clock in (0, 1)
    )
    ours, best = (pick(of_wall[OURS]) * each_patch / 1e9 for pick in (median, max))
    about = (
        f"; filters {DEFAULTS.filters}, {each_patch / 1e6:.0f} million operations a patch, {ours:.0f} (in "
        f"the best epoch {best:.0f}) of {limit / 1e9:.0f} billion a second by a matrix product"
    )
    work = f"CNN training, {arguments.image_size} px"
    found = []
    for name, theirs in of_wall.items():
        ratio = median(a / b for a, b in zip(of_processor[OURS], of_processor[name], strict=True))
        note = f"by the processor's clock {ratio:.3f}" + about * (name == KERAS)
        found.append(Comparison(work, name, "patches/s", of_wall[OURS], theirs, BARS.get(name, ""), note))
    return [each for each in found if each.peer != OURS]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=1024)
    parser.add_argument("--image-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=16, help="of each fit, at least 2")
    parser.add_argument("--rounds", type=int, default=2, help="fits of each")
    parser.add_argument("--no-bfloat16", action="store_true", help="leave out what old processors emulate")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("the first epoch does not count: expected at least 2")
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = parse()
    print_machine()
    runs = measure(arguments)
    rows = [
        [
            name,
            *(spread(rates(fits, arguments.patches, clock), 0) for clock in (0, 1)),
            spread([sum(seconds for seconds, _ in fit) for fit in fits]),
        ]
        for name, fits in runs.items()
    ]
    header = ["", "patches/s", "by the processor's clock", f"s of a fit of {arguments.epochs} epochs"]
    print_table(header, rows)
    print()
    report(arguments.json, compare(runs, arguments), runs=runs)


if __name__ == "__main__":
    main()
