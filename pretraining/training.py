"""The training loop: seeded batches, AdamW with a cosine, a checkpoint after every epoch to go on from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from settings import Settings
from student import Student

_WARM_UP = 0.05  # of all steps


class Batches(keras.utils.PyDataset):
    """All crops once an epoch, in an order that seed and epoch decide; no batch is smaller."""

    def __init__(self, images: np.ndarray, targets: np.ndarray, settings: Settings, epoch: int) -> None:
        super().__init__()
        self.images, self.targets, self.settings = images, targets, settings
        self.epoch = epoch
        self._shuffle()

    def _shuffle(self) -> None:
        self.order = np.random.default_rng([self.settings.seed, self.epoch]).permutation(len(self.images))

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self.images) // self.settings.batch_size

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return images, uint8, and targets of one batch."""
        rows = np.sort(self.order[number * self.settings.batch_size :][: self.settings.batch_size])
        return self.images[rows], self.targets[rows]

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order."""
        self.epoch += 1
        self._shuffle()


def pretrain(
    images: np.ndarray,
    targets: np.ndarray,
    settings: Settings,
    checkpoint: Path | None = None,
    on_batch: Callable[[], None] | None = None,
    stop_after: int | None = None,
    **architecture: Any,
) -> Student:
    """Train a student, or go on with one.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width, 3)
        Crops.
    targets : ndarray of float, shape (n, 2 * n_targets + 4)
        See `Student`.
    settings : Settings
        Everything else.
    checkpoint : Path, default=None
        File that is replaced after every epoch, and gone on from where it is there.
    on_batch : callable, default=None
        Called after every step.
    stop_after : int, default=None
        Stop after this epoch, as if interrupted.
    **architecture
        Of `build_histology`.

    Returns
    -------
    student : Student
        Its `backbone` is what this is for.
    """
    student = Student(settings, **architecture)
    steps = settings.epochs * (len(images) // settings.batch_size)
    _compile(student, settings, steps)
    student(images[: settings.batch_size])  # makes the heads' weights
    student.optimizer.build(student.trainable_variables)
    done = restore(student, checkpoint) if checkpoint is not None and checkpoint.exists() else 0
    callbacks: list[Any] = [] if checkpoint is None else [Checkpoints(checkpoint)]
    if on_batch is not None:
        callbacks.append(
            keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs=None: on_batch())
        )
    batches = Batches(images, targets, settings, done)
    last = min(settings.epochs, stop_after or settings.epochs)
    student.fit(batches, initial_epoch=done, epochs=last, callbacks=callbacks, shuffle=False, verbose=2)
    return student


def _compile(student: Student, settings: Settings, steps: int) -> None:
    warm_up = max(1, round(_WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=settings.rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    # XLA makes convolutions on CPUs slower; JAX has no other way.
    student.compile(optimizer, jit_compile=keras.backend.backend() == "jax")


class Checkpoints(keras.callbacks.Callback):
    """Write all that training changes after every epoch: weights, moments, random streams."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Replace the file in one step, so that a crash leaves the one before."""
        arrays = {f"v{number}": np.asarray(variable) for number, variable in enumerate(_state(self.model))}
        partial = self.path.with_suffix(".partial.npz")
        np.savez(partial, epoch=epoch + 1, **arrays)
        os.replace(partial, self.path)


def restore(student: Student, path: Path) -> int:
    """Set a student to a checkpoint; returns the number of epochs that it has had."""
    with np.load(path, allow_pickle=False) as file:
        for number, variable in enumerate(_state(student)):
            variable.assign(file[f"v{number}"])
        return int(file["epoch"])


def _state(student: Student) -> list[Any]:
    return [*student.variables, *student.optimizer.variables]
