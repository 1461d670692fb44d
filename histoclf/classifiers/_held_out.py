"""How good the network is on the held-out part, between epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import balanced_accuracy_score

from histoclf.classifiers._base import TrainingData


def make_evaluator(engine: Any, data: TrainingData) -> Callable[[], dict[str, float]] | None:
    """Return what computes weighted loss and balanced accuracy of the held-out part, if there is one."""
    rows = data.validation
    if not len(rows):
        return None
    codes = data.codes[rows]
    weights = data.weights[rows] if data.weights[rows].sum() > 0 else np.ones(len(rows))

    def evaluate() -> dict[str, float]:
        logits = engine.predict(data.pixels, rows)
        losses = -log_softmax(logits, axis=1)[np.arange(len(rows)), codes]
        score = balanced_accuracy_score(codes, logits.argmax(axis=1))
        return {"val_loss": float(np.average(losses, weights=weights)), "val_score": float(score)}

    return evaluate
