"""What happens between epochs: learning rate, validation on our own part, progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from tqdm import tqdm

_WARM_UP = 0.05  # share of all steps during which the learning rate rises from zero (Goyal et al. 2017)


class CosineSchedule(keras.callbacks.Callback):
    """Linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017), step by step."""

    def __init__(self, learning_rate: float, n_steps: int) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.n_steps = n_steps
        self._warm_up = max(1, round(_WARM_UP * n_steps))
        self._step = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the rate of the coming step."""
        self._step += 1
        done = max(0.0, (self._step - self._warm_up) / max(1, self.n_steps - self._warm_up))
        share = min(self._step / self._warm_up, 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))))
        self.model.optimizer.learning_rate.assign(self.learning_rate * share)


class Validation(keras.callbacks.Callback):
    """Put loss and score of the held-out part into the logs, where early stopping and history look."""

    def __init__(self, evaluate: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self.evaluate = evaluate

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate the weights of this moment."""
        if logs is not None:
            logs.update(self.evaluate())


class RateLog(keras.callbacks.Callback):
    """Put the learning rate that the epoch ended with into the logs."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Read it off the optimizer."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())


class ProgressBar(keras.callbacks.Callback):
    """One line for the whole fit."""

    def __init__(self, n_epochs: int) -> None:
        super().__init__()
        self._bar = tqdm(total=n_epochs, unit="epoch", desc="fit")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance, and show the epoch's numbers."""
        shown = {name: f"{value:.3g}" for name, value in (logs or {}).items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leave the finished line on the screen."""
        self._bar.close()


def learning_rate_callbacks(plan: Any, n_steps: int) -> list[keras.callbacks.Callback]:
    """Turn the name of a schedule into callbacks."""
    if plan.schedule == "cosine":
        return [CosineSchedule(plan.learning_rate, n_steps)]
    if plan.schedule == "plateau":
        monitor = "val_loss" if plan.early_stopping else "loss"
        patience = max(1, plan.patience // 2)  # the rate falls before early stopping gives up
        return [keras.callbacks.ReduceLROnPlateau(monitor, patience=patience, min_delta=plan.min_delta)]
    return []
