"""From images to what a frozen backbone makes of them, on whichever engine computes it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import keras
import numpy as np

from histoclf.networks._backbones import build_features
from histoclf.networks._catalogue import Backbone, usual_batch_size
from histoclf.networks._engine import borrow_engine, chunk_size
from histoclf.networks._layers import Haematoxylin, PoolBoth, Preprocess, ToPixels
from histoclf.networks._optional import is_installed, require
from histoclf.networks._runtime import on_gpu
from histoclf.networks._weights import Weights

# What each engine needs beside Keras: the package, and the extra of histoclf that brings it.
_NEEDS = {
    "openvino": ("openvino", "openvino"),
    "openvino-bf16": ("openvino", "openvino"),
    "onnxruntime": ("onnxruntime", "onnx"),
}

Runner = Callable[[np.ndarray], np.ndarray]


@keras.saving.register_keras_serializable(package="histoclf")
class AtRest(keras.layers.Layer):
    """A network in inference mode, whatever goes on around it: no dropout, no batch statistics.

    Calling a network with ``training=False`` inside another is not enough: Keras lets the outer one's
    ``training=True`` win, and batch normalisation forgets what it learned on a million images.

    Parameters
    ----------
    network : keras.Model
        From images to features.
    """

    def __init__(self, network: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network = network

    def call(self, images: Any) -> Any:
        """Compute the features of a batch."""
        return self.network(images, training=False)

    def compute_output_spec(self, images: Any, **kwargs: Any) -> Any:
        """Tell the shape of the features without going through the whole network once more."""
        return self.network.compute_output_spec(images)

    def get_config(self) -> dict[str, Any]:
        """Return what `keras.saving` needs to build the layer again."""
        return {**super().get_config(), "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AtRest:
        """Build the layer again."""
        return cls(**{**config, "network": keras.saving.deserialize_keras_object(config["network"])})


@dataclass(frozen=True)
class EmbeddingSpec:
    """Everything that decides the graph from pixels to pooled features; hashable.

    Attributes
    ----------
    backbone : Backbone
        Feature extractor.
    image_shape : tuple of (int, int, int)
        Height, width and channels.
    input_dtype : str
        Of the images, in 0-255, that are fed.
    """

    backbone: Backbone
    image_shape: tuple[int, int, int]
    input_dtype: str

    def build(self) -> keras.Model:
        """Build the network from images in 0-255 to pooled features, (n, 1 or 2, depth)."""
        inputs = keras.Input(self.image_shape, dtype=self.input_dtype, name="images")
        pixels = ToPixels(name="to_pixels", dtype="float32")(inputs)
        features = connect(self.backbone, pixels)
        return keras.Model(inputs, PoolBoth(name="pool", dtype="float32")(features), name="embedding")


def connect(backbone: Backbone, pixels: Any) -> Any:
    """Append a backbone to pixels in 0-255; batch normalisation keeps its learned statistics.

    What it makes of each of the channels that it is shown comes one after the other.
    """
    network = AtRest(build_features(backbone, tuple(pixels.shape[1:3])), name="backbone", dtype="float32")
    features = []
    for shown in show(backbone.channels, pixels):
        made = network(Preprocess(backbone.preprocessing, dtype="float32")(shown))
        features += made if isinstance(made, list) else [made]
    return features if len(features) > 1 else features[0]


def show(channels: str, pixels: Any) -> list[Any]:
    """Return what a backbone is shown of RGB images in 0-255, as `channels` has it."""
    views = {"rgb": lambda: pixels, "haematoxylin": lambda: Haematoxylin(dtype="float32")(pixels)}
    return [views[channel]() for channel in channels.split("+")]


def choose_engine(engine: str, backbone: Backbone) -> str:
    """Turn "auto" into the fastest engine that is installed, and refuse one that is not or does not fit.

    Raises
    ------
    MissingDependencyError
        If the engine is not installed.
    ValueError
        If the engine cannot run this backbone.
    """
    if (backbone.kind == "onnx") != (engine == "onnxruntime") and engine != "auto":
        runs = (
            "ONNX files run on 'onnxruntime'" if backbone.kind == "onnx" else "'onnxruntime' runs ONNX files"
        )
        raise ValueError(f"engine={engine!r} cannot run backbone {backbone.name!r}: {runs} only. Use 'auto'.")
    if engine == "auto":
        engine = "onnxruntime" if backbone.kind == "onnx" else _fastest()
    if engine in _NEEDS:
        package, extra = _NEEDS[engine]
        require(package, f"engine={engine!r}", extra)
    return engine


def choose_batch_size(batch_size: int | str, backbone: Backbone) -> int:
    """Turn "auto" into the images per forward pass of Keras that suit machine and backbone."""
    return chunk_size(usual_batch_size(backbone)) if batch_size == "auto" else int(batch_size)


@cache  # reading it takes as long as a small network
def engine_version(engine: str) -> str:
    """Name an engine with its version: another one may differ in the last digits."""
    package = _NEEDS.get(engine, ("tensorflow", ""))[0]
    return f"{engine} {importlib.metadata.version(package)}"


def make_runner(spec: EmbeddingSpec, weights: Weights, engine: str, batch_size: int) -> Runner:
    """Return what turns images (n, height, width, channels) into pooled features (n, 1 or 2, depth), float32.

    A patch's features do not depend on its company: engines compute it alone, or in batches of one fixed
    size.
    """
    if engine == "keras":
        return partial(_run_keras, spec, weights, batch_size)
    if engine == "onnxruntime":
        from histoclf.networks._onnx import run_onnx

        return partial(run_onnx, spec, weights)
    from histoclf.networks._openvino import run_openvino

    return partial(run_openvino, spec, weights, "bf16" if engine == "openvino-bf16" else "f32")


def _run_keras(spec: EmbeddingSpec, weights: Weights, batch_size: int, images: np.ndarray) -> np.ndarray:
    with borrow_engine(spec, weights) as engine:
        return engine.predict(images, chunk=batch_size)


def _fastest() -> str:
    return "openvino" if not on_gpu() and is_installed("openvino") else "keras"
