"""How a transfer classifier learns: a head on frozen features, then perhaps the last layers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from histoclf._seeding import draw_seed, make_generator
from histoclf.classifiers._axes import standardisation
from histoclf.classifiers._base import BaseHistoClassifier, TrainingData
from histoclf.classifiers._embedder import embeddings_of_table
from histoclf.classifiers._features import (
    BackboneHolder,
    Extractor,
    open_with_backbone,
    pool,
)
from histoclf.classifiers._head import LinearHead, solve_head
from histoclf.classifiers._reading import InputFormat, open_again
from histoclf.classifiers._sources import ImageSource, ReadImages
from histoclf.classifiers._stages import (
    initial_head,
    make_plan,
    make_variation,
    predict_network,
    resolve_layers,
    score_network,
    train_network,
)
from histoclf.preprocessing._augmentation import augmentation_fields

_EPOCHS = {"mlp": 100, "tuned": 10}  # what epochs="auto" means
_AUTO_C, _LEAST_C = 0.3, 1e-5  # C="auto": the first for all samples together, the second for each
_MLP_RATE = 1e-3  # learning rate of head="mlp" while the backbone is frozen


@dataclass(frozen=True)
class Embedded:
    """What a frozen backbone makes of images, and where to find these.

    Attributes
    ----------
    embeddings : ndarray of shape (n_kept, n_features)
        One row per readable image.
    source : ImageSource
        All images.
    kept : ndarray of shape (n_kept,), int
        Which of them are readable.
    """

    embeddings: np.ndarray
    source: ImageSource
    kept: np.ndarray

    def some(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows of the embeddings; all of them are not copied, for they may be many."""
        if np.array_equal(rows, np.arange(len(self.embeddings))):
            return self.embeddings
        return self.embeddings[rows]

    def pixels(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Read (some rows of) the images in 0-255."""
        return self.source.read(self.kept if rows is None else self.kept[rows]).pixels


class TwoStageClassifier(BackboneHolder, BaseHistoClassifier):
    """What is behind `HistoTransferClassifier`, whose parameters it reads."""

    _extractor: Extractor | None
    _architecture: dict[str, Any]
    _linear: LinearHead
    _head_weights: list[np.ndarray]
    _tuned_weights: list[np.ndarray]

    history_: dict[str, list[float]]
    _PRIVATE_STATE: ClassVar[tuple[str, ...]] = (
        "_extractor",
        "_architecture",
        "_linear",
        "_head_weights",
        "_tuned_weights",
        "_keras_model",
    )

    # -- what the base asks for ------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_linear") or hasattr(self, "_head_weights")

    def _holds_out(self) -> bool:
        return bool(self.early_stopping and (self.fine_tune_layers or self.head == "mlp"))

    def _open(self, X: Any, resume: bool) -> tuple[InputFormat, ImageSource]:
        if resume:
            image_format, source = self.input_format_, open_again(self, X, self.input_format_)
        else:
            image_format, source, self._extractor = open_with_backbone(self, X, "auto")
        if not hasattr(self, "_tuned_weights"):
            self._architecture = self._decide(image_format)
        return image_format, source

    def _take_in(self, source: ImageSource, on_error: str) -> ReadImages:
        """Embed everything at once, unless a fine-tuned network wants to see the pixels."""
        if hasattr(self, "_tuned_weights"):
            return source.read()
        if self._extractor is None:
            rows = np.arange(len(source))
            return ReadImages(Embedded(embeddings_of_table(source), source, rows), rows, {})
        records = self._extractor.records(
            source,
            flips=self._architecture["flips"],
            memory=self.memory,
            on_error=on_error,
            verbose=int(self.verbose),
        )
        embeddings = (
            pool(records.pixels, self._architecture["pooling"]) if len(records.kept) else records.pixels
        )
        return replace(records, pixels=Embedded(embeddings, source, records.kept))

    def _train(self, data: TrainingData, resume: bool, one_epoch: bool) -> None:
        self.__dict__.pop("_keras_model", None)
        if hasattr(self, "_tuned_weights"):
            self._fine_tune(data, self._tuned_weights)
            return
        for name in ("_linear", "_head_weights", "C_"):  # a warm start may be with another head
            self.__dict__.pop(name, None)
        self.history_ = {}
        if self.head == "mlp":
            self._train_mlp(data)
        else:
            self._solve(data, data.train)
        if self._architecture["n_layers"]:
            embedded: Any = data.pixels
            self._fine_tune(replace(data, pixels=embedded.pixels()), self._all_weights())
            if not self.fine_tuned_ and self.head == "logistic":
                self._solve(data, np.union1d(data.train, data.validation))  # nothing is left to be stopped

    def _logits(self, images: Any, rows: np.ndarray | None = None) -> np.ndarray:
        if not isinstance(images, Embedded):
            return predict_network(self._network(), self._tuned_weights, images, rows)
        if hasattr(self, "_tuned_weights"):
            return predict_network(self._network(), self._tuned_weights, images.pixels(rows), None)
        embeddings = images.embeddings if rows is None else images.embeddings[rows]
        if hasattr(self, "_linear"):
            return self._linear.logits(embeddings)
        return predict_network(self._head_network(embeddings.shape[1]), self._head_weights, embeddings, None)

    def _whole_network(self) -> tuple[Any, list[np.ndarray]]:
        if self._extractor is None or self._extractor.backbone.kind == "onnx":
            raise ValueError(
                "There is no Keras network of an ONNX file or of ready-made embeddings, so nothing is known "
                "of its places. Expected images and a Keras backbone."
            )
        return self._network(), self._all_weights()

    def _averaged_logits(self, images: Any) -> np.ndarray:
        # Embeddings are averages already.
        return self._logits(images) if isinstance(images, Embedded) else super()._averaged_logits(images)

    # -- the two stages --------------------------------------------------------------------------------------

    def _decide(self, image_format: InputFormat) -> dict[str, Any]:
        """Fix, with the fit, what later changes of parameters must not change."""
        tuned = self.fine_tune_layers != 0
        if tuned and (self._extractor is None or self._extractor.backbone.kind == "onnx"):
            raise ValueError(
                f"fine_tune_layers={self.fine_tune_layers!r} needs images and a Keras backbone, but X holds "
                "ready-made embeddings or the backbone is an ONNX file. Expected fine_tune_layers=0."
            )
        if self.augmented_copies and (self._extractor is None or self.augmentation is None):
            raise ValueError(
                f"augmented_copies={self.augmented_copies} needs images and an augmentation. Expected "
                "augmented_copies=0, or an augmentation and images instead of ready-made embeddings."
            )
        return {
            "pooling": self.pooling,
            "flips": bool(self.test_time_augmentation),
            "hidden_units": int(self.hidden_units) if self.head == "mlp" else 0,
            "n_layers": resolve_layers(self.fine_tune_layers, self._used().backbone) if tuned else 0,
        }

    def _solve(self, data: TrainingData, rows: np.ndarray) -> None:
        """Solve the logistic regression on some rows."""
        embeddings, codes, weights = self._with_copies(data, rows)
        self.C_ = self._strength(weights)
        head = solve_head(embeddings, codes, weights, len(self.classes_), self.C_)
        if not head.converged:
            warnings.warn(
                f"The logistic regression was not solved to the optimum in {head.n_iter} steps. Its answers "
                f"are near it; a smaller C (now {self.C_:.3g}) is solved faster.",
                ConvergenceWarning,
                stacklevel=6,  # the line that called fit
            )
        self._linear, self.n_iter_, self.best_epoch_ = head, head.n_iter, 0

    def _strength(self, weights: np.ndarray) -> float:
        if self.C == "auto":
            return max(_AUTO_C / float(weights.sum(dtype="float64")), _LEAST_C)
        return float(self.C)

    def _with_copies(self, data: TrainingData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return embeddings, codes and weights of some rows and changed copies, which share the weight."""
        embedded: Any = data.pixels
        if not self.augmented_copies:
            return embedded.some(rows), data.codes[rows], data.weights[rows]
        copies = self._embed_copies(embedded, rows)
        n_views = 1 + len(copies)
        return (
            np.concatenate([embedded.embeddings[rows], *copies]),
            np.tile(data.codes[rows], n_views),
            np.tile(data.weights[rows] / n_views, n_views),
        )

    def _embed_copies(self, embedded: Embedded, rows: np.ndarray) -> list[np.ndarray]:
        """Embed changed copies, each drawn by the image's content, so that the cache knows them."""
        fields = augmentation_fields(self.augmentation) or ()
        seed, copies = draw_seed(make_generator(self.random_state)), []
        for number in range(self.augmented_copies):
            variation = make_variation(fields, seed, number)
            records = self._used().records(
                embedded.source,
                rows=embedded.kept[rows],
                flips=self._architecture["flips"],
                variation=variation,
                memory=self.memory,
                verbose=int(self.verbose),
            )
            copies.append(pool(records.pixels, self._architecture["pooling"]))
        return copies

    def _train_mlp(self, data: TrainingData) -> None:
        embedded: Any = data.pixels
        embeddings, codes, weights = self._with_copies(data, data.train)
        held_out = data.validation
        data = replace(
            data,
            pixels=np.concatenate([embeddings, embedded.embeddings[held_out]]),
            codes=np.concatenate([codes, data.codes[held_out]]),
            weights=np.concatenate([weights, data.weights[held_out]]),
            train=np.arange(len(codes)),
            validation=len(codes) + np.arange(len(held_out)),
        )
        mean, scale = standardisation(embeddings, np.full(len(embeddings), 1 / len(embeddings)))
        network = self._head_network(embeddings.shape[1])
        start = initial_head(network, mean, scale, data.generator)
        plan = self._plan(data, "mlp", learning_rate=_MLP_RATE)
        result, _ = train_network(network, start, data, plan)
        self._head_weights = result.weights
        self._keep_history(result)

    def _fine_tune(self, data: TrainingData, start: list[np.ndarray]) -> None:
        """Train the last layers along; the outcome is kept if the held-out part says that it is better."""
        rates = {"learning_rate": float(self.learning_rate), "layer_decay": float(self.layer_decay)}
        before = score_network(self._network(), start, data)
        result, _ = train_network(self._network(), start, data, self._plan(data, "tuned", **rates))
        self._keep_history(result)
        if before is not None:
            self.start_score_ = before
            if result.history["val_loss"][result.best_epoch - 1] > before["val_loss"] - self.tol:
                self.best_epoch_ = 0
                self._say("fine-tuning did not improve the held-out loss: the backbone stays as it was")
                return
        self._tuned_weights = result.weights
        self._extractor = replace(self._used(), weights=[])  # they are among the tuned ones

    def _keep_history(self, result: Any) -> None:
        self.history_, self.best_epoch_ = result.history, result.best_epoch
        self.n_iter_ = len(result.history["loss"])

    def _network(self) -> Any:
        """Describe backbone and head as one network."""
        from histoclf.networks._tuning import TunedSpec

        image_format = self.input_format_
        return TunedSpec(
            backbone=self._used().backbone,
            head=self._head(),
            image_shape=image_format.image_shape,
            input_dtype=image_format.contract.pixel_dtype,
            pooling=self._architecture["pooling"],
            n_layers=self._architecture["n_layers"],
            augmentation=augmentation_fields(self.augmentation),
        )

    def _head_network(self, n_features: int) -> Any:
        """Describe the head as a network by itself."""
        from histoclf.networks._tuning import HeadSpec

        return HeadSpec(n_features, self._head())

    def _head(self) -> Any:
        from histoclf.networks._tuning import Head

        return Head(len(self.classes_), self._architecture["hidden_units"], float(self.dropout))

    def _all_weights(self) -> list[np.ndarray]:
        """Weights of the whole network, in the order of `_network`."""
        if hasattr(self, "_tuned_weights"):
            return self._tuned_weights
        return [*self._used().weights, *self._weights_of_head()]

    def _used(self) -> Extractor:
        assert self._extractor is not None, "only images have a backbone"
        return self._extractor

    def _weights_of_head(self) -> list[np.ndarray]:
        if hasattr(self, "_head_weights"):
            return self._head_weights
        head = self._linear
        arrays = (head.mean, head.scale, head.standardised_coef.T, head.standardised_intercept)
        return [np.asarray(array, dtype="float32") for array in arrays]

    def _plan(self, data: TrainingData, stage: str, **settings: Any) -> Any:
        epochs = _EPOCHS[stage] if self.epochs == "auto" else int(self.epochs)
        return make_plan(self, data, epochs=epochs, optimizer="adam", schedule="cosine", **settings)
