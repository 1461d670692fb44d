"""Frozen backbones on OpenVINO: Keras' numbers to about 1e-5, two to three times as fast."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from histoclf.networks._engine import borrow_engine
from histoclf.networks._recent import Recent
from histoclf.networks._runtime import thread_budget
from histoclf.networks._weights import Weights


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """Let a package look as if it were not installed."""
    kept = sys.modules.pop(package, None)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        if kept is not None:
            sys.modules[package] = kept


# OpenVINO tells its maker about each import over the network, and leaves a folder in the user's home, unless
# this package is absent; it then uses a stub. Hospital machines must not call out unasked.
with _absent("openvino_telemetry"):
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.tensorflow.graph_iterator import GraphIteratorTFGraph

_MAX_COMPILED = 4

# The key names the weights too, by their digest.
_compiled: Recent[Any] = Recent(_MAX_COMPILED)
_lock = threading.RLock()


def run_openvino(spec: Any, weights: Weights, precision: str, images: np.ndarray) -> np.ndarray:
    """Compute pooled features, one image at a time on every stream.

    Parameters
    ----------
    spec : EmbeddingSpec
        The network.
    weights : list of ndarray
        Of its backbone.
    precision : {"f32", "bf16"}
        Arithmetic. OpenVINO's own default is bfloat16 wherever the CPU has it, which is several times as fast
        and wrong by several per cent in MobileNet features: it is never used without being asked for.
    images : ndarray of shape (n, height, width, channels)
        In 0-255.

    Returns
    -------
    features : ndarray of shape (n, 1 or 2, depth), float32
    """
    with _lock:
        model = _compiled.fetch((spec, precision), lambda: _compile(spec, weights, precision))
        features = np.empty((len(images), *model.output(0).shape[1:]), dtype="float32")
        n_streams = model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        # In turns, and not with openvino.AsyncInferQueue: its threads call back into Python and can wait for
        # ever for it, while Python waits for them to end.
        requests = [model.create_infer_request() for _ in range(n_streams)]
        for turn in range(len(images) + n_streams):
            request, done = requests[turn % n_streams], turn - n_streams
            if done >= 0:
                request.wait()
                features[done] = request.get_output_tensor(0).data[0]
            if turn < len(images):
                request.start_async({0: np.ascontiguousarray(images[turn : turn + 1])})
    return features


def _compile(spec: Any, weights: Weights, precision: str) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    if thread_budget():
        settings["INFERENCE_NUM_THREADS"] = str(thread_budget())
    return openvino.Core().compile_model(_convert(spec, weights), "CPU", settings)


def _convert(spec: Any, weights: Weights) -> Any:
    """Convert through the front end itself: `openvino.convert_model` reports its use over the network."""
    signature = tf.TensorSpec((1, *spec.image_shape), spec.input_dtype)
    with borrow_engine(spec, weights) as engine:
        graph = tf.function(lambda images: engine.model(images, training=False), autograph=False)
        frozen = GraphIteratorTFGraph(graph.get_concrete_function(signature).graph, share_weights=False)
        front_end = FrontEndManager().load_by_framework("tf")
        return front_end.convert(front_end.load(frozen))
