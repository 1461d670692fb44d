"""From the teachers' features to the numbers that the student predicts."""

from __future__ import annotations

import numpy as np
from crops import Crops
from settings import Settings
from sklearn.utils.extmath import randomized_svd
from teachers import choose

_LARGEST = 5.0  # standard deviations; a few channels are silent in almost every crop
_NEAR = 100.0  # pixels on the slide: two patches of breast in each direction
_FEWEST_NEIGHBOURS = 3


def make_targets(
    crops: Crops, features: dict[str, np.ndarray], rows: np.ndarray, settings: Settings
) -> np.ndarray:
    """Compute the array of targets that `Student` describes, for some rows; nothing else is looked at."""
    own = compress(choose(features, settings.teachers), rows, settings.n_targets)
    around, known = neighbourhood(crops, rows, own)
    breast = (crops.source[rows] == "idc").astype("float32")
    facts = np.stack([known, crops.positive[rows], breast, np.zeros(len(rows))], axis=1)
    return np.concatenate([own, around, facts], axis=1).astype("float32")


def compress(parts: list[np.ndarray], rows: np.ndarray, n_targets: int) -> np.ndarray:
    """Standardise every feature, let every layer count the same, and keep the first principal components."""
    columns = []
    for part in parts:
        values = part[rows].astype("float32")
        deviation = np.maximum(values.std(axis=0), 1e-3)
        values = np.clip((values - values.mean(axis=0)) / deviation, -_LARGEST, _LARGEST)
        columns.append(values / np.sqrt(values.shape[1]))
    joined = np.concatenate(columns, axis=1)
    joined -= joined.mean(axis=0)
    left, lengths, _ = randomized_svd(joined, n_targets, n_oversamples=10, n_iter=2, random_state=0)
    components = left * lengths
    return components / np.sqrt(np.mean(components**2))


def neighbourhood(crops: Crops, rows: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the targets of what lies around each crop; whether there is anything around it.

    Around a patch of breast lie those within 100 pixels on the slide, itself left out; around a crop of an
    oral image the other crops of that image.
    """
    around, known = np.zeros_like(own), np.zeros(len(rows), dtype="float32")
    source, group, number, whole = (
        column[rows] for column in (crops.source, crops.group, crops.number, crops.whole)
    )
    for patient in np.unique(group[source == "idc"]):
        mine = np.flatnonzero((source == "idc") & (group == patient))
        full = mine[whole[mine]]
        apart = np.abs(crops.coords[number[mine]][:, None] - crops.coords[number[full]][None]).max(axis=-1)
        near = ((apart > 0) & (apart <= _NEAR)).astype("float32")
        count = near.sum(axis=1)
        around[mine] = near @ own[full] / np.maximum(count, 1)[:, None]
        known[mine] = count >= _FEWEST_NEIGHBOURS
    for image in np.unique(group[source == "oral"]):
        mine = np.flatnonzero((source == "oral") & (group == image))
        around[mine] = (own[mine].sum(axis=0) - own[mine]) / max(len(mine) - 1, 1)
        known[mine] = 1.0
    return around, known
