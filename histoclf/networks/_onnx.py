"""Frozen backbones from ONNX files: how foundation models come in without torch."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import onnxruntime

from histoclf.networks._embedding import show
from histoclf.networks._layers import preprocess
from histoclf.networks._recent import Recent
from histoclf.networks._runtime import thread_budget
from histoclf.networks._weights import Weights, quote

_BATCH = 8  # images per run where the file leaves it open
_MAX_SESSIONS = 2
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}

_sessions: Recent[Any] = Recent(_MAX_SESSIONS)
_lock = threading.RLock()


def run_onnx(spec: Any, weights: Weights, images: np.ndarray) -> np.ndarray:
    """Compute pooled features of images (n, height, width, channels) in 0-255, in batches of one fixed size.

    Parameters
    ----------
    spec : EmbeddingSpec
        The network; its backbone says how to preprocess.
    weights : list of one ndarray
        Bytes of the file.
    images : ndarray
        In 0-255.

    Returns
    -------
    features : ndarray of shape (n, 1 or 2, depth), float32

    Raises
    ------
    ValueError
        If the file does not hold a network from images to features.
    """
    with _lock:
        session = _sessions.fetch(spec.backbone.digest, lambda: _read(weights[0].tobytes()))
        source, channels_first, batch = _describe_input(session, spec.backbone.name)
        parts = []
        for start in range(0, len(images), batch):
            chunk = images[start : start + batch]
            padded = np.pad(chunk, [(0, batch - len(chunk)), (0, 0), (0, 0), (0, 0)]).astype("float32")
            pooled = []
            for shown in show(spec.backbone.channels, padded):
                gray_or_rgb = np.asarray(shown)
                rgb = np.repeat(gray_or_rgb, 3 // gray_or_rgb.shape[-1], axis=-1)
                fed = preprocess(rgb, spec.backbone.preprocessing).astype(_DTYPES[source.type])
                fed = np.moveaxis(fed, -1, 1) if channels_first else fed
                output = session.run(None, {source.name: np.ascontiguousarray(fed)})[0]
                pooled.append(_pool(output, channels_first)[: len(chunk)])
            parts.append(np.concatenate(pooled, axis=-1))
    return np.concatenate(parts)


def onnx_side(content: bytes, name: str) -> tuple[int, int] | None:
    """Return height and width that the network in a file insists on, if it does.

    Raises
    ------
    ValueError
        If the file, called `name` in the message, does not hold a network from images to features.
    """
    try:
        session = _read(content)
    except Exception as error:  # onnxruntime raises kinds of its own
        raise ValueError(
            f"backbone {name!r} is not to be opened by ONNX Runtime: {quote(error)} Expected one file "
            "of an ONNX network, with the weights in it."
        ) from error
    source, channels_first, _ = _describe_input(session, name)
    height, width = source.shape[2:] if channels_first else source.shape[1:3]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _read(content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_budget()
    providers = onnxruntime.get_available_providers()
    return onnxruntime.InferenceSession(content, options, providers=providers)


def _describe_input(session: Any, name: str) -> tuple[Any, bool, int]:
    """Find the input, whether channels come first, and how many images it takes at a time."""
    inputs = session.get_inputs()
    shape = inputs[0].shape
    channels_first = len(shape) == 4 and shape[1] == 3
    fits = len(inputs) == 1 and len(shape) == 4 and (channels_first or shape[3] == 3)
    if not fits or inputs[0].type not in _DTYPES:
        seen = ", ".join(f"{item.name} {item.type} {item.shape}" for item in inputs)
        raise ValueError(
            f"backbone {name!r} has the inputs: {seen}. Expected one input of RGB images, (n, "
            "3, height, width) or (n, height, width, 3), of float32, float16 or uint8."
        )
    return inputs[0], channels_first, shape[0] if isinstance(shape[0], int) else _BATCH


def _pool(output: np.ndarray, channels_first: bool) -> np.ndarray:
    """Pool maps and tokens as `PoolBoth` does."""
    output = np.asarray(output, dtype="float32")
    if output.ndim == 2:
        return output[:, None]
    if output.ndim == 4 and channels_first:
        output = np.moveaxis(output, 1, -1)
    places = tuple(range(1, output.ndim - 1))
    return np.stack([output.mean(axis=places), output.max(axis=places)], axis=1)
