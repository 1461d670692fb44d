"""Small sets of other tissues: read, split and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _rows import Row
from idc_breast import mean_and_spread
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold

from histoclf import find_patches
from histoclf.io import common_size, load_patches

# Folds of each set; 0 leaves out one field at a time.
TISSUES = {"crc_val_he_sample70": 5, "kather_texture_sample24": 3, "osteosarcoma_sample": 0}
_TILE = 256  # pixels, of a field of 1024


def read_tissue(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode a set: images, class numbers, and the field that each image is from."""
    patches = find_patches(folder)
    images = load_patches(patches.paths, image_size=common_size(patches.paths)).images
    y = np.searchsorted(patches.classes, patches.labels)
    fields = np.arange(len(y))
    if images.shape[1] > 2 * _TILE:
        n, cut = len(images), images.shape[1] // _TILE
        tiles = images[:, : cut * _TILE, : cut * _TILE].reshape(n, cut, _TILE, cut, _TILE, 3)
        images = tiles.swapaxes(2, 3).reshape(-1, _TILE, _TILE, 3)
        y, fields = np.repeat(y, cut**2), np.repeat(fields, cut**2)
    return images, y, fields


def score_tissue(
    row: Row,
    X: dict[str, np.ndarray],
    y: np.ndarray,
    fields: np.ndarray,
    n_folds: int,
    repeat: int,
    params: dict[str, Any],
) -> list[float]:
    """Score once: balanced accuracy, and the mean AUC of each class against the others."""
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=repeat) if n_folds else LeaveOneGroupOut()
    probability = np.empty((len(y), y.max() + 1))
    for train, test in splitter.split(y, y, fields):
        model = row.fit(X, y, None, train, random_state=repeat, **params)
        probability[test] = model.predict_proba(X[row.inputs][test])
    each = [roc_auc_score(y == label, probability[:, label]) for label in range(y.max() + 1)]
    return [float(balanced_accuracy_score(y, probability.argmax(axis=1))), float(np.mean(each))]


def tissue_table(found: dict[str, list[float]], tissue: str) -> list[list[str]]:
    """Make the table of one set: mean and standard deviation over the splits."""
    by_row: dict[str, list[list[float]]] = {}
    for key, values in found.items():
        where, name, _ = key.split("/")
        if where == tissue:
            by_row.setdefault(name, []).append(values)
    return [[name, str(len(values)), *mean_and_spread(values)] for name, values in by_row.items()]
