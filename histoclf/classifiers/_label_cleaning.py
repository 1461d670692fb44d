"""Cleaning of labels inside fit and score of any classifier."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import get_scorer
from sklearn.utils import Tags, assert_all_finite, get_tags
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from histoclf._validation import HasMethods, fit_context
from histoclf.classifiers._label_corrections import LabelCorrections
from histoclf.exceptions import LabelError
from histoclf.preprocessing._labels import LabelCleaner, take_rows

__all__ = ["LabelCleaningClassifier", "clean_scorer"]

_CHANGED = (
    "LabelCleaningClassifier cleaned the labels, and predicts the clean names (see cleaner_.report_). Its "
    "score() cleans y too, but a plain scorer compares the predictions with the raw spellings and is then "
    'wrong: give scoring=clean_scorer("balanced_accuracy") instead of scoring="balanced_accuracy", or clean '
    "y beforehand."
)


def _inner_has(name: str) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


def _n_rows(value: Any) -> int | None:
    if getattr(value, "shape", ()):
        return value.shape[0]
    return len(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else None


def _keep_rows(X: Any, params: dict[str, Any], kept: NDArray[np.intp], y: Any) -> tuple[Any, dict[str, Any]]:
    """Return the kept rows of X and of every parameter that has one entry a sample."""
    check_consistent_length(X, y)
    n_rows = len(np.asarray(y))
    if len(kept) == n_rows:
        return X, params
    aligned = {name: _n_rows(value) == n_rows for name, value in params.items()}
    return take_rows(X, kept), {
        name: take_rows(value, kept) if aligned[name] else value for name, value in params.items()
    }


def _true_classes(
    cleaner: LabelCleaner, classes: NDArray[Any], y: Any
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the clean labels of y as members of `classes`, whatever their type, and the kept rows."""
    y_clean, kept = cleaner.clean(y)
    names = cleaner.clean(classes)[0].tolist()
    if len(set(names)) < len(names):
        raise LabelError(
            "The classifier has learned several spellings of one class, as its classes_ show: "
            f"{classes.tolist()}. Fit it on clean labels, or wrap it in LabelCleaningClassifier."
        )
    members = dict(zip(names, classes.tolist(), strict=True))
    found, rows = np.unique(y_clean, return_inverse=True)
    return np.array([members.get(name, name) for name in found.tolist()])[rows], kept


class LabelCleaningClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Wrap a classifier so that it may be given messy labels.

    `fit` and `score` clean y with a `LabelCleaner`; the classifier inside sees clean labels only, and
    predictions are clean names. With ``on_unknown="drop"`` samples without a usable label are left out, in
    training as in scoring, together with their sample weights, groups and whatever else has one entry a
    sample. Labels that are plain numbers already (an integer array) keep their type.

    Parameters
    ----------
    estimator : classifier
        The classifier to fit; it is cloned. Metadata requests (``set_fit_request(groups=True)``) belong
        on it, not on the wrapper.
    cleaner : LabelCleaner, default=None
        How to clean; None is ``LabelCleaner()``. It is cloned.
    corrections : LabelCorrections, default=None
        Decisions about single labels, spelled as after cleaning. `fit` applies them to its own rows; `score`,
        scorers and splitters never see them, so in cross-validation test labels stay as they are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    cleaner_ : LabelCleaner
        The fitted cleaner; ``print(cleaner_.report_)`` says what was changed.
    classes_ : ndarray of shape (n_classes,)
        The classes, clean.
    n_features_in_ : int
        As of the classifier inside, if it has it.
    feature_names_in_ : ndarray of str
        As of the classifier inside, if it has it.

    Warns
    -----
    DataConversionWarning
        If `fit` had to change labels, because of the first note.

    See Also
    --------
    clean_scorer : A scorer that cleans y.
    histoclf.preprocessing.LabelCleaner : Cleans y alone.

    Notes
    -----
    Scikit-learn shows the raw y to scorers and splitters, without asking the estimator:

    * ``scoring="balanced_accuracy"`` would compare clean predictions with raw spellings. Use no `scoring`
      (then `score` is called), or ``scoring=clean_scorer("balanced_accuracy")``.
    * ``StratifiedKFold`` takes each spelling for a class, and refuses labels of mixed types. Split on clean
      labels: ``cv=list(StratifiedGroupKFold(5).split(X, LabelCleaner().fit_transform(y), groups))``.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.linear_model import LogisticRegression
    >>> from histoclf import LabelCleaningClassifier
    >>> X, y = [[0.0], [0.1], [0.9], [1.0]], ["Benign", "benign ", "malignant", "MALIGNANT"]
    >>> clf = LabelCleaningClassifier(LogisticRegression())
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # we know that labels are changed
    ...     clf = clf.fit(X, y)
    >>> clf.predict([[0.05], [0.95]]).tolist()
    ['benign', 'malignant']
    >>> clf.score([[0.2], [0.8]], ["BENIGN", "M"])
    1.0
    """

    # sample_weight is only handed on, so it is for the classifier inside to request.
    __metadata_request__fit: ClassVar[dict[str, str]] = {"sample_weight": UNUSED}
    __metadata_request__score: ClassVar[dict[str, str]] = {"sample_weight": UNUSED}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "cleaner": [LabelCleaner, None],
        "corrections": [LabelCorrections, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        cleaner: LabelCleaner | None = None,
        corrections: LabelCorrections | None = None,
    ) -> None:
        self.estimator = estimator
        self.cleaner = cleaner
        self.corrections = corrections

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> "LabelCleaningClassifier":
        """Clean y and fit a clone of the classifier.

        Parameters
        ----------
        X : list, array, DataFrame or sparse matrix of n_samples rows
            Whatever the classifier takes.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, handed to the classifier.
        **fit_params : dict
            Handed to the classifier; by its metadata requests if metadata routing is enabled.

        Returns
        -------
        self : LabelCleaningClassifier
            The fitted estimator.

        Raises
        ------
        LabelError
            If labels are missing or unknown and the cleaner's ``on_unknown="raise"``, if none is left, or if
            corrected labels have changed since they were reviewed.
        """
        self.cleaner_ = clone(self.cleaner or LabelCleaner()).fit(y)
        names, kept = self.cleaner_.clean(y)
        X, params = _keep_rows(X, self._route("fit", sample_weight, fit_params), kept, y)
        labels = self._target(y, names, kept)
        if self.corrections is not None:
            corrected, kept = self.corrections.apply(X, labels)
            X, params = _keep_rows(X, params, kept, labels)
            labels = corrected[kept]
        self.estimator_ = clone(self.estimator).fit(X, labels, **params)
        return self

    def _target(self, y: Any, names: NDArray[np.str_], kept: NDArray[np.intp]) -> NDArray[Any]:
        """Return the labels to fit on, and warn if scorers would not recognise them."""
        changes = self.cleaner_.report_.changes
        raw = np.asarray(y)
        if raw.dtype.kind in "biuf" and all(c.reason == "type" or c.clean is None for c in changes):
            numbers = column_or_1d(raw)[kept]
            assert_all_finite(numbers, input_name="y")
            check_classification_targets(numbers)
            return numbers
        if changes:
            warnings.warn(_CHANGED, DataConversionWarning, stacklevel=4)
        return names

    def _route(self, method: str, sample_weight: Any, params: dict[str, Any]) -> dict[str, Any]:
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, method, **params)["estimator"][method]
        return params

    def score(self, X: Any, y: Any, sample_weight: Any = None, **score_params: Any) -> float:
        """Clean y and return the score of the classifier inside, by default its accuracy.

        Parameters
        ----------
        X : list, array, DataFrame or sparse matrix of n_samples rows
            Whatever the classifier takes.
        y : array-like of shape (n_samples,)
            Labels. A label that `fit` has not seen is an error, is wrong, or is left out, as the
            cleaner's `on_unknown` is "raise", "keep" or "drop".
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        **score_params : dict
            Handed to the classifier's ``score``.

        Returns
        -------
        score : float
            The score.
        """
        check_is_fitted(self)
        truth, kept = _true_classes(self.cleaner_, self.classes_, y)
        X, params = _keep_rows(X, self._route("score", sample_weight, score_params), kept, y)
        return self.estimator_.score(X, truth, **params)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted clean labels.

        Parameters
        ----------
        X : list, array, DataFrame or sparse matrix of n_samples rows
            Whatever the classifier takes.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Members of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Return class probabilities.

        Parameters
        ----------
        X : list, array, DataFrame or sparse matrix of n_samples rows
            Whatever the classifier takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[np.floating]:
        """Return the logarithm of the class probabilities.

        Parameters
        ----------
        X : list, array, DataFrame or sparse matrix of n_samples rows
            Whatever the classifier takes.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.floating]:
        """Return the confidence scores of the classifier inside.

        Parameters
        ----------
        X : list, array, DataFrame or sparse matrix of n_samples rows
            Whatever the classifier takes.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @property
    def classes_(self) -> NDArray[Any]:
        """Classes, clean."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features of the classifier inside."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features of the classifier inside."""
        return self.estimator_.feature_names_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata are handed on: fit to fit and score to score of the classifier inside.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            The routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="score", callee="score")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags.multi_class = inner.classifier_tags is None or inner.classifier_tags.multi_class
        tags.non_deterministic = inner.non_deterministic
        return tags


@dataclass(frozen=True)
class _CleanScorer:
    scorer: Any
    cleaner: LabelCleaner

    def __call__(self, estimator: Any, X: Any, y: Any, **params: Any) -> float:
        # The classes of the fitted classifier, not those of the test labels, are what a label must lead to.
        cleaner = clone(self.cleaner).fit(estimator.classes_)
        truth, kept = _true_classes(cleaner, estimator.classes_, y)
        X, params = _keep_rows(X, params, kept, y)
        return self.scorer(estimator, X, truth, **params)

    def get_metadata_routing(self) -> Any:
        return self.scorer.get_metadata_routing()


def clean_scorer(scoring: Any, cleaner: LabelCleaner | None = None) -> Callable[..., float]:
    """Return a scorer that cleans y before it compares, for classifiers with clean classes.

    Parameters
    ----------
    scoring : str or callable
        A scorer's name such as "balanced_accuracy", or a scorer.
    cleaner : LabelCleaner, default=None
        How to clean, the same as in the classifier; None is ``LabelCleaner()``. It is cloned. With
        ``on_unknown="drop"``, samples whose label leads to no class of the classifier are left out.

    Returns
    -------
    scorer : callable
        To be given as `scoring` to ``cross_val_score``, ``GridSearchCV`` and their like. Works for any
        fitted classifier or pipeline with clean ``classes_``, not only `LabelCleaningClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from histoclf.classifiers import clean_scorer
    >>> clf = DummyClassifier().fit(np.zeros((3, 1)), ["benign", "benign", "malignant"])
    >>> clean_scorer("balanced_accuracy")(clf, np.zeros((2, 1)), ["BENIGN ", "M"])
    0.5
    """
    return _CleanScorer(get_scorer(scoring), cleaner or LabelCleaner())
