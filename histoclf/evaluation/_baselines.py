"""What a classifier is compared with: logistic regressions on shortcuts, and a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from histoclf.classifiers._metadata import takes
from histoclf.classifiers._slide_context import SlideContextClassifier
from histoclf.evaluation._shortcuts import COLOUR

MAJORITY_NAME = "majority class"


@dataclass(frozen=True)
class Rival:
    """A classifier and the table that it learns from."""

    estimator: Any
    table: np.ndarray


def shortcut_classifier() -> Pipeline:
    """Make the smallest classifier that a network has to beat."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))


def looks_at_neighbours(estimator: Any) -> bool:
    """Whether the answer for a patch depends on those around it."""
    return takes(estimator, "fit", "coords") or _find_context(estimator) is not None


def make_rivals(estimator: Any, tables: dict[str, np.ndarray]) -> dict[str, Rival]:
    """Make what a classifier is compared with; with the same context, if it has that of the slide."""
    plain = {name: Rival(shortcut_classifier(), table) for name, table in tables.items()}
    if not looks_at_neighbours(estimator):
        return plain
    context = clone(_find_context(estimator) or SlideContextClassifier(None, random_state=0))
    # No neighbours' colours as features: on unseen patients they make colours worse, a rival of straw.
    context.set_params(estimator=shortcut_classifier(), neighbour_features=False, verbose=0)
    rivals = {f"{name} with context": Rival(context, table) for name, table in tables.items()}
    return rivals | {name: rival for name, rival in plain.items() if name == COLOUR}


def constant_answer(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Answer every patch with the shares of the classes, the best that can be said without a look."""
    return np.tile(np.bincount(codes, minlength=n_classes) / len(codes), (len(codes), 1))


def _find_context(estimator: Any) -> SlideContextClassifier | None:
    """Find the part that looks at neighbours, in a pipeline too."""
    parts = [estimator, *estimator.get_params().values()]
    return next((part for part in parts if isinstance(part, SlideContextClassifier)), None)
