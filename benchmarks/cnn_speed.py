"""Patches a second in training: HistoCNNClassifier, and the same network, batch and augmentation elsewhere.

Peers are a plain Keras script, two wrappers of Keras for scikit-learn, and torch under skorch, all in single
precision; torch in bfloat16 with the channels last has no bar, and says what the machine could do where it
has instructions for that. Fits take turns in one process. A rate is of all epochs of a fit but the first, and
of what happens between them; the first has the tracing in it and is part of the seconds of a whole fit, which
are reported apart: ours traces in the first fit only, the other networks of Keras in each.

TensorFlow takes oneDNN's kernels where the processor has instructions for neural networks, and elsewhere with
`TF_ENABLE_ONEDNN_OPTS=1`; whichever it takes, it takes for all of them.

Operations a second are multiplications and additions of convolutions and dense layers, forward and backward,
beside what products of large matrices in single precision reach on the same threads.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

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


@dataclass(frozen=True)
class Run:
    """What was measured of one fit.

    Attributes
    ----------
    rate, processor_rate : float
        Patches a second of all epochs but the first, by the clock on the wall and by that of the processor.
    seconds : float
        Of the whole fit.
    """

    rate: float
    processor_rate: float
    seconds: float


class Clock(keras.callbacks.Callback):
    """Notes both clocks when an epoch ends."""

    # Of the fit that runs; the classifier makes its callbacks itself.
    ends: ClassVar[list[tuple[float, float]]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        note()
        super().on_epoch_end(epoch, logs)


class ClockedRateLog(Clock, _training.RateLog):
    """The callback that the classifier always uses, with the clock in it."""


def note() -> None:
    """Note that an epoch has ended."""
    Clock.ends.append((time.perf_counter(), time.process_time()))


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


def contestants() -> dict[str, Fit]:
    """List who is fitted; torch where it is installed, in bfloat16 as well where that is not emulated."""
    found: dict[str, Fit] = {OURS: fit_ours, KERAS: fit_keras, SCIKERAS: fit_scikeras, WRAPPER: fit_wrapper}
    try:
        from _torch_peer import count_parameters, fit_torch, has_fast_bfloat16
    except ImportError as error:
        print(f"Left out: {TORCH} ({error}). Install histoclf[benchmarks].")
        return found
    ours, theirs = build_model(50, 1).count_params(), count_parameters()
    if ours != theirs:
        raise SystemExit(f"The network in torch has {theirs} weights, ours has {ours}.")
    found[TORCH] = lambda images, codes, epochs: fit_torch(images, codes, epochs, note)
    if has_fast_bfloat16():
        found[FAST_TORCH] = lambda images, codes, epochs: fit_torch(images, codes, epochs, note, fast=True)
    return found


def timed(fit: Fit, images: np.ndarray, codes: np.ndarray, epochs: int) -> Run:
    """Fit once."""
    Clock.ends.clear()
    start = time.perf_counter()
    fit(images, codes, epochs)
    wall, processor = np.subtract(Clock.ends[-1], Clock.ends[0])
    n_patches = len(images) * (len(Clock.ends) - 1)
    return Run(n_patches / wall, n_patches / processor, time.perf_counter() - start)


def measure(arguments: argparse.Namespace) -> dict[str, list[Run]]:
    """Fit everything `rounds` times, in turns."""
    images, codes = training_data(arguments.patches, arguments.image_size)
    _training.RateLog = ClockedRateLog  # type: ignore[misc]
    found = contestants()
    runs: dict[str, list[Run]] = {name: [] for name in found}
    for number in range(arguments.rounds):
        for name, fit in found.items():
            runs[name].append(timed(fit, images, codes, arguments.epochs))
        print(f"round {number + 1} of {arguments.rounds} done", flush=True)
    return runs


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


def compare(runs: dict[str, list[Run]], image_size: int) -> list[Comparison]:
    """Put us beside each."""
    limit, each_patch = matrix_rate(), operations(image_size)
    ours = [run.rate for run in runs[OURS]]
    about = (
        f"; filters {DEFAULTS.filters}, {each_patch / 1e6:.0f} million operations a patch, "
        f"{median(ours) * each_patch / 1e9:.0f} of {limit / 1e9:.0f} billion a second by a matrix product"
    )
    found = []
    for name, fits in runs.items():
        by_processor = [a.processor_rate / b.processor_rate for a, b in zip(runs[OURS], fits, strict=True)]
        note = f"by the processor's clock {spread(by_processor, 3)}" + about * (name == KERAS)
        work, theirs = f"CNN training, {image_size} px", [run.rate for run in fits]
        found.append(Comparison(work, name, "patches/s", ours, theirs, BARS.get(name, ""), note))
    return [each for each in found if each.peer != OURS]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=1024)
    parser.add_argument("--image-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=5, help="of each fit, at least 2")
    parser.add_argument("--rounds", type=int, default=5, help="fits of each")
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
            spread([fit.rate for fit in fits], 0),
            spread([fit.processor_rate for fit in fits], 0),
            spread([fit.seconds for fit in fits]),
        ]
        for name, fits in runs.items()
    ]
    header = ["", "patches/s", "by the processor's clock", f"s of a fit of {arguments.epochs} epochs"]
    print_table(header, rows)
    print()
    found = {name: [asdict(fit) for fit in fits] for name, fits in runs.items()}
    report(arguments.json, compare(runs, arguments.image_size), runs=found)


if __name__ == "__main__":
    main()
