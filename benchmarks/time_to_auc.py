"""Seconds to the AUC that a notebook's network reaches at its best: our default network against it.

Validation patients are from the training part of the first outer fold only, so that nothing is learned about
the patients that are reported elsewhere. The notebook's network is what tutorials of this data set have:
three convolutions with pooling, a dense layer of 128, dropout, Adam at 0.001, images divided by 255, flips.
The target is its best validation AUC, smoothed over three epochs, in each round. Both clocks run from the
call of `fit` on, tracing included, and stand still while the validation part is scored.

Ours trains with its defaults but for the number of epochs, along which the learning rate falls: it is fitted
with 2, 4, 8, ... epochs, until a fit reaches the target. The seconds of the fits that fell short count as
well, each with its tracing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
from _comparison import Comparison, report
from _report import print_machine, print_table, spread
from idc_breast import Data, folds, read
from keras import layers
from sklearn.metrics import roc_auc_score

from histoclf import HistoCNNClassifier
from histoclf.networks import _engine

BAR = "at most 0.5"
WINDOW = 3  # epochs over which the notebook's AUC is smoothed
EPOCHS = (2, 4, 8, 15, 30)  # of our fits

Parts = tuple[np.ndarray, np.ndarray]


def split(data: Data) -> Parts:
    """Return rows to train and to validate on, both from the training part of the first outer fold."""
    outer, _ = next(folds(data, np.arange(len(data.positive)), 5, 0))
    return next(folds(data, outer, 4, 0))


def notebook_network(image_size: tuple[int, int]) -> keras.Model:
    """Build and compile what tutorials have."""
    model = keras.Sequential(
        [
            keras.Input((*image_size, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip("horizontal_and_vertical"),
            *(
                layer
                for width in (32, 64, 128)
                for layer in (layers.Conv2D(width, 3, activation="relu"), layers.MaxPooling2D())
            ),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    return model


class Scores(keras.callbacks.Callback):
    """Notes the validation AUC after each epoch, and the seconds without the scoring."""

    def __init__(self, score: Callable[[keras.Model], float]) -> None:
        super().__init__()
        self.score, self.paused = score, 0.0
        self.start = time.perf_counter()
        self.curve: list[tuple[float, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Score."""
        now = time.perf_counter()
        self.curve.append((now - self.start - self.paused, self.score(self.model)))
        self.paused += time.perf_counter() - now


def notebook_curve(data: Data, parts: Parts, epochs: int, seed: int) -> list[tuple[float, float]]:
    """Train the notebook's network, and return seconds and AUC after each epoch."""
    keras.utils.set_random_seed(seed)
    train, validation = parts

    def score(model: keras.Model) -> float:
        answers = model.predict(data.images[validation], batch_size=256, verbose=0)[:, 0]
        return float(roc_auc_score(data.positive[validation], answers))

    scores = Scores(score)
    model = notebook_network(data.images.shape[1:3])
    model.fit(
        data.images[train], data.positive[train], batch_size=64, epochs=epochs, verbose=0, callbacks=[scores]
    )
    return scores.curve


def target_of(curve: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the best smoothed AUC, and the seconds at which the smoothed curve first has it."""
    seconds, areas = np.array(curve).T
    smooth = np.convolve(areas, np.full(WINDOW, 1 / WINDOW), mode="valid")
    best = int(np.argmax(smooth))
    return float(smooth[best]), float(seconds[best + WINDOW - 1])


def our_seconds(data: Data, parts: Parts, target: float, seed: int) -> tuple[float, float, int]:
    """Fit longer and longer until the target is reached: seconds of all fits, AUC and epochs of the last.

    The seconds are infinite if no fit reaches it.
    """
    train, validation = parts
    seconds, area = 0.0, 0.0
    for epochs in EPOCHS:
        _engine._engines.clear()  # so that each fit traces
        start = time.perf_counter()
        model = HistoCNNClassifier(epochs=epochs, random_state=seed)
        model.fit(data.images[train], data.positive[train], groups=data.patients[train])
        seconds += time.perf_counter() - start
        answers = model.predict_proba(data.images[validation])[:, 1]
        area = float(roc_auc_score(data.positive[validation], answers))
        print(f"  ours, {epochs} epochs: {seconds:.1f} s, AUC {area:.3f} (target {target:.3f})", flush=True)
        if area >= target:
            return seconds, area, epochs
    return float("inf"), area, EPOCHS[-1]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of patches, as of the IDC breast set")
    parser.add_argument("--every", type=int, default=1, help="take every n-th patch")
    parser.add_argument("--epochs", type=int, default=10, help="of the notebook's network, at least 3")
    parser.add_argument("--rounds", type=int, default=5, help="seeds, each of both in turns")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    if arguments.epochs < WINDOW:
        parser.error(f"the AUC is smoothed over {WINDOW} epochs: expected at least as many")
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = parse()
    print_machine()
    data = read(arguments.data, arguments.every)
    parts = split(data)
    patients = [len(set(data.patients[part])) for part in parts]
    print(f"{len(parts[0])} patches of {patients[0]} patients to train on, {patients[1]} to validate on")
    rounds, curves = [], []
    for seed in range(arguments.rounds):
        curve = notebook_curve(data, parts, arguments.epochs, seed)
        target, theirs = target_of(curve)
        ours, area, epochs = our_seconds(data, parts, target, seed)
        rounds.append({"target": target, "theirs": theirs, "ours": ours, "AUC": area, "epochs": epochs})
        curves.append(curve)
    rows = [[name, spread([each[name] for each in rounds], 3)] for name in rounds[0]]
    print_table(["", "median (range)"], rows)
    note = (
        f"target AUC {spread([each['target'] for each in rounds], 3)}; ours reached it after "
        f"{median(each['epochs'] for each in rounds):g} epochs"
    )
    seconds = {side: [each[side] for each in rounds] for side in ("ours", "theirs")}
    work, peer = "training to the same AUC", "a notebook's network in Keras"
    report(
        arguments.json,
        [Comparison(work, peer, "s", **seconds, bar=BAR, note=note)],
        rounds=rounds,
        curves=curves,
    )


if __name__ == "__main__":
    main()
