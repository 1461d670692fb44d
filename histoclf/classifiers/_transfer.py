"""A network trained on other images, and a classifier on top of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from histoclf._validation import Interval, StrOptions
from histoclf.classifiers._base import BaseHistoClassifier
from histoclf.classifiers._embedder import HistoEmbedder
from histoclf.classifiers._features import CONSTRAINTS
from histoclf.classifiers._head import LinearHead
from histoclf.classifiers._spelling import suggest_parameters
from histoclf.classifiers._stages import build_for_use
from histoclf.classifiers._two_stage import TwoStageClassifier
from histoclf.networks._catalogue import DEFAULT_BACKBONE
from histoclf.preprocessing._augmentation import PRESETS, Augmentation


class HistoTransferClassifier(TwoStageClassifier):
    """Classifier on top of a network that was trained on other images.

    First the network stays frozen: each patch is turned into an embedding, once, and a logistic regression on
    the standardised embeddings is solved to the optimum. Then, if asked for, the last layers of the network
    learn along, starting from that solution [1]_.

    Parameters
    ----------
    backbone : str, path-like, keras.Model or callable, default="histology"
        As in `HistoEmbedder`, which lists the names. By default a small network that comes with the package.
    backbone_params : dict, default=None
        As in `HistoEmbedder`, such as ``{"alpha": 0.35}``.
    weights : "auto", "histology", "imagenet", path-like or None, default="auto"
        As in `HistoEmbedder`.
    layers : str, sequence of str or None, default="auto"
        As in `HistoEmbedder`: the layers whose outputs are embedded, "auto", or None for the last one.
    channels : {"auto", "rgb", "haematoxylin", "rgb+haematoxylin"}, default="auto"
        As in `HistoEmbedder`: what the network is shown of an image.
    pooling : {"avg", "max", "avg+max"}, default="avg"
        What is kept of a feature map.
    head : {"logistic", "mlp"}, default="logistic"
        Logistic regression, or a network with one hidden layer trained with Adam.
    C : float or "auto", default="auto"
        Inverse strength of the regularisation of the logistic regression, as in scikit-learn's
        `LogisticRegression` on standardised features. "auto" is 0.3 divided by the number of training samples
        (the sum of their weights), at least 1e-5: patches of few patients tell less than they are many, and
        on unseen patients this was best for 100 patches as for 3,000.
    hidden_units : int, default=128
        Width of the hidden layer of ``head="mlp"``.
    dropout : float, default=0.3
        Share of what enters the last layer that is dropped, in ``[0, 1)``: by ``head="mlp"``, and in
        fine-tuning.
    augmented_copies : int, default=0
        Number of changed copies of each training image that are embedded beside it while the backbone is
        frozen. Each takes as long as embedding the images themselves.
    augmentation : {"flips", "standard", "strong"}, Augmentation or None, default="standard"
        Random changes of the training images, in fine-tuning and for `augmented_copies`.
    fine_tune_layers : int, float or "all", default=0
        How many of the last layers with a kernel learn along in the second stage: a number, a share in
        ``(0, 1)``, or all. 0 leaves the backbone as it is. Batch normalisation always keeps its statistics.
    learning_rate : float, default=1e-4
        Highest learning rate of the second stage, for the last layer.
    layer_decay : float, default=0.8
        What the learning rate is multiplied with from each layer to the one below [2]_, in ``(0, 1]``.
    weight_decay : float, default=0.01
        Decoupled decay of the kernels, times the learning rate in every step.
    epochs : int or "auto", default="auto"
        Passes over the training part: in fine-tuning ("auto" makes 10), or of ``head="mlp"`` ("auto": 100).
    batch_size : int, default=64
        Images per training step, at most.
    early_stopping : bool, default=True
        Hold out a part of the training data where there is something to stop: in fine-tuning and for
        ``head="mlp"``. The weights of the best epoch are kept, or the frozen backbone, if no epoch was
        better. The logistic regression alone is solved on all data.
    validation_fraction : float, default=0.2
        Share of samples to hold out, in ``(0, 1)``.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement before stopping; "auto" is a quarter of all epochs, at least 3.
    tol : float, default=1e-4
        Smallest change of the loss that is an improvement.
    test_time_augmentation : bool, default=False
        Average over the eight flips and turns (four if not square): embeddings, in `fit` and after it, or the
        predictions of a fine-tuned network. Takes eight times as long.
    warm_start : bool, default=False
        Let `fit` go on from the fine-tuned weights of the last fit. The logistic regression has no start.
    image_size : int or tuple of (int, int), default=None
        Side, or height and width, in pixels to which images are resized. None keeps their size (of files, the
        most frequent one), enlarged to at least 96 ("histology": 64) and reduced to at most 224 pixels.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of the images whose flattened pixels are the rows of a 2-D X. Without it a
        2-D X holds ready-made embeddings.
    class_weight : dict, "balanced" or None, default="balanced"
        Weight of each class by label; "balanced" is inverse to the frequency in the training part.
    memory : str, path-like or joblib.Memory, default=None
        Folder that keeps embeddings beyond this process.
    engine : {"auto", "keras", "openvino", "openvino-bf16", "onnxruntime"}, default="auto"
        What computes embeddings, as in `HistoEmbedder`.
    on_error : {"raise", "skip"}, default="raise"
        What `fit` does with files that cannot be decoded. "skip" leaves them out, warns and counts them in
        `n_skipped_`. `predict` always raises, since every row needs an answer.
    n_jobs : int, default=None
        Threads that decode files. None takes every core, or a worker's share of them in a parallel search.
    random_state : int, RandomState instance or None, default=None
        Seed of whatever is random: the held-out part, augmentation, dropout, random weights. The logistic
        regression on a frozen backbone has nothing random.
    verbose : int, default=0
        1 says what was understood and shows progress.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of the columns of `predict_proba`.
    backbone_ : Backbone or None
        What `backbone` was understood to be: name, preprocessing, licence and a digest of its weights. None
        if X held embeddings.
    engine_ : str or None
        What computes embeddings.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of the embeddings, of a logistic regression on a frozen backbone.
    C_ : float
        Strength in use, of a logistic regression on a frozen backbone.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Beside them.
    fine_tuned_ : bool
        Whether the second stage took place, and helped.
    history_ : dict of str to list of float
        Per epoch, where there were any: ``loss``, ``learning_rate``, and of the held-out part ``val_loss``
        and ``val_score`` (balanced accuracy).
    start_score_ : dict of str to float
        ``val_loss`` and ``val_score`` before fine-tuning: of the frozen backbone, or under `warm_start` of
        the last fit.
    n_iter_ : int
        Number of epochs run, or of steps of the logistic regression.
    best_epoch_ : int
        Epoch, counted from 1, whose weights are kept; 0 is the frozen backbone.
    n_features_in_ : int
        Numbers per sample: columns of a 2-D X, height x width x channels of images, 1 for paths.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, if X was a DataFrame of numbers.
    image_shape_ : tuple of (int, int, int)
        Height, width and channels that the network sees.
    input_format_ : InputFormat
        What X was understood to be: kind, shape and units.
    model_ : keras.Model
        The network by itself: images in the units of `fit` at `image_shape_` in, probabilities out. Not for
        ONNX files and ready-made embeddings.
    validation_indices_ : ndarray of int
        Rows of X that were held out.
    groups_source_ : str
        Where the patients of the held-out part were known from.
    n_skipped_ : int
        Number of files left out under ``on_error="skip"``.
    training_data_ : dict
        Number of patches and patients, patches of each class, and a hash over the contents of the images, for
        the model card.

    Warns
    -----
    CollapsedModelWarning
        If the fitted model answers one class only, or is no better than the majority class.
    ConvergenceWarning
        If the logistic regression was not solved to the optimum.

    See Also
    --------
    HistoEmbedder : The embeddings by themselves, for any other model on top.
    HistoCNNClassifier : A network trained from scratch.

    References
    ----------
    .. [1] A. Kumar et al., "Fine-tuning can distort pretrained features and underperform
       out-of-distribution", ICLR 2022.
    .. [2] J. Howard and S. Ruder, "Universal language model fine-tuning for text classification",
       ACL 2018.

    Examples
    --------
    >>> from histoclf import HistoTransferClassifier, make_patches
    >>> patches = make_patches(n_patients=4, patches_per_patient=20, image_size=32, random_state=0)
    >>> clf = HistoTransferClassifier(random_state=0)
    >>> clf.fit(patches.images, patches.labels).predict_proba(patches.images[:1]).shape
    (1, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHistoClassifier._parameter_constraints,
        **CONSTRAINTS,
        "head": [StrOptions({"logistic", "mlp"})],
        "C": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "hidden_units": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "augmented_copies": [Interval(Integral, 0, None, closed="left")],
        "augmentation": [None, StrOptions(set(PRESETS)), Augmentation],
        "fine_tune_layers": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"all"}),
        ],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    @suggest_parameters
    def __init__(
        self,
        backbone: Any = DEFAULT_BACKBONE,
        *,
        backbone_params: dict[str, Any] | None = None,
        weights: str | os.PathLike[str] | None = "auto",
        layers: str | Sequence[str] | None = "auto",
        channels: str = "auto",
        pooling: str = "avg",
        head: str = "logistic",
        C: float | str = "auto",
        hidden_units: int = 128,
        dropout: float = 0.3,
        augmented_copies: int = 0,
        augmentation: str | Augmentation | None = "standard",
        fine_tune_layers: int | float | str = 0,
        learning_rate: float = 1e-4,
        layer_decay: float = 0.8,
        weight_decay: float = 0.01,
        epochs: int | str = "auto",
        batch_size: int = 64,
        early_stopping: bool = True,
        validation_fraction: float = 0.2,
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        test_time_augmentation: bool = False,
        warm_start: bool = False,
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, int, int] | None = None,
        class_weight: dict[Any, float] | str | None = "balanced",
        memory: Any = None,
        engine: str = "auto",
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.backbone_params = backbone_params
        self.weights = weights
        self.layers = layers
        self.channels = channels
        self.pooling = pooling
        self.head = head
        self.C = C
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.augmented_copies = augmented_copies
        self.augmentation = augmentation
        self.fine_tune_layers = fine_tune_layers
        self.learning_rate = learning_rate
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.test_time_augmentation = test_time_augmentation
        self.warm_start = warm_start
        self.image_size = image_size
        self.image_shape = image_shape
        self.class_weight = class_weight
        self.memory = memory
        self.engine = engine
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def coef_(self) -> np.ndarray:
        """Weights of the embeddings."""
        return self._solved("coef_").coef

    @property
    def intercept_(self) -> np.ndarray:
        """Logits of an embedding of zeros."""
        return self._solved("intercept_").intercept

    @property
    def fine_tuned_(self) -> bool:
        """Whether the backbone was fine-tuned, and is better for it."""
        check_is_fitted(self)
        return hasattr(self, "_tuned_weights")

    @property
    def model_(self) -> Any:
        """Keras model of its own: images in the units of `fit`, at `image_shape_`, in; probabilities out."""
        check_is_fitted(self)
        if self._extractor is None or self._extractor.backbone.kind == "onnx":
            raise AttributeError("There is no Keras model of an ONNX file or of ready-made embeddings.")
        if not hasattr(self, "_keras_model"):
            self._keras_model = build_for_use(self._network(), self._extractor, self._all_weights())
        return self._keras_model

    def _solved(self, name: str) -> LinearHead:
        check_is_fitted(self)
        if self.fine_tuned_ or not hasattr(self, "_linear"):
            raise AttributeError(f"{name} is there for a logistic regression on a frozen backbone only.")
        return self._linear

    def make_embedder(self) -> HistoEmbedder | None:
        """Make the transformer that computes the embeddings which this classifier learns from.

        Returns
        -------
        embedder : HistoEmbedder or None
            Not fitted. None if the backbone is to be fine-tuned: there are no embeddings then that stay.
        """
        if self.fine_tune_layers:
            return None
        shared = HistoEmbedder().get_params().keys() & self.get_params(deep=False).keys() - {"batch_size"}
        params = {name: getattr(self, name) for name in shared}
        return HistoEmbedder(flip_averaging=self.test_time_augmentation, **params)
