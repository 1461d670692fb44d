"""What a script does with a frozen network of keras.applications, and what both sides are given."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from sklearn.base import BaseEstimator, TransformerMixin

from histoclf import find_patches
from histoclf.classifiers import _axes
from histoclf.networks._cache import clear_memory

POOLINGS = {
    "avg": (layers.GlobalAveragePooling2D,),
    "avg+max": (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D),
}


@dataclass(frozen=True)
class Network:
    """A network of keras.applications, and what histoclf calls it.

    Attributes
    ----------
    backbone : str
        Name in histoclf.
    factory : str
        Name in keras.applications.
    module : str
        The module there whose `preprocess_input` goes with it.
    alpha : float or None
        Width, of networks that have one.
    """

    backbone: str
    factory: str
    module: str
    alpha: float | None = None

    @property
    def params(self) -> dict[str, Any]:
        """What the function takes beside size and weights, and what `backbone_params` is."""
        return {} if self.alpha is None else {"alpha": self.alpha}

    def features(self, side: int, weights: str | None = None) -> keras.Model:
        """Build the network without its classification layer."""
        factory = getattr(keras.applications, self.factory)
        return factory(include_top=False, weights=weights, input_shape=(side, side, 3), **self.params)

    def script(self, side: int, weights: str, pooling: str) -> keras.Model:
        """Build what a script does: from images in 0-255 to embeddings."""
        inputs = keras.Input((side, side, 3))
        features = self.features(side)
        features.load_weights(weights)
        scaled = getattr(keras.applications, self.module).preprocess_input(inputs)
        maps = features(scaled, training=False)
        pooled = [pool()(maps) for pool in POOLINGS[pooling]]
        return keras.Model(inputs, pooled[0] if len(pooled) == 1 else layers.Concatenate()(pooled))


NETWORKS = {
    "mobilenet": Network("mobilenet", "MobileNet", "mobilenet", 1.0),
    "mobilenet_v2": Network("mobilenet_v2", "MobileNetV2", "mobilenet_v2", 1.0),
    "mobilenet_v2-0.35": Network("mobilenet_v2", "MobileNetV2", "mobilenet_v2", 0.35),
    "resnet50": Network("resnet50", "ResNet50", "resnet50"),
}


@contextmanager
def weights_file(network: Network, wanted: str | None = "imagenet") -> Iterator[tuple[str, str]]:
    """Save the ImageNet weights, or random ones where they are not to be had, in a file for both sides.

    Both sides then have the same weights, whatever the size of the images: Keras has no file for some sizes.

    Yields
    ------
    path : str
        The file, removed afterwards.
    kind : {"ImageNet", "random"}
        What is in it.
    """
    keras.utils.set_random_seed(0)
    try:
        model, kind = network.features(224, wanted), "ImageNet" if wanted else "random"
    except Exception:  # Keras raises a bare Exception when a download fails
        model, kind = network.features(224), "random"
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "network.weights.h5"))
        model.save_weights(path)
        yield path, kind


def read_files(paths: np.ndarray, side: int) -> np.ndarray:
    """Decode and resize as a script does, one file after the other."""
    images = np.empty((len(paths), side, side, 3), dtype=np.uint8)
    for row, path in enumerate(paths):
        images[row] = keras.utils.load_img(path, target_size=(side, side), interpolation="bilinear")
    return images


@cache
def build_script(network: str, side: int, weights: str, pooling: str) -> keras.Model:
    """Build a script's network, once in a process: more than a transformer that is cloned would do."""
    return NETWORKS[network].script(side, weights, pooling)


class NaiveEmbedder(TransformerMixin, BaseEstimator):
    """What comes to mind first: a transformer that reads files and calls `predict` whenever it is asked."""

    def __init__(self, network: str, side: int, weights: str, pooling: str = "avg") -> None:
        self.network = network
        self.side = side
        self.weights = weights
        self.pooling = pooling

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> NaiveEmbedder:
        """Learn nothing."""
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Embed files."""
        model = build_script(self.network, self.side, self.weights, self.pooling)
        return model.predict(read_files(X, self.side), verbose=0)


def choose_patches(folder: Path, n_patches: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take paths, labels and patients of so many patches at even distances, so some of each patient."""
    found = find_patches(folder)
    if len(found.paths) < n_patches:
        raise SystemExit(f"{folder} holds {len(found.paths)} patches only; --patches asks for {n_patches}.")
    rows = np.linspace(0, len(found.paths) - 1, n_patches).astype(int)
    return found.paths[rows], found.labels[rows], found.groups[rows]


def forget_embeddings() -> None:
    """Empty what histoclf keeps in memory: embeddings, and their principal axes."""
    clear_memory()
    _axes.cache.clear()


def load_engines() -> None:
    """Import what a first fit would, TensorFlow and OpenVINO among it: an import is no part of a fit."""
    import_module("histoclf.networks._tuning")
    if find_spec("openvino"):
        import_module("histoclf.networks._openvino")
