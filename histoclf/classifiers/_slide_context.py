"""A classifier that also looks at a patch's neighbours on the slide."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.validation import check_is_fitted

from histoclf._seeding import draw_seed, make_generator
from histoclf._validation import HasMethods, Interval, StrOptions, check_sample_weight, fit_context
from histoclf.classifiers._context import Context, smooth
from histoclf.classifiers._context_search import Training, fit_clone, list_contexts, try_contexts
from histoclf.classifiers._embedder import HistoEmbedder
from histoclf.classifiers._labels import check_labels, encode_labels
from histoclf.classifiers._metadata import takes
from histoclf.classifiers._neighbours import add_neighbours, find_spacing
from histoclf.classifiers._places import canonical_order, find_places
from histoclf.io._paths import as_paths
from histoclf.preprocessing._labels import take_rows


class SlideContextClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    r"""Wrap a classifier so that a patch's neighbours on the slide have a say.

    Each patch is first classified by itself. Its log-probabilities are then averaged with those of its
    neighbours on the same slide, weighted by a Gaussian of the distance. How wide the Gaussian is and how
    much the neighbours count is learned on the training slides, by inner validation over whole slides; that
    they do not count at all is one of the candidates. Where the patches have embeddings, the mean embedding
    of the neighbours can be given to the classifier besides.

    **The answer for a patch depends on which other patches are given with it: predict whole slides
    together.** It depends neither on the order of the rows nor on any label of a neighbour, and a patch
    without neighbours keeps exactly its own probabilities.

    Slides and positions are given as `groups` and `coords`, or read from the names of files (see
    :func:`histoclf.find_patches`).

    Parameters
    ----------
    estimator : classifier
        With ``predict_proba``. It is cloned. If its ``fit`` takes `groups`, it is given them.
    radius : float or "auto", default="auto"
        Standard deviation of the Gaussian, in the unit of `coords`, pixels as a rule. Patches farther away
        than three radii are no neighbours. "auto" tries 1 to 8 times the spacing of the training patches.
    weight : float or "auto", default="auto"
        Weight of a neighbour at no distance, where the patch itself has 1; 0 ignores the neighbours. "auto"
        tries 0 to 4.
    neighbour_features : bool or "auto", default=False
        Whether the estimator learns from the mean of the neighbours' embeddings too, in a table of twice as
        many columns. True: it does. "auto": it may if that is better in the inner validation, and if the
        estimator has embeddings, that is, a method ``make_embedder`` which does not return None. The
        embeddings of a table of numbers are its rows.
    feature_radius : float or "auto", default="auto"
        Radius of that mean. "auto" tries 1 and 2 times the spacing.
    cv : int, default=3
        Number of folds of the inner validation; each leaves whole slides out. The estimator is fitted `cv`
        times, with neighbours' embeddings up to 3 times `cv`, and then once on everything. If all else is
        given as numbers, there is no inner validation.
    random_state : int, RandomState instance or None, default=None
        Seed of the inner folds. The estimator has its own.
    verbose : int, default=0
        1 says what was chosen.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on all training patches (or the table of their embeddings), sorted by slide and position: row
        numbers that it has learned, such as ``validation_indices_``, count in this order.
    embedder_ : transformer or None
        Fitted maker of the embeddings; None where they are not used.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    radius_ : float or None
        Radius in use; None if `weight_` is 0.
    weight_ : float
        Weight in use.
    feature_radius_ : float or None
        Radius of the neighbours' mean embedding; None if it is not used.
    spacing_ : float
        Median distance of a training patch to the nearest other position on its slide; NaN if there is none.
    inner_results_ : dict of str to ndarray of shape (n_settings,), or None
        Settings tried, "feature_radius", "radius" (NaN for none) and "weight", and their "log_loss", out of
        fold and with all classes weighing the same. Made for ``pandas.DataFrame``. None without a search.
    n_features_in_ : int
        As of the estimator or the embedder, if it has it.
    feature_names_in_ : ndarray of str
        As of the estimator or the embedder, if it has it.

    See Also
    --------
    histoclf.find_patches : Reads slides (patients) and positions from file names.
    histoclf.evaluate : Gives the baselines the same context.

    Notes
    -----
    With the log-probabilities :math:`l_i` of patch *i* (at least log 0.001, so that no single patch
    drowns out the others; centred), the weight :math:`\alpha` and the radius :math:`\sigma`,

    .. math::
        z_i = \frac{l_i + \alpha \sum_j k_{ij} l_j}{1 + \alpha \sum_j k_{ij}}, \qquad
        k_{ij} = e^{-d_{ij}^2 / 2\sigma^2},

    over the neighbours *j*, found by a KD-tree, and the answer is softmax(z). It is a Nadaraya-Watson
    estimate of the log-odds on the slide [1]_ in which the patch itself has a weight of its own. A mean and
    not a sum, which would be right if patches erred independently: what is misread in a stain is misread in
    all neighbours alike, and on real slides the sum is overconfident.

    Patches of one group share one system of coordinates, and no group is ever trained on and tested on in the
    inner validation. If a patient has several slides, let `groups` be the patients, and move the slides
    apart: add to the coordinates of each an offset that is larger than any slide.

    References
    ----------
    .. [1] G. S. Watson, "Smooth regression analysis", Sankhya A 26, 1964, 359-372.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from histoclf import SlideContextClassifier, make_patches
    >>> from histoclf.evaluation import mean_colours
    >>> made = make_patches(n_patients=6, patches_per_patient=25, image_size=16, random_state=0)
    >>> places = {"groups": made.groups, "coords": made.coords}
    >>> X = mean_colours(made.images)
    >>> clf = SlideContextClassifier(LogisticRegression(), random_state=0).fit(X, made.labels, **places)
    >>> clf.predict_proba(X, **places).shape
    (150, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit"])],
        "radius": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "weight": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "neighbour_features": ["boolean", StrOptions({"auto"})],
        "feature_radius": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        radius: float | str = "auto",
        weight: float | str = "auto",
        neighbour_features: bool | str = False,
        feature_radius: float | str = "auto",
        cv: int = 3,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.radius = radius
        self.weight = weight
        self.neighbour_features = neighbour_features
        self.feature_radius = feature_radius
        self.cv = cv
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, coords: Any = None) -> Self:
        """Learn how much neighbours tell, and then from all patches.

        Parameters
        ----------
        X : array-like of n_samples rows
            Paths of images, images or rows, as the estimator takes them.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for the estimator and for the choice of the settings. A patch of weight 0 is still a
            neighbour.
        groups : array-like of shape (n_samples,), default=None
            Slide (patient) of each patch. None reads it from the paths in X.
        coords : array-like of shape (n_samples, 2), default=None
            Position of each patch on its slide, in pixels. None reads it from the paths in X.

        Returns
        -------
        self : SlideContextClassifier
            The fitted classifier.

        Raises
        ------
        SplitError
            If there are fewer slides than inner folds, or a class is on too few of them.
        ValueError
            If slides or positions are not known, or no slide has two patches; or with
            ``neighbour_features=True`` if there are no embeddings.
        TypeError
            If the estimator cannot give probabilities, or takes no `sample_weight` when there is one.
        """
        self.__dict__.pop("classes_", None)  # a fit that fails must not leave half of the last one in use
        _check_estimator(self.estimator, sample_weight)
        y = check_labels(y)
        X, y = indexable(X, y)
        places = find_places(X, groups, coords)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, y, ensure_non_negative=True)
        data = Training(X, y, sample_weight, places).take(canonical_order(X, places))
        self.spacing_ = find_spacing(data.places)
        self.embedder_ = self._make_embedder(data.X)
        if self.embedder_ is not None:
            self.embedder_.fit(data.X)
            data = replace(data, X=_embed(self.embedder_, data.X))
        self.feature_radius_, self.radius_, self.weight_ = self._choose(data)
        if self.feature_radius_ is not None:
            data = replace(data, X=add_neighbours(data.X, data.places, self.feature_radius_))
        self.estimator_ = fit_clone(self.estimator, data)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: Any, groups: Any = None, coords: Any = None) -> np.ndarray:
        """Estimate the probability of each class from the patches and their neighbours.

        Parameters
        ----------
        X : array-like of n_samples rows
            Patches, as in `fit`; of each slide all, since each is a neighbour of others.
        groups : array-like of shape (n_samples,), default=None
            Slide of each patch. None reads it from the paths in X.
        coords : array-like of shape (n_samples, 2), default=None
            Position of each patch on its slide, in the unit of those in `fit`. None reads it from the paths
            in X.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            Columns in the order of `classes_`; rows sum to 1. The same to the last bit in whatever order the
            rows come, and for a patch without neighbours those of the estimator.

        Raises
        ------
        ValueError
            If slides or positions are not known.
        """
        check_is_fitted(self)
        (X,) = indexable(X)
        places = find_places(X, groups, coords)
        order = canonical_order(X, places)
        X, places = take_rows(X, order), places.take(order)
        if self.embedder_ is not None:
            X = _embed(self.embedder_, X)
        if self.feature_radius_ is not None:
            X = add_neighbours(X, places, self.feature_radius_)
        own = np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)
        probabilities = np.empty_like(own)
        probabilities[order] = smooth(own, places, self.radius_, self.weight_)
        return probabilities

    def predict(self, X: Any, groups: Any = None, coords: Any = None) -> np.ndarray:
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of n_samples rows
            As in `predict_proba`.
        groups : array-like of shape (n_samples,), default=None
            As in `predict_proba`.
        coords : array-like of shape (n_samples, 2), default=None
            As in `predict_proba`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Entries of `classes_`.
        """
        probabilities = self.predict_proba(X, groups, coords)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, coords: Any = None
    ) -> float:
        """Compute the accuracy.

        Parameters
        ----------
        X : array-like of n_samples rows
            As in `predict_proba`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        groups : array-like of shape (n_samples,), default=None
            As in `predict_proba`.
        coords : array-like of shape (n_samples, 2), default=None
            As in `predict_proba`.

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
        return accuracy_score(y, self.predict(X, groups, coords), sample_weight=sample_weight)

    @property
    def n_features_in_(self) -> int:
        """Number of features of the estimator, or of the embedder in front of it."""
        return self._front.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features of the estimator, or of the embedder in front of it."""
        return self._front.feature_names_in_

    @property
    def _front(self) -> Any:
        """What X is handed to."""
        return self.estimator_ if self.embedder_ is None else self.embedder_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.input_tags.sparse &= self.neighbour_features is not True
        tags.classifier_tags.multi_class = inner.classifier_tags is None or inner.classifier_tags.multi_class
        tags.non_deterministic = inner.non_deterministic
        return tags

    # -- steps of fit ----------------------------------------------------------------------------------------

    def _make_embedder(self, X: Any) -> Any:
        """Return an unfitted transformer whose output is to be averaged over neighbours, or None."""
        wanted, make = self.neighbour_features, getattr(self.estimator, "make_embedder", None)
        if not wanted or (wanted == "auto" and make is None):
            return None
        if _is_table(X, self.estimator):
            return HistoEmbedder()  # which returns them as they are
        embedder = make() if make is not None else None
        if embedder is None and wanted != "auto":
            raise ValueError(
                f"neighbour_features=True averages embeddings, and {type(self.estimator).__name__} as it is "
                "set makes none of its images. Expected a HistoTransferClassifier with a frozen backbone, or "
                "X as a table of embeddings (HistoEmbedder makes them). neighbour_features='auto' averages "
                "the probabilities only."
            )
        return embedder

    def _choose(self, data: Training) -> Context:
        """Pick the setting with the smallest loss on slides that were left out, if there is a choice."""
        contexts = list_contexts(self, self.spacing_, embeds=self.embedder_ is not None)
        self.inner_results_ = None
        if len(contexts) == 1:
            return contexts[0]
        seed = draw_seed(make_generator(self.random_state))
        losses = try_contexts(self.estimator, data, contexts, self.cv, seed)
        table = np.column_stack([np.array(contexts, dtype=float), losses])
        self.inner_results_ = dict(zip((*Context._fields, "log_loss"), table.T.copy(), strict=True))
        best = contexts[int(losses.argmin())]
        if self.verbose:
            print(
                f"[SlideContextClassifier] spacing {self.spacing_:g}, chose {best}: inner log loss "
                f"{losses.min():.3f}, others up to {losses.max():.3f}"
            )
        return best


def _check_estimator(estimator: Any, sample_weight: Any) -> None:
    name = type(estimator).__name__
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"SlideContextClassifier needs probabilities, but {name} has no predict_proba. Expected a "
            "classifier that has it; CalibratedClassifierCV(estimator) adds it."
        )
    if sample_weight is not None and not takes(estimator, "fit", "sample_weight"):
        raise TypeError(
            f"sample_weight was given, but fit of {name} does not take it. Expected an estimator that does, "
            "or one that requests it by metadata routing (set_fit_request(sample_weight=True) on the step of "
            "a pipeline)."
        )


def _is_table(X: Any, estimator: Any) -> bool:
    """Whether rows of X are numbers that stand for themselves, not images or their names."""
    if as_paths(X) is not None or getattr(estimator, "image_shape", None) is not None:
        return False
    return (X.ndim if hasattr(X, "ndim") else np.ndim(X)) == 2


def _embed(embedder: Any, X: Any) -> np.ndarray:
    values = np.asarray(embedder.transform(X))
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
