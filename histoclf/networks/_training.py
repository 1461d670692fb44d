"""The training loop: scikeras runs it, and this is the only module that knows scikeras.

scikeras is composed here as a loop and nothing more. It gets row numbers as X, which its data transformers
turn into a feed of images; the network, its weights, the order of the rows, the validation part and all
random streams are ours. That leaves out what goes wrong in its estimators: it never sees a `random_state` (it
would switch on TensorFlow's determinism for the whole process), never sees the caller's `sample_weight` (it
would change it in place), and never builds a network (each build leaks memory).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from sklearn.preprocessing import FunctionTransformer

from histoclf.networks._callbacks import ProgressBar, RateLog, Validation, learning_rate_callbacks
from histoclf.networks._engine import Engine, Weights

_PATCHED = [
    (keras.Model, ("__reduce__", "__deepcopy__")),
    (keras.losses.Loss, ("__reduce__",)),
    (keras.metrics.Metric, ("__reduce__",)),
    (keras.optimizers.Optimizer, ("__reduce__",)),
]


@contextmanager
def _unpatched_keras() -> Iterator[None]:
    """Undo what importing scikeras does to Keras' classes for everybody in the process."""
    before = [(cls, name, cls.__dict__.get(name)) for cls, names in _PATCHED for name in names]
    yield
    for cls, name, value in before:
        if value is None:
            if name in cls.__dict__:
                delattr(cls, name)
        else:
            setattr(cls, name, value)


with _unpatched_keras():
    from scikeras.wrappers import BaseWrapper


@dataclass(frozen=True)
class TrainingPlan:
    """How to train, in numbers.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the training part, and images per step.
    optimizer : str
        Name of a Keras optimizer.
    learning_rate : float
        Highest rate.
    weight_decay : float
        Decoupled decay of the kernels, times the learning rate in every step.
    schedule : {"constant", "plateau", "cosine"}
        How the rate changes.
    early_stopping : bool
        Whether a part is held out, so that training stops, and the best weights come back, when ``val_loss``
        no longer improves.
    patience : int
        Epochs without an improvement of `min_delta` before that.
    min_delta : float
        Smallest change of the loss that counts.
    verbose : int
        1 shows a progress bar.
    layer_decay : float
        What the learning rate is multiplied with from each layer to the one below.
    """

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    schedule: str
    early_stopping: bool
    patience: int
    min_delta: float
    verbose: int
    layer_decay: float = 1.0


class PatchFeed:
    """Batches of images, in an order of our own that is drawn anew for each epoch.

    Not a `keras.utils.PyDataset`: Keras makes a generator of it, and the first generator that TensorFlow 2.21
    sees fixes the C library's threshold for memory maps at 128 KiB. Whatever is trained in the process after
    that spends half as long again on getting the memory of its feature maps, and giving it back.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels)
        In memory or on disk; only the rows of a batch are read.
    targets : ndarray of shape (n,), int
        Class number of each image.
    weights : ndarray of shape (n,), float32
        Weight of each image in the loss.
    rows : ndarray of shape (n_rows,), int
        Rows of `images` to train on.
    batch_size : int
        Images per step, at most; the steps of an epoch are of even size, so that none is left with one image.
    generator : numpy.random.Generator
        Source of the order.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        rows: np.ndarray,
        batch_size: int,
        generator: np.random.Generator,
    ) -> None:
        self._images, self._targets, self._weights, self._rows = images, targets, weights, rows
        self._n_batches = math.ceil(len(rows) / batch_size)
        self._generator = generator
        self.shuffle()

    def __len__(self) -> int:
        return self._n_batches

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = self._batches[batch]
        return self._images[rows], self._targets[rows], self._weights[rows]

    def shuffle(self) -> None:
        """Draw the order of the next epoch."""
        order = self._generator.permutation(len(self._rows))
        self._batches = np.array_split(self._rows[order], self._n_batches)

    def to_dataset(self) -> tf.data.Dataset:
        """Return what TensorFlow goes through once an epoch; a batch is read while it trains on another."""
        examples = self._images, self._targets, self._weights
        kinds = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in examples]

        def read(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
            tensors = tf.numpy_function(self.__getitem__, [batch], [kind.dtype for kind in kinds])
            return tuple(tf.ensure_shape(x, kind.shape) for x, kind in zip(tensors, kinds, strict=True))

        # With `autotune`, an epoch may end by waiting for a thread that sleeps as long as the epoch took.
        options = tf.data.Options()
        options.autotune.enabled = False
        return tf.data.Dataset.range(len(self)).map(read).prefetch(1).with_options(options)

    def release(self) -> None:
        """Let go of the images: TensorFlow never lets go of a function that it was given."""
        self.__dict__.update(_images=None, _targets=None, _weights=None, _rows=None, _batches=None)


class _Loop(BaseWrapper):
    """scikeras' loop over a data set: its data transformers exchange row numbers for it."""

    _batches: tf.data.Dataset

    @property
    def feature_encoder(self) -> FunctionTransformer:
        return FunctionTransformer(lambda rows: self._batches)

    @property
    def target_encoder(self) -> FunctionTransformer:
        return FunctionTransformer(lambda targets: None)  # they come with the batches


