"""The steps of learning that need a network; each loads Keras when it is called."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from histoclf.classifiers._base import TrainingData
from histoclf.classifiers._features import Extractor, Vary
from histoclf.classifiers._held_out import make_evaluator

_LEAST_PATIENCE = 3  # epochs, when n_iter_no_change="auto"

Arrays = list[np.ndarray]


def make_plan(estimator: Any, data: TrainingData, *, epochs: int, **settings: Any) -> Any:
    """Say how to train: what all classifiers have as parameters, and the `settings` of the occasion.

    Parameters
    ----------
    estimator : HistoCNNClassifier or HistoTransferClassifier
        Its parameters count.
    data : TrainingData
        Training stops early where a part is held out.
    epochs : int
        Passes over the training part.
    **settings
        Further fields of `TrainingPlan`.

    Returns
    -------
    plan : TrainingPlan
    """
    from histoclf.networks._training import TrainingPlan

    patience = estimator.n_iter_no_change
    return TrainingPlan(
        epochs=epochs,
        batch_size=estimator.batch_size,
        weight_decay=float(estimator.weight_decay),
        early_stopping=len(data.validation) > 0,
        patience=max(_LEAST_PATIENCE, epochs // 4) if patience == "auto" else int(patience),
        min_delta=float(estimator.tol),
        verbose=int(estimator.verbose),
        **settings,
    )


def train_network(
    spec: Any, start: Arrays | None, data: TrainingData, plan: Any, momentum: Arrays | None = None
) -> tuple[Any, Arrays]:
    """Train a network.

    Parameters
    ----------
    spec : CNNSpec, HeadSpec or TunedSpec
        The network.
    start : list of ndarray or None
        Its weights; None draws them.
    data : TrainingData
        Its `pixels` are what the network is fed.
    plan : TrainingPlan
        How to train.
    momentum : list of ndarray, default=None
        What the optimizer remembers of an earlier training.

    Returns
    -------
    result : TrainingResult
        Weights and history.
    momentum : list of ndarray
        What the optimizer remembers of this one.
    """
    from histoclf.networks._backbones import load_into
    from histoclf.networks._engine import borrow_engine
    from histoclf.networks._training import PatchFeed, train
    from histoclf.networks._tuning import learning_rates

    with borrow_engine(spec) as engine:
        rates = None if plan.layer_decay == 1 else learning_rates(engine.model, plan.layer_decay)
        engine.compile(plan.optimizer, plan.weight_decay, rates)
        load_into(engine.model, engine.initial_weights(data.generator) if start is None else start)
        engine.reset_training(data.generator, momentum)
        weights = data.relative_weights
        feed = PatchFeed(data.pixels, data.codes, weights, data.train, plan.batch_size, data.generator)
        result = train(engine, feed, plan, make_evaluator(engine, data))
        return result, engine.optimizer_state()


def score_network(spec: Any, weights: Arrays, data: TrainingData) -> dict[str, float] | None:
    """Compute loss and score of the held-out part, if there is one."""
    from histoclf.networks._engine import borrow_engine

    with borrow_engine(spec, weights) as engine:
        evaluate = make_evaluator(engine, data)
        return evaluate() if evaluate else None


def predict_network(spec: Any, weights: Arrays, inputs: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Compute the logits of (some rows of) what the network is fed."""
    from histoclf.networks._engine import borrow_engine

    with borrow_engine(spec, weights) as engine:
        return engine.predict(inputs, rows)


def initial_head(spec: Any, mean: np.ndarray, scale: np.ndarray, generator: np.random.Generator) -> Arrays:
    """Draw the weights of a head by itself, with the standardisation of its embeddings set."""
    from histoclf.networks._engine import borrow_engine

    with borrow_engine(spec) as engine:
        drawn = engine.initial_weights(generator)
    return [mean.astype("float32"), scale.astype("float32"), *drawn[2:]]


def resolve_layers(fine_tune_layers: Any, backbone: Any) -> int:
    """Turn a number, a share or "all" into a number of layers.

    Raises
    ------
    ValueError
        If the backbone has fewer.
    """
    n_layers = _count_layers(backbone)
    if fine_tune_layers == "all":
        return n_layers
    if isinstance(fine_tune_layers, float) and fine_tune_layers < 1:
        return max(1, round(fine_tune_layers * n_layers))
    if fine_tune_layers > n_layers:
        raise ValueError(
            f"fine_tune_layers={fine_tune_layers}, but backbone {backbone.describe()} has {n_layers} layers "
            "with a kernel. Expected at most that many, a share of them in (0, 1), or 'all'."
        )
    return int(fine_tune_layers)


@cache
def _count_layers(backbone: Any) -> int:
    from histoclf.networks._runtime import python_random_kept
    from histoclf.networks._tuning import count_layers

    with python_random_kept():
        return count_layers(backbone)


def make_variation(fields: tuple[tuple[str, Any], ...], seed: int, number: int) -> tuple[str, Vary]:
    """Return name and function of the `number`-th way to change each image."""

    def vary(pixels: np.ndarray, keys: list[bytes]) -> np.ndarray:
        from histoclf.networks._augment import augment_by_content

        return augment_by_content(pixels, dict(fields), keys, seed + number)

    return f"{fields} {seed} {number}", vary


def build_for_use(spec: Any, extractor: Extractor, weights: Arrays) -> Any:
    """Build the network that is handed out: images in the user's units in, probabilities out."""
    from histoclf.networks._backbones import load_into
    from histoclf.networks._runtime import python_random_kept

    contract = extractor.image_format.contract
    dtype = "uint8" if extractor.image_format.kind == "paths" else "float32"
    with python_random_kept():
        model = replace(spec, augmentation=None).build_for_use(contract.scale, contract.offset, dtype)
    load_into(model, weights)
    return model
