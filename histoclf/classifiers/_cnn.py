"""A small convolutional network, trained from scratch."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.validation import check_is_fitted

from histoclf._validation import Interval, StrOptions, fit_context
from histoclf.classifiers._base import BaseHistoClassifier, TrainingData
from histoclf.classifiers._spelling import suggest_parameters
from histoclf.preprocessing._augmentation import PRESETS, Augmentation, augmentation_fields

_OPTIMIZERS = {"adam", "adamw", "nadam", "rmsprop", "sgd"}


class HistoCNNClassifier(BaseHistoClassifier):
    """DOC"""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHistoClassifier._parameter_constraints,
        "filters": [tuple, list],
        "normalization": [StrOptions({"group", "batch"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "augmentation": [None, StrOptions(set(PRESETS)), Augmentation],
        "optimizer": [StrOptions(_OPTIMIZERS)],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "learning_rate_schedule": [StrOptions({"constant", "plateau", "cosine"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    @suggest_parameters
    def __init__(
        self,
        *,
        filters: tuple[int, ...] = (24, 32, 64, 64),
        normalization: str = "group",
        dropout: float = 0.3,
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, int, int] | None = None,
        augmentation: str | Augmentation | None = "standard",
        class_weight: dict[Any, float] | str | None = None,
        optimizer: str = "adam",
        learning_rate: float = 2e-3,
        learning_rate_schedule: str = "cosine",
        weight_decay: float = 0.01,
        epochs: int = 30,
        batch_size: int = 64,
        early_stopping: bool = False,
        validation_fraction: float = 0.2,
        n_iter_no_change: int = 8,
        tol: float = 1e-4,
        test_time_augmentation: bool = False,
        warm_start: bool = False,
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.filters = filters
        self.normalization = normalization
        self.dropout = dropout
        self.image_size = image_size
        self.image_shape = image_shape
        self.augmentation = augmentation
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.test_time_augmentation = test_time_augmentation
        self.warm_start = warm_start
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def model_(self) -> Any:
        """Keras model of its own: images in the units of `fit`, at `image_shape_`, in; probabilities out."""
        check_is_fitted(self)
        if not hasattr(self, "_keras_model"):
            contract = self.input_format_.contract
            dtype = "uint8" if self.input_format_.kind == "paths" else "float32"
            model = self._spec().build_for_use(contract.scale, contract.offset, dtype)
            model.set_weights(self._weights)
            self._keras_model = model
        return self._keras_model

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on a batch of samples, at a constant learning rate.

        Parameters
        ----------
        X : array-like
            As in `fit`. The first call learns the units and the size of the images.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur. Required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call.
        """
        resume = self.__sklearn_is_fitted__()
        if not resume and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit: all labels that will occur.")
        return self._run(
            X, y, sample_weight, None, resume=resume, hold_out=False, classes=classes, one_epoch=True
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_weights")

    # -- what the base asks for ------------------------------------------------------------------------------

    def _train(self, data: TrainingData, resume: bool, one_epoch: bool = False) -> None:
        from histoclf.networks._engine import borrow_engine
        from histoclf.networks._training import PatchFeed, train

        with borrow_engine(self._spec()) as engine:
            engine.compile(self.optimizer, float(self.weight_decay))
            engine.model.set_weights(self._weights if resume else engine.initial_weights(data.generator))
            engine.reset_training(data.generator, getattr(self, "_optimizer_state", None))
            feed = PatchFeed(
                data.pixels, data.codes, data.weights, data.train, self.batch_size, data.generator
            )
            result = train(engine, feed, self._plan(data, one_epoch), _validator(engine, data))
            if one_epoch:  # the next call goes on with the optimizer's momentum
                self._optimizer_state = engine.optimizer_state()
        self._learn(result, going_on=resume and one_epoch)

    def _learn(self, result: Any, going_on: bool) -> None:
        earlier = self.history_ if going_on else {}
        self._weights = result.weights
        self.__dict__.pop("_keras_model", None)
        self.history_ = {name: earlier.get(name, []) + values for name, values in result.history.items()}
        self.best_epoch_ = result.best_epoch + len(earlier.get("loss", []))
        self.n_iter_ = len(self.history_["loss"])

    def _logits(self, pixels: np.ndarray) -> np.ndarray:
        from histoclf.networks._engine import borrow_engine

        with borrow_engine(self._spec(), self._weights) as engine:
            return engine.predict(pixels)

    def _plan(self, data: TrainingData, one_epoch: bool) -> Any:
        from histoclf.networks._training import TrainingPlan

        has_validation = len(data.validation) > 0
        return TrainingPlan(
            epochs=1 if one_epoch else self.epochs,
            batch_size=self.batch_size,
            learning_rate=float(self.learning_rate),
            schedule="constant" if one_epoch else self.learning_rate_schedule,
            has_validation=has_validation,
            early_stopping=has_validation,
            patience=self.n_iter_no_change,
            min_delta=float(self.tol),
            verbose=int(self.verbose),
        )

    def _spec(self) -> Any:
        from histoclf.networks._architectures import CNNSpec

        image_format = self.input_format_
        return CNNSpec(
            image_shape=image_format.image_shape,
            n_classes=len(self.classes_),
            filters=_check_filters(self.filters),
            normalization=self.normalization,
            dropout=float(self.dropout),
            augmentation=None if image_format.kind == "table" else augmentation_fields(self.augmentation),
            input_dtype=image_format.contract.pixel_dtype,
        )


def _check_filters(filters: Any) -> tuple[int, ...]:
    if not filters or any(not isinstance(width, Integral) or width < 1 for width in filters):
        raise ValueError(
            f"filters={filters!r}: expected at least one positive whole number, the channels of each convolution."
        )
    return tuple(int(width) for width in filters)


def _validator(engine: Any, data: TrainingData) -> Callable[[], dict[str, float]] | None:
    """Loss (weighted) and balanced accuracy of the held-out part, for the engine's present weights."""
    rows = data.validation
    if not len(rows):
        return None
    codes = data.codes[rows]
    weights = data.weights[rows] if data.weights[rows].sum() > 0 else np.ones(len(rows))

    def evaluate() -> dict[str, float]:
        logits = engine.predict(data.pixels[rows])
        losses = -log_softmax(logits, axis=1)[np.arange(len(rows)), codes]
        score = balanced_accuracy_score(codes, logits.argmax(axis=1))
        return {"val_loss": float(np.average(losses, weights=weights)), "val_score": float(score)}

    return evaluate
