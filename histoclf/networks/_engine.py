"""Compiled networks, kept and reused: a fit sets their weights instead of building and tracing anew.

Tracing a training step takes seconds and leaves memory behind that TensorFlow never returns (about 4 MB a fit
with wrappers that rebuild). An engine is therefore built once for each `spec` and lent to one fit or
prediction at a time. It holds no state that matters between two loans: whoever borrows it loads weights
first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from histoclf.networks._backbones import load_into
from histoclf.networks._recent import Recent
from histoclf.networks._runtime import on_gpu, python_random_kept, refuse_after_fork, thread_budget

_MAX_ENGINES = 8  # a grid over architectures keeps the latest ones only
# Images per forward pass, always: a patch's probabilities do not depend on its company. A single patch
# costs as much as a chunk, so this is the smallest number with which many patches take no longer.
_CHUNK, _CHUNK_ON_GPU = 16, 64
_IN_FLIGHT = 4  # forward passes at a time: while one waits for a small layer, another one computes

Weights = list[np.ndarray]


def chunk_size(on_cpu: int = _CHUNK) -> int:
    """Return the number of images per forward pass that suits this machine, given what suits its CPU."""
    return _CHUNK_ON_GPU if on_gpu() else on_cpu


class Engine:
    """One compiled network and what is needed to start it afresh.

    Parameters
    ----------
    spec : object with a method ``build() -> keras.Model``
        Hashable description of the network.
    """

    def __init__(self, spec: Any) -> None:
        with python_random_kept():
            self.model: keras.Model = spec.build()
        # Called directly: `keras.Model.predict` makes a data set of each input, which takes 40 ms.
        self._forward = tf.function(lambda images: self.model(images, training=False), autograph=False)
        self._compiled_for: Any = None
        self._loaded: Weights | None = None

    def compile(self, optimizer: str, weight_decay: float, rates: tuple[float, ...] | None = None) -> None:
        """Prepare for training, unless the engine is prepared for just that already.

        Parameters
        ----------
        optimizer : str
            Name of a Keras optimizer.
        weight_decay : float
            Decoupled decay of the kernels, times the learning rate in every step.
        rates : tuple of float, default=None
            What the learning rate of each trainable variable is multiplied with.
        """
        if self._compiled_for == (optimizer, weight_decay, rates):
            return
        kind = type(keras.optimizers.get(optimizer))
        optimizer_ = (kind if rates is None else _with_rates(kind, rates))(weight_decay=weight_decay)
        optimizer_.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # XLA was slower than the plain graph for small convolutions on CPUs, and takes longer to compile.
        self.model.compile(optimizer=optimizer_, loss=loss, jit_compile=False)
        optimizer_.build(self.model.trainable_variables)
        self._compiled_for = (optimizer, weight_decay, rates)

    def initial_weights(self, generator: np.random.Generator) -> Weights:
        """Draw kernels after He et al. (2015); scales and variances start at one, the rest at zero."""
        return [_draw(variable.path, tuple(variable.shape), generator) for variable in self.model.weights]

    def reset_training(self, generator: np.random.Generator, optimizer_state: Weights | None) -> None:
        """Restart the optimizer and every random stream inside the network."""
        for position, variable in enumerate(self.model.optimizer.variables):
            if optimizer_state is not None:
                variable.assign(optimizer_state[position])
            elif not variable.path.endswith("learning_rate"):
                variable.assign(np.zeros(variable.shape, dtype=variable.dtype))
        for variable in self._random_states():
            variable.assign(generator.integers(2**32, size=2, dtype=np.uint32))

    def optimizer_state(self) -> Weights:
        """Copy the optimizer's memory."""
        return [np.array(variable.numpy()) for variable in self.model.optimizer.variables]

    def load(self, weights: Weights) -> None:
        """Set the weights of the network, unless this very list is what it holds."""
        if weights is not self._loaded:
            load_into(self.model, weights)
            self._loaded = weights

    def predict(
        self, images: np.ndarray, rows: np.ndarray | None = None, chunk: int | None = None
    ) -> np.ndarray:
        """Compute the outputs for images in the units the network is fed, in chunks of one fixed size.

        Parameters
        ----------
        images : ndarray of shape (n_images, height, width, channels)
            In memory or on disk; only a few chunks at a time are read.
        rows : ndarray of shape (n,), int, default=None
            Rows of `images` to answer for; None is all of them.
        chunk : int, default=None
            Images per forward pass; None is 16, or 64 with a GPU.

        Returns
        -------
        outputs : ndarray of shape (n, ...), float32
            Logits, say.
        """
        chunk = chunk or chunk_size()

        def compute(start: int) -> np.ndarray:
            part = slice(start, start + chunk)
            return self._run(images[part if rows is None else rows[part]], chunk)

        starts = range(0, len(images) if rows is None else len(rows), chunk)
        n_threads = min(1 if thread_budget() == 1 else _IN_FLIGHT, len(starts))
        if n_threads < 2:
            return np.concatenate([compute(start) for start in starts])
        with ThreadPoolExecutor(n_threads) as threads:
            return np.concatenate(list(threads.map(compute, starts)))

    def _run(self, images: np.ndarray, chunk: int) -> np.ndarray:
        """Compute the outputs for at most `chunk` images, with black ones beside them up to that number."""
        if len(images) == chunk:
            return self._forward(tf.constant(images, self._input_dtype)).numpy()
        batch = np.zeros((chunk, *images.shape[1:]), self._input_dtype)
        batch[: len(images)] = images
        return self._forward(tf.constant(batch)).numpy()[: len(images)]

    @property
    def _input_dtype(self) -> str:
        return self.model.inputs[0].dtype

    def _random_states(self) -> list[Any]:
        weights = {id(variable) for variable in self.model.weights}
        return [v for v in self.model.non_trainable_variables if id(v) not in weights]


def _with_rates(kind: type, rates: tuple[float, ...]) -> type:
    """Give an optimizer a learning rate of its own for each variable: Keras knows only one for all."""

    class Layerwise(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            rate = rates[self._get_variable_index(variable)]
            super().update_step(gradient, variable, learning_rate * rate)

    return Layerwise


def _draw(path: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if not path.endswith("/kernel"):
        return np.full(shape, path.endswith(("gamma", "variance")), dtype="float32")
    fan_in = np.prod(shape[:-1])
    gain = 2.0 if len(shape) == 4 else 1.0  # a rectifier follows convolutions, none follows the last layer
    return generator.normal(0.0, np.sqrt(gain / fan_in), shape).astype("float32")


_engines: Recent[Engine] = Recent(_MAX_ENGINES)
_lock = threading.RLock()


@contextmanager
def borrow_engine(spec: Any, weights: Weights | None = None) -> Iterator[Engine]:
    """Lend the engine of `spec` to one thread at a time, with `weights` loaded.

    Parameters
    ----------
    spec : hashable with a method ``build() -> keras.Model``
        Description of the network.
    weights : list of ndarray or None
        As `keras.Model.get_weights` orders them, not to be changed afterwards; None if the borrower sets
        them.

    Yields
    ------
    engine : Engine
        To be used inside the ``with`` block only.
    """
    refuse_after_fork()
    with _lock:
        engine = _engines.fetch(spec, lambda: Engine(spec))
        if weights is None:
            engine._loaded = None  # whoever trains changes them
        else:
            engine.load(weights)
        yield engine
