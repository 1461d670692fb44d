"""Compiled networks, kept and reused: a fit sets their weights instead of building and tracing anew.

Tracing a training step takes seconds and leaves memory behind that TensorFlow never returns (about 4 MB a fit
with wrappers that rebuild). An engine is therefore built once for each `spec` and lent to one fit or
prediction at a time. It holds no state that matters between two loans: whoever borrows it loads weights
first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from histoclf.networks._runtime import refuse_after_fork

_MAX_ENGINES = 8  # a grid over architectures keeps the latest ones only
_CHUNK = 64  # images per forward pass, always: a patch's probabilities do not depend on its company

Weights = list[np.ndarray]


class Engine:
    """One compiled network and what is needed to start it afresh.

    Parameters
    ----------
    spec : object with a method ``build() -> keras.Model``
        Hashable description of the network.
    """

    def __init__(self, spec: Any) -> None:
        self.model: keras.Model = spec.build()
        self._initial = [np.array(weight) for weight in self.model.get_weights()]
        self._compiled_for: tuple[str, float] | None = None

    def compile(self, optimizer: str, weight_decay: float) -> None:
        """Prepare for training, unless the engine is prepared for just that already."""
        if self._compiled_for == (optimizer, weight_decay):
            return
        optimizer_ = keras.optimizers.get(optimizer)
        config = {**optimizer_.get_config(), "weight_decay": weight_decay}
        optimizer_ = type(optimizer_).from_config(config)
        optimizer_.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # XLA was slower than the plain graph for small convolutions on CPUs, and takes longer to compile.
        self.model.compile(optimizer=optimizer_, loss=loss, jit_compile=False)
        optimizer_.build(self.model.trainable_variables)
        self._compiled_for = (optimizer, weight_decay)

    def initial_weights(self, generator: np.random.Generator) -> Weights:
        """Draw new kernels after He et al. (2015); everything else starts as the layers start it."""
        return [
            _he_normal(start.shape, generator) if variable.path.endswith("/kernel") else start.copy()
            for variable, start in zip(self.model.weights, self._initial, strict=True)
        ]

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

    def predict(self, images: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Compute the logits of images in the units the network is fed, in chunks of one fixed size.

        Parameters
        ----------
        images : ndarray of shape (n_images, height, width, channels)
            In memory or on disk; only a chunk at a time is read.
        rows : ndarray of shape (n,), int, default=None
            Rows of `images` to answer for; None is all of them.

        Returns
        -------
        logits : ndarray of shape (n, n_classes), float32
        """
        chunks = []
        for start in range(0, len(images) if rows is None else len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            chunk = np.asarray(images[part if rows is None else rows[part]])
            padding = [(0, _CHUNK - len(chunk))] + [(0, 0)] * (chunk.ndim - 1)
            logits = self.model.predict_on_batch(np.pad(chunk, padding))
            chunks.append(logits[: len(chunk)])
        return np.concatenate(chunks)

    def _random_states(self) -> list[Any]:
        weights = {id(variable) for variable in self.model.weights}
        return [v for v in self.model.non_trainable_variables if id(v) not in weights]


def _he_normal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    fan_in = np.prod(shape[:-1])
    gain = 2.0 if len(shape) == 4 else 1.0  # a rectifier follows convolutions, none follows the last layer
    return generator.normal(0.0, np.sqrt(gain / fan_in), shape).astype("float32")


_engines: OrderedDict[Any, Engine] = OrderedDict()
_lock = threading.RLock()


@contextmanager
def borrow_engine(spec: Any, weights: Weights | None = None) -> Iterator[Engine]:
    """Lend the engine of `spec` to one thread at a time, with `weights` loaded.

    Parameters
    ----------
    spec : hashable with a method ``build() -> keras.Model``
        Description of the network.
    weights : list of ndarray or None
        As `keras.Model.get_weights` orders them.

    Yields
    ------
    engine : Engine
        To be used inside the ``with`` block only.
    """
    refuse_after_fork()
    with _lock:
        engine = _engines.pop(spec, None) or Engine(spec)
        _engines[spec] = engine  # the most recently used is the last
        while len(_engines) > _MAX_ENGINES:
            _engines.popitem(last=False)
        if weights is not None:
            engine.model.set_weights(weights)
        yield engine
