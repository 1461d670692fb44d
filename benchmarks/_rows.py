"""The rows of the table of `histology_backbone.py`: classifiers, by what they look at."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from histoclf import HistoCNNClassifier, HistoTransferClassifier
from histoclf.evaluation._baselines import shortcut_classifier
from histoclf.evaluation._shortcuts import COLOUR, HISTOGRAM, find_shortcuts

OURS, RANDOM, SCRATCH = "histology", "histology, random weights", "HistoCNNClassifier from scratch"
IMAGENET = {
    "ImageNet MobileNet 0.25": {"backbone": "mobilenet", "backbone_params": {"alpha": 0.25}},
    "ImageNet MobileNet 0.5": {"backbone": "mobilenet", "backbone_params": {"alpha": 0.5}},
    "ImageNet MobileNet 1.0": {"backbone": "mobilenet"},
    "ImageNet MobileNetV2 0.35": {"backbone": "mobilenet_v2", "backbone_params": {"alpha": 0.35}},
    "ImageNet MobileNetV2 1.0": {"backbone": "mobilenet_v2"},
}
# Other ways to use our network, among which the defaults are chosen.
VARIANTS: dict[str, dict[str, Any]] = {
    "histology, eight views": {"test_time_augmentation": True},
    "histology, avg+max": {"pooling": "avg+max"},
    "histology, haematoxylin": {"channels": "haematoxylin"},
    "histology, rgb": {"channels": "rgb"},
    "histology, 48 pixels": {"image_size": 48},
    "histology, 64 pixels": {"image_size": 64},
    "histology, 96 pixels": {"image_size": 96},
    "histology, C=0.0001": {"C": 1e-4},
    "histology, C=0.001": {"C": 1e-3},
    "histology, haematoxylin, C=0.0001": {"channels": "haematoxylin", "C": 1e-4},
    "histology, haematoxylin, 96 pixels": {"channels": "haematoxylin", "image_size": 96},
    "histology, haematoxylin, last layer": {"channels": "haematoxylin", "layers": None},
    "histology, last layer": {"layers": None},
    "histology, MLP": {"head": "mlp"},
}


@dataclass(frozen=True)
class Row:
    """One row: what it is called, what it is fitted to, and the classifier.

    Attributes
    ----------
    name : str
        Of the row.
    inputs : str
        "images", or the name of a shortcut.
    estimator : object
        Not fitted.
    random : bool
        Whether it differs from seed to seed on the same patches.
    """

    name: str
    inputs: str
    estimator: Any
    random: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it has our weights."""
        return self.name == OURS or self.name in VARIANTS

    def fit(
        self,
        X: Mapping[str, np.ndarray],
        y: np.ndarray,
        patients: np.ndarray | None,
        rows: np.ndarray,
        **params: Any,
    ) -> Any:
        """Fit to some rows; a parameter that the classifier does not have is not for it."""
        estimator = clone(self.estimator)
        estimator.set_params(**{key: value for key, value in params.items() if key in estimator.get_params()})
        groups = {}
        if patients is not None and "groups" in inspect.signature(estimator.fit).parameters:
            groups["groups"] = patients[rows]
        return estimator.fit(X[self.inputs][rows], y[rows], **groups)


def make_rows(wanted: str, memory: str | None, variants: bool) -> list[Row]:
    """List the rows whose names a regular expression finds."""
    frozen = HistoTransferClassifier("histology", memory=memory)
    rows = [
        Row(COLOUR, COLOUR, shortcut_classifier()),
        Row(HISTOGRAM, HISTOGRAM, shortcut_classifier()),
        *(Row(name, "images", clone(frozen).set_params(**params)) for name, params in IMAGENET.items()),
        Row(RANDOM, "images", clone(frozen).set_params(weights=None), random=True),
        Row(OURS, "images", frozen),
        Row(SCRATCH, "images", HistoCNNClassifier(), random=True),
    ]
    if variants:
        rows += [
            Row(name, "images", clone(frozen).set_params(**params), random="head" in params)
            for name, params in VARIANTS.items()
        ]
    return [row for row in rows if re.search(wanted, row.name)]


def make_inputs(images: np.ndarray) -> dict[str, np.ndarray]:
    """Compute what the rows are fitted to."""
    found = find_shortcuts(images, (COLOUR, HISTOGRAM), image_shape=None, sites=None, verbose=0)
    return {"images": images, **found.tables}
