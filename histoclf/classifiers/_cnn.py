"""A small convolutional network, trained from scratch."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from histoclf._validation import Interval, StrOptions, fit_context
from histoclf.classifiers._base import BaseHistoClassifier, TrainingData
from histoclf.classifiers._spelling import suggest_parameters
from histoclf.classifiers._stages import make_plan, predict_network, train_network
from histoclf.preprocessing._augmentation import PRESETS, Augmentation, augmentation_fields

_EPOCHS, _MOST_EPOCHS, _STEPS = 30, 150, 1000  # what epochs="auto" means
_OPTIMIZERS = {"adam", "adamw", "nadam", "rmsprop", "sgd"}


class HistoCNNClassifier(BaseHistoClassifier):
    """Small convolutional network for histology patches, trained from scratch.

    Every second convolution, from the first (5 x 5) on, halves the resolution; the others are 3 x 3. Each is
    followed by a normalisation and a rectifier, the last one by global average pooling, dropout and a
    softmax. Images enter as optical density, in which stains add up [1]_. Scaling happens once, inside the
    network.

    Parameters
    ----------
    filters : tuple of int, default=(24, 32, 64, 64)
        Channels of each convolution; the length is the depth.
    normalization : {"group", "batch"}, default="group"
        Group normalisation [2]_ with eight groups, which looks at one image only, or batch normalisation,
        which ties the network to the colours of the patients it was trained on.
    dropout : float, default=0.3
        Share of pooled features dropped in training, in ``[0, 1)``.
    image_size : int or tuple of (int, int), default=None
        Side, or height and width, in pixels to which images are resized. None keeps the size of the images
        (of files, the most frequent one), reduced to at most 96 pixels on the longer side.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of the images whose flattened pixels are the rows of a 2-D X. None takes
        rows of a 2-D X as a 1 x n_features picture with one channel, for tables of numbers.
    augmentation : {"flips", "standard", "strong"}, Augmentation or None, default="standard"
        Random changes of the training images.
    class_weight : dict, "balanced" or None, default="balanced"
        Weight of each class by label; "balanced" is inverse to the frequency in the training part. It is the
        default because how often a class occurs among patches says how they were cut, not how often it occurs
        among patients. None leaves probabilities as frequent as the training labels.
    optimizer : {"adam", "adamw", "nadam", "rmsprop", "sgd"}, default="adam"
        Name of a Keras optimizer.
    learning_rate : float, default=0.002
        Highest learning rate.
    learning_rate_schedule : {"constant", "plateau", "cosine"}, default="cosine"
        "cosine" rises linearly over the first 5 % of all steps and falls to zero along half a cosine
        [3]_. "plateau" divides the rate by ten when the validation loss (or, without one, the training loss)
        has not improved for half of `n_iter_no_change` epochs.
    weight_decay : float, default=0.01
        Decoupled decay of the kernels, times the learning rate in every step [4]_.
    epochs : int or "auto", default="auto"
        Passes over the training part. "auto" makes 30, or with few images as many more as give 1000 steps, at
        most 150.
    batch_size : int, default=64
        Images per step, at most.
    early_stopping : bool, default=False
        Hold out a part of the training data, stop when the loss there no longer improves, and keep the
        weights of the best epoch.
    validation_fraction : float, default=0.2
        Share of samples to hold out, in ``(0, 1)``. Only with `early_stopping`.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement before stopping; "auto" is a quarter of all epochs, at least 3. Only with
        `early_stopping`.
    tol : float, default=1e-4
        Smallest change of the loss that is an improvement.
    test_time_augmentation : bool, default=False
        Average the predictions over the eight flips and turns (four if not square); takes eight times as
        long.
    warm_start : bool, default=False
        Let `fit` go on from the weights of the last fit instead of new ones.
    on_error : {"raise", "skip"}, default="raise"
        What `fit` does with files that cannot be decoded. "skip" leaves them out, warns and counts them in
        `n_skipped_`. `predict` always raises, since every row needs an answer.
    n_jobs : int, default=None
        Threads that decode files. None takes every core, or a worker's share of them in a parallel search.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, order, augmentation, dropout and the validation part. Two fits with the same int on
        the same machine, with the same number of threads, are bit-identical. None takes fresh entropy; the
        global random streams are neither read nor moved.
    verbose : int, default=0
        1 says what was understood and shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of the columns of `predict_proba`.
    n_features_in_ : int
        Numbers per sample: columns of a 2-D X, height x width x channels of images, 1 for paths.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, if X was a DataFrame of numbers.
    image_shape_ : tuple of (int, int, int)
        Height, width and channels that the network sees.
    input_format_ : InputFormat
        What X was understood to be: kind, shape and units.
    model_ : keras.Model
        The network by itself: images in the units of `fit` at `image_shape_` in, probabilities out.
    history_ : dict of str to list of float
        Per epoch: ``loss``, ``learning_rate`` and, with `early_stopping`, ``val_loss`` and ``val_score``
        (balanced accuracy).
    n_iter_ : int
        Number of epochs run.
    best_epoch_ : int
        Epoch, counted from 1, whose weights are kept.
    validation_indices_ : ndarray of int
        Rows of X that were held out; empty without `early_stopping`.
    groups_source_ : str
        Where the patients of the held-out part were known from: "groups", the naming convention of the files,
        or "unknown".
    n_skipped_ : int
        Number of files left out under ``on_error="skip"``.
    training_data_ : dict
        Number of patches and patients, patches of each class, and a hash over the contents of the images, for
        the model card.

    Warns
    -----
    CollapsedModelWarning
        If the fitted network answers one class only, or is no better than the majority class, on the held-out
        part (on the training part if none was held out).

    See Also
    --------
    Augmentation : What happens to training images.
    evaluate : Honest numbers, beside trivial baselines.
    find_patches : Paths, labels and patients of a folder.

    Notes
    -----
    Images of files are kept in memory, resized and as 8-bit integers, up to ``working_memory`` of
    :func:`sklearn.set_config` (1024 MiB unless changed), and in a temporary file beyond it.

    References
    ----------
    .. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color
       deconvolution",
       Analytical and Quantitative Cytology and Histology 23 (2001), 291-299.
    .. [2] Y. Wu and K. He, "Group normalization", ECCV 2018.
    .. [3] I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017.
    .. [4] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> from histoclf import HistoCNNClassifier, make_patches
    >>> patches = make_patches(n_patients=4, patches_per_patient=20, image_size=24, random_state=0)
    >>> clf = HistoCNNClassifier(filters=(8, 16), batch_size=16, epochs=20, random_state=0)
    >>> clf.fit(patches.images, patches.labels).predict_proba(patches.images[:1]).shape
    (1, 2)
    """

    history_: dict[str, list[float]]
    _weights: list[np.ndarray]
    _architecture: tuple[tuple[int, ...], str]  # of the fit: parameters may be set anew after it

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
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
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
        class_weight: dict[Any, float] | str | None = "balanced",
        optimizer: str = "adam",
        learning_rate: float = 2e-3,
        learning_rate_schedule: str = "cosine",
        weight_decay: float = 0.01,
        epochs: int | str = "auto",
        batch_size: int = 64,
        early_stopping: bool = False,
        validation_fraction: float = 0.2,
        n_iter_no_change: int | str = "auto",
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
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels that will occur."
            )
        return self._run(
            X, y, sample_weight, None, resume=resume, hold_out=False, classes=classes, one_epoch=True
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_weights")

    # -- what the base asks for ------------------------------------------------------------------------------

    def _train(self, data: TrainingData, resume: bool, one_epoch: bool) -> None:
        architecture = (_check_filters(self.filters), self.normalization)
        if resume and architecture != self._architecture:
            raise ValueError(
                f"filters={architecture[0]}, normalization={architecture[1]!r}: fit would go on with the "
                f"weights of a network with filters={self._architecture[0]}, "
                f"normalization={self._architecture[1]!r}. Expected the same, or warm_start=False."
            )
        self._architecture = architecture
        start, momentum = self._weights if resume else None, self._momentum() if one_epoch else None
        result, momentum = train_network(self._spec(), start, data, self._plan(data, one_epoch), momentum)
        self._optimizer_state = (self.optimizer, momentum if one_epoch else None)
        self._learn(result, going_on=resume and one_epoch)

    def _momentum(self) -> list[np.ndarray] | None:
        """Return what the optimizer remembers of the last `partial_fit`; another one remembers nothing."""
        optimizer, state = getattr(self, "_optimizer_state", (None, None))
        return state if optimizer == self.optimizer else None

    def _learn(self, result: Any, going_on: bool) -> None:
        earlier = self.history_ if going_on else {}
        self._weights = result.weights
        self.__dict__.pop("_keras_model", None)
        self.history_ = {name: earlier.get(name, []) + values for name, values in result.history.items()}
        self.best_epoch_ = result.best_epoch + len(earlier.get("loss", []))
        self.n_iter_ = len(self.history_["loss"])

    def _logits(self, pixels: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        return predict_network(self._spec(), self._weights, pixels, rows)

    def _whole_network(self) -> tuple[Any, list[np.ndarray]]:
        if self.input_format_.kind == "table":
            raise ValueError(
                "This classifier was fitted on rows of numbers, which have no places. Expected images, or "
                "flattened images with image_shape=(height, width, channels)."
            )
        return self._spec(), self._weights

    def _plan(self, data: TrainingData, one_epoch: bool) -> Any:
        return make_plan(
            self,
            data,
            epochs=1 if one_epoch else self._n_epochs(len(data.train)),
            optimizer=self.optimizer,
            learning_rate=float(self.learning_rate),
            schedule="constant" if one_epoch else self.learning_rate_schedule,
        )

    def _n_epochs(self, n_samples: int) -> int:
        if self.epochs != "auto":
            return int(self.epochs)
        steps = math.ceil(n_samples / self.batch_size)
        return max(_EPOCHS, min(_MOST_EPOCHS, math.ceil(_STEPS / steps)))

    def _spec(self) -> Any:
        from histoclf.networks._architectures import CNNSpec

        image_format = self.input_format_
        return CNNSpec(
            image_shape=image_format.image_shape,
            n_classes=len(self.classes_),
            filters=self._architecture[0],
            normalization=self._architecture[1],
            dropout=float(self.dropout),
            augmentation=None if image_format.kind == "table" else augmentation_fields(self.augmentation),
            input_dtype=image_format.contract.pixel_dtype,
        )


def _check_filters(filters: Any) -> tuple[int, ...]:
    if not filters or any(not isinstance(width, Integral) or width < 1 for width in filters):
        raise ValueError(
            f"filters={filters!r}: expected at least one positive whole number, the channels of each "
            "convolution."
        )
    return tuple(int(width) for width in filters)
