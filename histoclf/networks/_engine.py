"""Compiled networks, kept and reused: a fit sets their weights instead of building and tracing anew.

Tracing a training step takes seconds and leaves memory behind that TensorFlow never returns (about 4 MB a fit
with wrappers that rebuild). An engine is therefore built once for each `spec` and lent to one fit or
prediction at a time. It holds no state that matters between two loans: whoever borrows it loads weights
first.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
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
# Images per forward pass: the smallest number with which many patches take no longer.
_CHUNK, _CHUNK_ON_GPU = 16, 64
_SHORT = (2, 4, 8, 16, 32)  # lengths of passes for requests that do not fill one
_ENOUGH = 64  # outputs of an image that are not equal by chance, as two logits are
_N_PROBES = 2  # images of noise that tell which places of a pass give the same numbers
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
        # Called directly: `keras.Model.predict` makes a data set of each input, which takes 40 ms. One graph
        # for any number of images: it is as fast as one for each, and traced once.
        # What the last layer is fed comes along: two logits can be equal by chance, so many numbers cannot.
        watched = keras.Model(self.model.inputs, [self.model.outputs[0], self.model.layers[-1].input])
        shape = (None, *self.model.inputs[0].shape[1:])
        self._forward = tf.function(
            lambda images: keras.tree.flatten(watched(images, training=False)),
            input_signature=[tf.TensorSpec(shape, self._input_dtype)],
            autograph=False,
        )
        self._compiled_for: Any = None
        self._loaded: Weights | None = None
        # Found anew for other weights: where they are NaN or zero, all places look alike.
        self._copies: dict[int, list[str]] = {}

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

    def load(self, weights: Weights | None) -> None:
        """Set the weights of the network, unless this very list is what it holds; None: the caller will."""
        if weights is None or weights is not self._loaded:
            self._copies.clear()
            self._loaded = weights
            if weights is not None:
                load_into(self.model, weights)

    def predict(
        self, images: np.ndarray, rows: np.ndarray | None = None, chunk: int | None = None
    ) -> np.ndarray:
        """Compute the outputs for images in the units the network is fed; none depends on the other images.

        Parameters
        ----------
        images : ndarray of shape (n_images, height, width, channels)
            In memory or on disk; only a few chunks at a time are read.
        rows : ndarray of shape (n,), int, default=None
            Rows of `images` to answer for; None is all of them.
        chunk : int, default=None
            Images per forward pass; None is 16, or 64 with a GPU. Fewer than that are computed in a shorter
            pass, if that gives the same numbers on this machine and there are enough of them to tell.

        Returns
        -------
        outputs : ndarray of shape (n, ...), float32
            Logits, say.
        """
        n = len(images) if rows is None else len(rows)
        chunk = chunk or chunk_size()
        room = len(self._find_places(chunk, chunk))

        def compute(start: int) -> np.ndarray:
            part = slice(start, start + room)
            return self._run(images[part if rows is None else rows[part]], chunk)

        starts = range(0, n, room)
        n_threads = min(1 if thread_budget() == 1 else _IN_FLIGHT, len(starts))
        if n_threads < 2:
            return np.concatenate([compute(start) for start in starts])
        with ThreadPoolExecutor(n_threads) as threads:
            return np.concatenate(list(threads.map(compute, starts)))

    def _run(self, images: np.ndarray, chunk: int) -> np.ndarray:
        """Compute the outputs for as many images as a pass has room for, with black ones beside them."""
        length, places = self._choose_pass(len(images), chunk)
        if len(images) == length:
            return self._forward(tf.constant(images, self._input_dtype))[0].numpy()
        batch = np.zeros((length, *images.shape[1:]), self._input_dtype)
        batch[places[: len(images)]] = images
        return self._forward(tf.constant(batch))[0].numpy()[places[: len(images)]]

    def _choose_pass(self, n: int, chunk: int) -> tuple[int, np.ndarray]:
        """Return the length of the shortest pass that has room for `n` images, and its places."""
        for length in _SHORT if self._tells else ():
            if n < length < chunk and len(places := self._find_places(length, chunk)) >= n:
                return length, places
        return chunk, self._find_places(chunk, chunk)

    def _find_places(self, length: int, chunk: int) -> np.ndarray:
        """Return the places in a pass that give the numbers which most places of a pass of `chunk` give.

        A product of matrices is cut into blocks, after the length of the pass and the number of threads. A
        small block at the end may be summed in another order: the last image of 64 can differ in its last
        bits from the same image in front. Which places do depends little on what an image shows, and is found
        out with copies of one.
        """
        usual, n_usual = Counter(self._compute_copies(chunk)).most_common(1)[0]
        same = [numbers == usual for numbers in self._compute_copies(length)]
        if 2 * n_usual < chunk:  # the machine does not repeat itself, so that no place is better than another
            same = [length == chunk] * length
        if length > 1 and (length < chunk or not self._tells):  # what is left over may be too little to show
            same[-1] = False
        return np.flatnonzero(same)

    def _compute_copies(self, length: int) -> list[str]:
        """Compute passes of nothing but copies of one image; a digest of the numbers at each place, kept."""
        if length not in self._copies:
            shape = (_N_PROBES, 1, *self.model.inputs[0].shape[1:])
            noise = np.random.default_rng(0).uniform(0, 256, shape).astype(self._input_dtype)
            found = [x.numpy() for probe in noise for x in self._forward(np.repeat(probe, length, axis=0))]
            joined = [b"".join(numbers[place].tobytes() for numbers in found) for place in range(length)]
            self._copies[length] = [hashlib.sha256(numbers).hexdigest() for numbers in joined]
        return self._copies[length]

    @property
    def _tells(self) -> bool:
        """Whether an image has so many outputs that copies of it show every difference between places."""
        return np.prod(self.model.output_shape[1:]) >= _ENOUGH

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
        engine.load(weights)
        yield engine