@dataclass(frozen=True)
class TrainingResult:
    """What a training run leaves behind: plain arrays and numbers.

    Attributes
    ----------
    weights : list of ndarray
        Of the best epoch under early stopping, else of the last one.
    history : dict of str to list of float
        One entry per epoch.
    best_epoch : int
        The epoch, counted from 1, that `weights` are from.
    """

    weights: Weights
    history: dict[str, list[float]]
    best_epoch: int


def train(
    engine: Engine,
    feed: PatchFeed,
    plan: TrainingPlan,
    evaluate: Callable[[], dict[str, float]] | None = None,
) -> TrainingResult:
    """Train the network in `engine`, from the weights that it holds.

    Parameters
    ----------
    engine : Engine
        Compiled, with weights and random streams set.
    feed : PatchFeed
        Training part.
    plan : TrainingPlan
        How to train.
    evaluate : callable or None
        Gives ``val_loss`` and other numbers of the held-out part for the engine's present weights.

    Returns
    -------
    result : TrainingResult

    Raises
    ------
    FloatingPointError
        If the loss became NaN or infinite.
    """
    engine.model.optimizer.learning_rate.assign(plan.learning_rate)
    stopper = _early_stopping(plan)
    callbacks = [
        *([Validation(evaluate)] if evaluate else []),
        *learning_rate_callbacks(plan, plan.epochs * len(feed)),
        RateLog(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: feed.shuffle()),
        keras.callbacks.TerminateOnNaN(),
        *([stopper] if stopper else []),
        *([ProgressBar(plan.epochs)] if plan.verbose else []),
    ]
    try:
        history = _run_scikeras(engine.model, feed, plan.epochs, callbacks)
    finally:
        feed.release()
    _refuse_divergence(history["loss"], plan)
    best = stopper.best_epoch + 1 if stopper else len(history["loss"])
    return TrainingResult(engine.model.get_weights(), history, best)


def _early_stopping(plan: TrainingPlan) -> keras.callbacks.EarlyStopping | None:
    if not plan.early_stopping:
        return None
    return keras.callbacks.EarlyStopping(
        "val_loss", patience=plan.patience, min_delta=plan.min_delta, restore_best_weights=True
    )


def _run_scikeras(
    model: keras.Model, feed: PatchFeed, epochs: int, callbacks: list[keras.callbacks.Callback]
) -> dict[str, list[float]]:
    # `shuffle` would make Keras draw the order of batches from Python's global stream; the feed shuffles.
    loop = _Loop(model=model, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    loop._batches = feed.to_dataset()
    loop.fit(np.zeros((1, 1)), np.zeros(1))
    return {name: [float(value) for value in values] for name, values in loop.history_.items()}


def _refuse_divergence(losses: list[float], plan: TrainingPlan) -> None:
    if not np.all(np.isfinite(losses)):
        raise FloatingPointError(
            f"The training loss became {losses[-1]} in epoch {len(losses)}: training diverged. Expected a "
            f"finite loss; lower learning_rate (now {plan.learning_rate}) or leave it at its default."
        )
