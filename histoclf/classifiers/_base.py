"""What every classifier of this package does the same way: check, read, split, weigh, warn, answer.

A subclass writes `_train` and `_logits`, and fits on a screen.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from histoclf._seeding import make_generator
from histoclf._validation import Interval, StrOptions, check_sample_weight, fit_context
from histoclf.classifiers._collapse import warn_if_collapsed
from histoclf.classifiers._labels import check_labels, combine_weights, encode_labels
from histoclf.classifiers._reading import InputFormat, open_again, open_training, shrink_to
from histoclf.classifiers._sources import ImageSource, ReadImages
from histoclf.classifiers._spelling import did_you_mean
from histoclf.classifiers._split import split_validation
from histoclf.classifiers._training_data import describe_training
from histoclf.exceptions import ModelFileError
from histoclf.io._names import read_names
from histoclf.io._paths import as_paths
from histoclf.io._store import settle_failures
from histoclf.preprocessing._symmetry import flips_and_turns

STATE_FORMAT = 1  # raise it when pickles of this version can no longer be read by the version before
_LARGEST_AUTO_SIDE = 96  # pixels: image_size=None never makes a network slower than this
_N_ALARM_SAMPLES = 2000  # of the training part, when nothing was held out


@dataclass(frozen=True)
class TrainingData:
    """Everything a subclass needs to train.

    Attributes
    ----------
    pixels : ndarray of shape (n_samples, height, width, channels)
        Images in 0-255.
    codes : ndarray of shape (n_samples,), int
        Class numbers.
    weights : ndarray of shape (n_samples,), float64
        Class weight times sample weight.
    train, validation : ndarray of int
        Rows of each part; `validation` is empty without early stopping.
    generator : numpy.random.Generator
        Source of all randomness of this fit.
    """

    pixels: np.ndarray
    codes: np.ndarray
    weights: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    generator: np.random.Generator

    @property
    def relative_weights(self) -> np.ndarray:
        """Weights of mean 1 in training, float32: learning rates mean the same whatever the unit."""
        return (self.weights / self.weights[self.train].mean()).astype("float32")


class BaseHistoClassifier(ClassifierMixin, BaseEstimator):
    """Base of the image classifiers: see the subclasses for the parameters."""

    classes_: np.ndarray
    input_format_: InputFormat

    # Learned, and not for users; named here because scikit-learn keeps private state of its own beside it.
    _PRIVATE_STATE: ClassVar[tuple[str, ...]] = (
        "_weights",
        "_architecture",
        "_optimizer_state",
        "_keras_model",
    )

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "image_size": [None, Interval(Integral, 1, None, closed="left"), tuple, list],
        "image_shape": [None, tuple, list],
        "class_weight": [None, dict, StrOptions({"balanced"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "test_time_augmentation": ["boolean"],
        "warm_start": ["boolean"],
        "on_error": [StrOptions({"raise", "skip"})],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _train(self, data: TrainingData, resume: bool, one_epoch: bool) -> None:
        """Learn from `data`; go on from the present weights if `resume`, and for one epoch if `one_epoch`."""

    def _holds_out(self) -> bool:
        """Whether `fit` needs a validation part."""
        return bool(self.early_stopping)

    @abstractmethod
    def __sklearn_is_fitted__(self) -> bool:
        """Whether `predict` can answer."""

    @abstractmethod
    def _logits(self, pixels: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return unnormalised log-probabilities, shape (n, n_classes), of (some rows of) images in 0-255."""

    @abstractmethod
    def _whole_network(self) -> tuple[Any, list[np.ndarray]]:
        """Return the description of the fitted network from images in 0-255 to logits, and its weights."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn to tell the classes apart.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or ndarray
            Paths of image files; or images of shape (n_samples, height, width, 1 or 3), 8-bit or float, in
            0-255, 0-1 or -1-1; or the same flattened, of shape (n_samples, n_features), with `image_shape`.
            Rows of numbers without `image_shape` are classified as they are, without augmentation.
        y : array-like of shape (n_samples,)
            Labels: strings, integers or booleans.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; multiplied by the class weights. Not changed.
        groups : array-like of shape (n_samples,), default=None
            Patient of each sample. With ``early_stopping=True`` a patient is either trained on or held out,
            never both. If None and X holds paths that all follow one known naming convention (see
            :func:`histoclf.find_patches`), patients are taken from there, and `groups_source_` says so.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ImageReadError
            If files cannot be decoded; it names all of them.
        InputContractError
            If X is not one of the above, or was scaled twice.
        SplitError
            If no validation part with every class on both sides exists.
        LabelError
            If labels are missing.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._run(X, y, sample_weight, groups, resume=resume, hold_out=self._holds_out())

    def predict_proba(self, X: Any) -> np.ndarray:
        """Estimate the probability of each class.

        A patch's probabilities do not depend on which other patches are given with it.

        Parameters
        ----------
        X : array-like
            As in `fit`, in the same units and of the same size; or paths.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            Columns in the order of `classes_`; rows sum to 1.

        Raises
        ------
        InputContractError
            If X contradicts what `fit` saw.
        """
        check_is_fitted(self)
        source = open_again(self, X, self.input_format_)
        images = self._take_in(source, "raise")
        settle_failures(images.failures, images.kept, len(source), "raise")  # every row needs an answer
        return softmax(self._averaged_logits(images.pixels).astype("float64"), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like
            As in `predict_proba`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Entries of `classes_`.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy.

        Parameters
        ----------
        X : array-like
            As in `predict_proba`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Between 0 and 1.

        Raises
        ------
        LabelError
            If y has labels that `fit` did not see.
        """
        check_is_fitted(self)
        encode_labels(check_labels(y), self.classes_)
        return super().score(X, y, sample_weight)

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as everywhere in scikit-learn.

        Parameters
        ----------
        **params : dict
            Names of parameters and their values; fields of an `Augmentation` as ``augmentation__stain``.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If there is no such parameter, or it has no fields to set.
        """
        names = self._get_param_names()
        for name in params:
            owner, nested, _ = name.partition("__")
            if owner not in names:
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}{did_you_mean(name, names)}"
                )
            value = params.get(owner, getattr(self, owner))
            if nested and not hasattr(value, "set_params"):
                raise ValueError(
                    f"{name} cannot be set: {owner}={value!r} has no fields. Expected an object that has, "
                    "such as augmentation=Augmentation.from_preset('standard')."
                )
        return super().set_params(**params)

    # -- steps of fit ----------------------------------------------------------------------------------------

    def _run(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        *,
        resume: bool,
        hold_out: bool,
        classes: Any = None,
        one_epoch: bool = False,
    ) -> Self:
        """Fit; `hold_out` asks for a validation part, and `classes` are all labels if y may lack some."""
        if not resume:
            self._forget()
        y = check_labels(y)
        image_format, source = self._open(X, resume)
        check_consistent_length(X, y, groups)
        known = self._learn_classes(y, resume, classes)
        patients = self._patients_of(X, groups, hold_out)
        self._say(image_format.describe())
        images = self._take_in(source, self.on_error)
        settle_failures(images.failures, images.kept, len(source), self.on_error, stacklevel=5)
        data = self._prepare(images, y, known, sample_weight, patients, hold_out)
        self.classes_, self.input_format_, self.image_shape_ = known, image_format, image_format.image_shape
        self.validation_indices_ = images.kept[data.validation]
        self.n_skipped_ = len(y) - len(images.kept)
        keys = source.keys() if images.keys is None else images.keys
        self.training_data_ = describe_training(X, y, groups, keys, images.kept, continued=resume)
        self._say(self._describe_parts(data))
        self._train(data, resume, one_epoch)
        if not one_epoch:  # after one epoch of many, having learned little is no fault
            self._sound_alarm(data)
        return self

    def _forget(self) -> None:
        """Drop what an earlier fit learned, so that a failing one cannot leave half of each."""
        for name in [name for name in vars(self) if name.endswith("_") or name in self._PRIVATE_STATE]:
            delattr(self, name)

    def _open(self, X: Any, resume: bool) -> tuple[InputFormat, ImageSource]:
        if resume:
            return self.input_format_, open_again(self, X, self.input_format_)
        return open_training(self, X, partial(shrink_to, _LARGEST_AUTO_SIDE))

    def _take_in(self, source: ImageSource, on_error: str) -> ReadImages:
        """Read what `_train` and `_logits` work on: pixels, unless a subclass makes more of them."""
        return source.read()

    def _learn_classes(self, y: np.ndarray, resume: bool, classes: Any) -> np.ndarray:
        if resume:
            return self.classes_
        known = np.unique(y if classes is None else classes)
        if len(known) < 2:
            raise ValueError(
                f"y has only 1 class, {str(known[0])!r}. Expected at least 2 classes to tell apart; check "
                "that the labels come from the right folder level."
            )
        return known

    def _prepare(
        self,
        images: ReadImages,
        y: np.ndarray,
        classes: np.ndarray,
        sample_weight: Any,
        groups: np.ndarray | None,
        hold_out: bool,
    ) -> TrainingData:
        """Split first; weights come from the training part only."""
        generator = make_generator(self.random_state, getattr(self, "n_iter_", 0))
        sample_weight = check_sample_weight(sample_weight, y, ensure_non_negative=True)[images.kept]
        y = y[images.kept]
        codes = encode_labels(y, classes)
        train, validation = np.arange(len(y)), np.arange(0)
        if hold_out:
            groups = None if groups is None else groups[images.kept]
            train, validation = split_validation(codes, groups, self.validation_fraction, generator, classes)
        train = train[sample_weight[train] > 0]  # a weight of zero is as good as absent
        weights = combine_weights(self.class_weight, y, classes, sample_weight, train)
        return TrainingData(images.pixels, codes, weights, train, validation, generator)

    def _patients_of(self, X: Any, groups: Any, hold_out: bool) -> np.ndarray | None:
        """Patients as given, or as file names tell them."""
        self.groups_source_ = "unknown" if groups is None else "groups"
        if groups is not None:
            return np.asarray(groups)
        paths = as_paths(X) if hold_out else None
        names = read_names(paths) if paths is not None else None
        if names is None:
            return None
        self.groups_source_ = f"{names.convention} file names"
        return names.groups

    def _describe_parts(self, data: TrainingData) -> str:
        if not len(data.validation):
            return f"training on {len(data.train)} samples, none held out"
        by = "sample" if self.groups_source_ == "unknown" else f"patient (from {self.groups_source_})"
        return f"training on {len(data.train)} samples, {len(data.validation)} held out by {by}"

    def _sound_alarm(self, data: TrainingData) -> None:
        rows, part = data.validation, "validation"
        if not len(rows):
            step = max(1, len(data.train) // _N_ALARM_SAMPLES)
            rows, part = data.train[::step], "training"
        predicted = self._logits(data.pixels, rows).argmax(axis=1)
        warn_if_collapsed(data.codes[rows], predicted, self.classes_, part)

    def _averaged_logits(self, pixels: np.ndarray) -> np.ndarray:
        if not self.test_time_augmentation or self.input_format_.kind == "table":
            return self._logits(pixels)
        views = flips_and_turns(pixels)
        return np.mean([self._logits(view) for view in views], axis=0)

    def _say(self, sentence: str) -> None:
        if self.verbose:
            print(f"[{type(self).__name__}] {sentence}")

    # -- storage ---------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_state_format": STATE_FORMAT}
        state.pop("_keras_model", None)  # rebuilt when asked for
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        found = state.pop("_state_format", STATE_FORMAT)
        if found > STATE_FORMAT:
            raise ModelFileError(
                f"This model was stored in format {found}, and this version of histoclf reads formats up to "
                f"{STATE_FORMAT}. Expected a model of this version or an older one; upgrade histoclf."
            )
        super().__setstate__(state)
