"""HistoEmbedder: the transformer from patches to embeddings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from histoclf._validation import Interval, StrOptions, fit_context
from histoclf.classifiers._features import (
    CONSTRAINTS,
    BackboneHolder,
    Extractor,
    open_with_backbone,
    pool,
)
from histoclf.classifiers._reading import InputFormat, open_again
from histoclf.classifiers._spelling import suggest_parameters
from histoclf.io._store import settle_failures
from histoclf.networks._catalogue import DEFAULT_BACKBONE


class HistoEmbedder(BackboneHolder, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turn patches into embeddings, with a network trained on other images.

    Each patch goes through the network once in a process, or with `memory` once and for all: embeddings are
    kept under the content of the patch and everything that decides them, so clones, folds and the candidates
    of a search share them.

    Parameters
    ----------
    backbone : str, path-like, keras.Model or callable, default="histology"
        "histology", a small network that was trained on histology and comes with the package; one that was
        trained on photographs: "mobilenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
        "resnet50", "resnet50_v2", "efficientnet_b0" to "_b3", "efficientnet_v2_b0" to "_b3",
        "efficientnet_v2_s", "densenet121" or "convnext_tiny"; a ``.keras`` or ``.onnx`` file; a network; or
        a function that builds one from ``input_shape``. Each is fed the range of values that it was trained
        on.
    backbone_params : dict, default=None
        ``{"alpha": 0.35}``, the width of a MobileNet; for a network of your own
        ``{"preprocessing": "none", "tf", "torch" or "caffe"}``, what it is fed: 0-255, -1 to 1, 0-1
        standardised as for ImageNet, or blue-green-red less ImageNet's means.
    weights : "auto", "histology", "imagenet", path-like or None, default="auto"
        "auto" takes those that the backbone was published with: "histology", which come with the package, or
        Keras' "imagenet", downloaded by the first `fit`, unless they are there already. A network of your
        own keeps those that it has. Else a file; or None for random ones.
    layers : str, sequence of str or None, default="auto"
        Names of the layers whose outputs are embedded, one after the other. "auto" is one in the middle and
        one near the end for the two first MobileNets, where that was measured to tell more about histology:
        what the very last layers add is about the objects of photographs. It is the last layer for every
        other network, and so is None.
    channels : {"auto", "rgb", "haematoxylin", "rgb+haematoxylin"}, default="auto"
        What the network is shown: the image; its haematoxylin alone, as a gray image found by colour
        deconvolution with the stain vectors of [1]_, from which much of what differs between laboratories is
        gone; or both in turn, whose embeddings are put side by side at twice the time. "auto" is both for the
        networks named above, and the image for gray ones and for networks of your own.
    image_size : int or tuple of (int, int), default=None
        Side, or height and width, in pixels to which images are resized. None keeps their size (of files, the
        most frequent one), enlarged to at least 96 ("histology": 64) and reduced to at most 224 pixels.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of the images whose flattened pixels are the rows of a 2-D X. Without it a
        2-D X holds embeddings already, and is returned as it is.
    pooling : {"avg", "max", "avg+max"}, default="avg"
        What is kept of a feature map: the average over all places, the maximum, or both. Without effect on
        networks that give one vector per image.
    flip_averaging : bool, default=False
        Average over the eight flips and turns (four if not square); takes eight times as long.
    memory : str, path-like or joblib.Memory, default=None
        Folder that keeps embeddings beyond this process. Any number of processes may use it at once.
    engine : {"auto", "keras", "openvino", "openvino-bf16", "onnxruntime"}, default="auto"
        What computes. "auto" takes OpenVINO where it is installed and there is no GPU, ONNX Runtime for ONNX
        files, and Keras otherwise; they agree to about 1e-5. "openvino-bf16" is faster still on CPUs that
        have bfloat16, and wrong by several per cent.
    batch_size : int or "auto", default="auto"
        Images per forward pass of Keras; "auto" is 16, or 64 for "histology", which has little work with each
        image, and with a GPU. Fewer ones are computed at once only where that gives the same numbers, so
        that an embedding does not depend on the company of its patch.
    n_jobs : int, default=None
        Threads that decode files. None takes every core, or a worker's share of them in a parallel search.
    random_state : int, RandomState instance or None, default=None
        Seed of random weights, where `weights` is None.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    backbone_ : Backbone
        What `backbone` was understood to be: name, preprocessing, licence and a digest of its weights. None
        if X held embeddings.
    engine_ : str or None
        What computes.
    image_shape_ : tuple of (int, int, int)
        Height, width and channels of the images that the network is fed.
    input_format_ : InputFormat
        What X was understood to be: kind, shape and units.
    n_features_in_ : int
        Numbers per sample: columns of a 2-D X, height x width x channels of images, 1 for paths.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, if X was a DataFrame of numbers.

    See Also
    --------
    HistoTransferClassifier : With a classifier on top, and fine-tuning.

    References
    ----------
    .. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color
       deconvolution", Analytical and Quantitative Cytology and Histology 23 (2001), 291-299.

    Examples
    --------
    >>> from histoclf import HistoEmbedder, make_patches
    >>> patches = make_patches(n_patients=2, patches_per_patient=4, image_size=32, random_state=0)
    >>> embedder = HistoEmbedder()
    >>> embedder.fit_transform(patches.images).shape
    (8, 672)
    """

    input_format_: InputFormat
    _extractor: Extractor | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "image_size": [None, Interval(Integral, 1, None, closed="left"), tuple, list],
        "image_shape": [None, tuple, list],
        "flip_averaging": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
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
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, int, int] | None = None,
        pooling: str = "avg",
        flip_averaging: bool = False,
        memory: Any = None,
        engine: str = "auto",
        batch_size: int | str = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.backbone_params = backbone_params
        self.weights = weights
        self.layers = layers
        self.channels = channels
        self.image_size = image_size
        self.image_shape = image_shape
        self.pooling = pooling
        self.flip_averaging = flip_averaging
        self.memory = memory
        self.engine = engine
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the format of the images, and load the network; nothing is learned from their content.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or ndarray
            Paths of image files; images of shape (n_samples, height, width, 1 or 3) in 0-255, 0-1 or -1-1; or
            the same flattened, with `image_shape`.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted embedder.

        Raises
        ------
        InputContractError
            If X is not one of the above.
        OSError
            If weights are neither on this machine nor to be had.
        ValueError
            If there is no such backbone, or weights do not fit it.
        MissingDependencyError
            If an engine is not installed.
        """
        self.input_format_, _, self._extractor = open_with_backbone(self, X, self.batch_size)
        self.image_shape_ = self.input_format_.image_shape
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit, and compute embeddings.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        y : None
            Ignored.
        **fit_params : dict
            Ignored.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_features_out)
            As `transform` gives them.
        """
        return self.fit(X, y).transform(X)

    def transform(self, X: Any) -> np.ndarray:
        """Compute embeddings, or look them up.

        A patch's embedding does not depend on which other patches are given with it.

        Parameters
        ----------
        X : array-like
            As in `fit`, in the same units and of the same size; or paths.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_features_out), float32
            One row per patch.

        Raises
        ------
        ImageReadError
            If files cannot be decoded; it names all of them.
        InputContractError
            If X contradicts what `fit` saw.
        """
        check_is_fitted(self)
        source = open_again(self, X, self.input_format_)
        if self._extractor is None:
            return embeddings_of_table(source)
        records = self._extractor.records(
            source, flips=self.flip_averaging, memory=self.memory, verbose=int(self.verbose)
        )
        settle_failures(records.failures, records.kept, len(source), "raise")
        return pool(records.pixels, self.pooling)

    @property
    def _n_features_out(self) -> int:
        if self._extractor is None:
            return self.n_features_in_
        return self._extractor.depth(self.pooling)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "input_format_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def embeddings_of_table(source: Any) -> np.ndarray:
    """Return the rows of a table as they are, as floats: they are embeddings already."""
    rows: np.ndarray = source.images[:, 0, :, 0]
    return rows.copy() if rows.dtype in (np.float32, np.float64) else rows.astype("float64")
