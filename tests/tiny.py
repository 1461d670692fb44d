"""Pictures that tiny networks tell apart in a second, and those networks."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from histoclf import HistoCNNClassifier, HistoEmbedder, HistoTransferClassifier

LABELS = np.array(["coarse", "fine"])


class Named:
    """A function whose repr is its name: scikit-learn writes parameters into the ids of its checks, and an
    address there is another one in each process, so that pytest-xdist refuses to run them.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        return self.__name__

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled, and copied, by its name, as functions are


def textures(n: int = 64, *, size: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Fine and coarse noise in random colours, by turns: images (n, size, size, 3), uint8, and labels."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    for image, code in zip(images, codes, strict=True):
        cell = (4, 1)[code]
        coins = np.kron(rng.random((size // cell, size // cell)) < 0.5, np.ones((cell, cell), dtype=bool))
        image[:] = np.where(coins[..., None], rng.integers(150, 256, 3), rng.integers(0, 100, 3))
    images[0, 0, 0], images[0, 0, 1] = 0, 255  # the full range, as slides have it
    return images, LABELS[codes]


def tiny_cnn(**params: Any) -> HistoCNNClassifier:
    """A network that learns `textures` in a few steps; one set of shapes, so that its engine is reused."""
    defaults = {
        "filters": (8, 16),
        "dropout": 0.1,
        "epochs": 6,
        "batch_size": 4,
        "learning_rate": 0.01,
        "augmentation": None,
        "class_weight": None,
        "n_iter_no_change": 10,
        "random_state": 0,
    }
    return HistoCNNClassifier(**(defaults | params))


@Named
def tiny_backbone(input_shape: tuple[Any, Any, int] = (None, None, 3), depth: int = 8, seed: int = 1) -> Any:
    """Build a network with what makes real ones hard, whose features tell `textures` apart as drawn."""
    import keras  # only those who ask for a network wait for it

    def start(number: int) -> Any:
        return keras.initializers.HeNormal(seed=seed + number)

    images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    x = keras.layers.Conv2D(depth, 3, strides=2, padding="same", kernel_initializer=start(0))(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(depth, 3, strides=2, padding="same", kernel_initializer=start(1))(x)
    return keras.Model(images, x, name="tiny")


def tiny_transfer(**params: Any) -> HistoTransferClassifier:
    """A frozen network that tells `textures` apart at once, at their own size."""
    defaults = {
        "backbone": tiny_backbone,
        "image_size": 16,
        "C": 1.0,
        "class_weight": None,
        "augmentation": None,
        "engine": "keras",
        "random_state": 0,
    }
    return HistoTransferClassifier(**(defaults | params))


def tiny_embedder(**params: Any) -> HistoEmbedder:
    """The embeddings of `tiny_transfer`."""
    defaults = {"backbone": tiny_backbone, "image_size": 16, "engine": "keras", "random_state": 0}
    return HistoEmbedder(**(defaults | params))
