"""Pictures that a tiny network tells apart in a second, and that network."""

from typing import Any

import numpy as np

from histoclf import HistoCNNClassifier

LABELS = np.array(["coarse", "fine"])


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
        "epochs": 4,
        "batch_size": 4,
        "learning_rate": 0.01,
        "augmentation": None,
        "class_weight": None,
        "n_iter_no_change": 10,
        "random_state": 0,
    }
    return HistoCNNClassifier(**(defaults | params))
