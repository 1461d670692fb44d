"""A classifier that looks at neighbours: what it learns, what it leaves alone, and what it fits into."""

import pickle
import time

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from histoclf import HistoCNNClassifier, LabelCleaningClassifier
from histoclf.classifiers._slide_context import SlideContextClassifier
from histoclf.exceptions import LabelError, SplitError


def slides(n_slides=6, side=12, *, n_classes=2, noise=1.5, spacing=50.0, seed=0):
    """Slides with a region of each class, in broad stripes; features that tell it badly. In random order."""
    rng = np.random.default_rng(seed)
    x, y = np.divmod(np.arange(side**2), side)
    shifts = rng.integers(0, side, n_slides)
    codes = np.concatenate([((x + shift) % side) * n_classes // side for shift in shifts])
    features = np.eye(n_classes)[codes] + noise * rng.normal(size=(len(codes), n_classes))
    places = {
        "groups": np.repeat([f"P{number}" for number in range(n_slides)], side**2),
        "coords": np.tile(np.stack([x, y], axis=1) * spacing, (n_slides, 1)),
    }
    rows = rng.permutation(len(codes))
    return features[rows], codes[rows], {name: values[rows] for name, values in places.items()}


X, Y, PLACES = slides()
NEW_X, NEW_Y, NEW_PLACES = slides(seed=1)


def take(places, rows):
    return {name: values[rows] for name, values in places.items()}


def make_paths(y, places):
    rows = zip(places["groups"], places["coords"].astype(int), y, strict=True)
    return [f"{patient}_idx5_x{a}_y{b}_class{label}.png" for patient, (a, b), label in rows]


def context(estimator=None, **params):
    return SlideContextClassifier(estimator or GaussianNB(), random_state=0, **params)


@pytest.fixture(scope="module")
def fitted():
    return context().fit(X, Y, **PLACES)


class Spy(ClassifierMixin, BaseEstimator):
    """A classifier of three columns at most, which remembers what its clones were given."""

    calls: list = []  # noqa: RUF012 - of the class, since clones are fitted

    def fit(self, X, y, sample_weight=None, groups=None):
        self.calls.append({"X": X, "y": y, "sample_weight": sample_weight, "groups": groups})
        self.inner_ = GaussianNB().fit(X, y, sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


class Halves(TransformerMixin, BaseEstimator):
    """An embedder: what was in brightness 0-255 becomes 0-1."""

    n_embedded: list = []  # noqa: RUF012

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        self.n_embedded.append(len(X))
        return (np.asarray(X).reshape(len(X), -1) / 255).astype(np.float32)


class Embedding(Spy):
    """A classifier of images that has an embedder, unless it is fine-tuned."""

    def __init__(self, *, fine_tuned=False, image_shape=None):
        self.fine_tuned = fine_tuned
        self.image_shape = image_shape

    def make_embedder(self):
        return None if self.fine_tuned else Halves()

    def fit(self, X, y, sample_weight=None, groups=None):
        return super().fit(np.asarray(X).reshape(len(X), -1), y, sample_weight, groups)

    def predict_proba(self, X):
        return super().predict_proba(np.asarray(X).reshape(len(X), -1))


@pytest.fixture
def calls():
    Spy.calls.clear()
    Halves.n_embedded.clear()
    return Spy.calls


# --- what it learns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
def test_neighbours_help_where_regions_are_larger_than_patches(n_classes):
    X, y, places = slides(side=16, n_classes=n_classes)
    new_X, new_y, new_places = slides(side=16, n_classes=n_classes, seed=1)
    clf = context().fit(X, y, **places)
    alone = GaussianNB().fit(X, y).score(new_X, new_y)
    assert clf.score(new_X, new_y, **new_places) > alone + 0.1
    assert clf.weight_ > 0
    assert clf.radius_ >= 50
    assert clf.predict_proba(new_X, **new_places).sum(axis=1) == pytest.approx(np.ones(len(new_y)))


def test_where_they_tell_nothing_they_are_not_listened_to():
    shuffled = np.random.default_rng(0).permutation(len(Y))  # who is where has nothing to do with what it is
    clf = context().fit(X[shuffled], Y[shuffled], **PLACES)
    assert (clf.weight_, clf.radius_) == (0, None)
    own = clf.estimator_.predict_proba(X)
    assert np.array_equal(clf.predict_proba(X, **PLACES), own)


def test_the_answer_is_the_mean_of_the_evidence():
    clf = context(radius=40.0, weight=0.7).fit(X, Y, **PLACES)
    own = clf.estimator_.predict_proba(NEW_X)
    evidence = np.log(np.clip(own, 1e-3, None))
    distance = np.linalg.norm(NEW_PLACES["coords"][:, np.newaxis] - NEW_PLACES["coords"], axis=2)
    near = (distance <= 120.001) & (NEW_PLACES["groups"][:, np.newaxis] == NEW_PLACES["groups"])
    kernel = 0.7 * np.where(near, np.exp(-0.5 * (distance / 40) ** 2), 0)
    np.fill_diagonal(kernel, 1)
    expected = np.exp(kernel @ evidence / kernel.sum(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(NEW_X, **NEW_PLACES), expected, atol=1e-12)


def test_the_choice_is_the_best_of_the_table(fitted):
    table = pd.DataFrame(fitted.inner_results_)
    assert table.columns.tolist() == ["feature_radius", "radius", "weight", "log_loss"]
    best = table.loc[table["log_loss"].idxmin()]
    assert (best["radius"], best["weight"]) == (fitted.radius_, fitted.weight_)
    assert fitted.spacing_ == 50
    assert table["radius"].dropna().min() == 50
    assert table["radius"].max() == 400
    assert table["weight"].min() == 0


def test_the_unit_of_the_positions_does_not_matter(fitted):
    far = {**PLACES, "coords": PLACES["coords"] * 0.2518 - 1e4}
    clf = context().fit(X, Y, **far)
    assert clf.radius_ == pytest.approx(fitted.radius_ * 0.2518)
    there = {**NEW_PLACES, "coords": NEW_PLACES["coords"] * 0.2518 + 77}
    here = fitted.predict_proba(NEW_X, **NEW_PLACES)
    np.testing.assert_allclose(clf.predict_proba(NEW_X, **there), here, atol=1e-9)


def test_classes_weigh_the_same_in_the_choice():
    rare = np.flatnonzero((Y == 0) | (np.arange(len(Y)) % 8 == 0))
    weights = np.where(Y[rare] == 1, 8.0, 1.0)
    plain, weighted = (
        context(LogisticRegression(class_weight="balanced")).fit(X[rare], Y[rare], w, **take(PLACES, rare))
        for w in (None, weights * 3)
    )
    np.testing.assert_allclose(
        plain.inner_results_["log_loss"], weighted.inner_results_["log_loss"], rtol=0.05
    )


# --- what it leaves alone ----------------------------------------------------------------------------------


def test_a_patch_without_neighbours_keeps_its_own_answer(fitted):
    lonely = np.arange(5)
    places = take(NEW_PLACES, lonely)
    places["groups"] = np.array(["a", "b", "c", "d", "d"])
    places["coords"][3:] = [[0, 0], [0, 3.1 * fitted.radius_]]
    own = fitted.estimator_.predict_proba(NEW_X[lonely])
    assert np.array_equal(fitted.predict_proba(NEW_X[lonely], **places), own)
    places["coords"][4] = [0, 2.9 * fitted.radius_]
    assert np.all((fitted.predict_proba(NEW_X[lonely], **places) != own).any(axis=1) == [0, 0, 0, 1, 1])


@pytest.mark.parametrize("features", [False, True])
def test_the_order_of_rows_does_not_matter_to_the_last_bit(features):
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    wide = np.hstack([X, np.random.default_rng(0).normal(size=(len(X), 60))])
    places = {**PLACES, "coords": PLACES["coords"] // 100}  # four patches at each position
    clf = context(estimator, neighbour_features=features).fit(wide, Y, **places)
    expected = clf.predict_proba(wide, **places)
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(len(Y))
        again = clone(clf).fit(wide[rows], Y[rows], **take(places, rows))
        assert np.array_equal(clf.predict_proba(wide[rows], **take(places, rows)), expected[rows])
        assert np.array_equal(again.predict_proba(wide, **places), expected)


def test_the_answer_depends_on_who_else_is_there(fitted):
    half = np.arange(len(NEW_Y) // 2)
    whole = fitted.predict_proba(NEW_X, **NEW_PLACES)[half]
    part = fitted.predict_proba(NEW_X[half], **take(NEW_PLACES, half))
    assert np.abs(whole - part).max() > 0.01
    of_one = NEW_PLACES["groups"] == "P3"  # whole slides are what is needed, not all slides
    one = fitted.predict_proba(NEW_X[of_one], **take(NEW_PLACES, of_one))
    assert np.array_equal(one, fitted.predict_proba(NEW_X, **NEW_PLACES)[of_one])


def test_the_estimator_and_the_data_are_not_changed():
    inner, data, places = GaussianNB(), X.copy(), {name: values.copy() for name, values in PLACES.items()}
    context(inner).fit(data, Y, **places).predict(data, **places)
    assert not hasattr(inner, "classes_")
    assert np.array_equal(data, X)
    assert all(np.array_equal(places[name], PLACES[name]) for name in places)


# --- what the estimator inside is given --------------------------------------------------------------------


def test_without_a_choice_there_is_no_inner_fit(calls):
    clf = context(Spy(), radius=50.0, weight=1.0).fit(X, Y, **PLACES)
    assert len(calls) == 1
    assert clf.inner_results_ is None
    assert (clf.radius_, clf.weight_, clf.feature_radius_) == (50, 1, None)
    assert context(Spy(), weight=0).fit(X, Y, **PLACES).radius_ is None
    assert len(calls) == 2


def test_inner_fits_leave_whole_slides_out(calls):
    weights = np.random.default_rng(0).random(len(Y))
    context(Spy(), cv=2).fit(X, Y, weights, **PLACES)
    first, second, last = calls
    assert {*first["groups"]} & {*second["groups"]} == set()
    assert {*first["groups"]} | {*second["groups"]} == {*last["groups"]} == {*PLACES["groups"]}
    assert sorted(last["sample_weight"]) == sorted(weights)
    assert [len(call["X"]) == len(call["groups"]) for call in calls] == [True] * 3


@pytest.mark.parametrize(("wanted", "n_fits"), [("auto", 10), (True, 7), (False, 4)])
def test_images_are_embedded_once(calls, wanted, n_fits):
    images = (127 + 20 * X).clip(0, 255).reshape(-1, 1, 2, 1)
    clf = context(Embedding(), neighbour_features=wanted).fit(images, Y, **PLACES)
    assert len(calls) == n_fits  # 3 folds for each radius of the features, and the last fit
    assert Halves.n_embedded == ([len(X)] if wanted else [])
    n_columns = 4 if clf.feature_radius_ else 2
    assert clf.estimator_.inner_.n_features_in_ == n_columns
    assert wanted is not True or clf.feature_radius_ in (50, 100)
    assert clf.score(images, Y, **PLACES) > 0.8
    assert (clf.embedder_ is None) == (wanted is False)


def test_neighbours_features_are_their_mean_within_the_radius(calls):
    images = np.array([0, 51, 255, 255, 102], float).reshape(-1, 1, 1, 1)
    places = {"groups": list("aaaab"), "coords": [[0, 0], [0, 10], [0, 20], [500, 0], [0, 0]]}
    context(Embedding(), radius=5.0, weight=1.0, neighbour_features=True, feature_radius=10.0).fit(
        images, [0, 0, 1, 1, 0], **places
    )
    near, far = np.exp(-0.5), np.exp(-2)
    expected = [
        [0, (0.2 * near + far) / (near + far)],
        [0.2, 0.5],
        [1, 0.2 * near / (near + far)],
        [1, 1],
        [0.4, 0.4],
    ]
    np.testing.assert_allclose(calls[-1]["X"], expected, rtol=1e-6)
    assert calls[-1]["X"].dtype == np.float32


def test_a_fine_tuned_backbone_is_smoothed_only(calls):
    images = (127 + 20 * X).clip(0, 255).reshape(-1, 1, 2, 1)
    clf = context(Embedding(fine_tuned=True)).fit(images, Y, **PLACES)
    assert clf.embedder_ is None
    with pytest.raises(
        ValueError, match="neighbour_features=True averages embeddings, and Embedding as it is"
    ):
        context(Embedding(fine_tuned=True), neighbour_features=True).fit(images, Y, **PLACES)
    with pytest.raises(ValueError, match=r"makes none of its images.*'auto' averages the probabilities only"):
        context(HistoCNNClassifier(), neighbour_features=True).fit(images, Y, **PLACES)


def test_a_table_of_embeddings_is_taken_as_it_is(calls):
    clf = context(Embedding(), neighbour_features=True).fit(X, Y, **PLACES)
    assert Halves.n_embedded == []
    assert clf.n_features_in_ == 2
    assert clf.score(NEW_X, NEW_Y, **NEW_PLACES) > 0.8
    with pytest.raises(ValueError, match=r"X has 1 features, but .* is expecting 2"):
        clf.predict(NEW_X[:, :1], **NEW_PLACES)
    flat = Embedding(image_shape=(1, 2, 1))  # images, though their array has two dimensions
    context(flat, neighbour_features=True).fit(X, Y, **PLACES)
    assert Halves.n_embedded == [len(X)]


def test_any_table_may_have_neighbours_features():
    whole_numbers = np.rint(10 * X).astype(int)
    plain, more = (
        context(LogisticRegression(), neighbour_features=wanted, weight=0).fit(whole_numbers, Y, **PLACES)
        for wanted in (False, True)
    )
    assert plain.estimator_.n_features_in_ == 2
    assert more.estimator_.n_features_in_ == 4
    test = np.rint(10 * NEW_X).astype(int)
    assert more.score(test, NEW_Y, **NEW_PLACES) > plain.score(test, NEW_Y, **NEW_PLACES) + 0.1


def test_what_it_chose_is_said(capsys):
    context(verbose=1).fit(X, Y, **PLACES)
    said = capsys.readouterr().out
    assert said.startswith("[SlideContextClassifier] spacing 50, chose Context(feature_radius=None, radius=")


# --- where slides and positions come from ------------------------------------------------------------------


class OfNames(LogisticRegression):
    """Classify files by what a table says of them."""

    def _rows(self, paths):
        table = dict(zip(make_paths(Y, PLACES), X, strict=True))
        return np.array([table[path] for path in paths])

    def fit(self, X, y, sample_weight=None):
        return super().fit(self._rows(X), y, sample_weight)

    def predict_proba(self, X):
        return super().predict_proba(self._rows(X))


def test_names_of_files_tell_both(fitted):
    paths = make_paths(Y, PLACES)
    of_names = context(OfNames()).fit(paths, Y)
    given = context(LogisticRegression()).fit(X, Y, **PLACES)
    assert np.array_equal(of_names.predict_proba(paths), given.predict_proba(X, **PLACES))
    assert np.array_equal(of_names.predict_proba(pd.Series(paths)), given.predict_proba(X, **PLACES))
    assert of_names.score(paths, Y) == given.score(X, Y, **PLACES)


def test_with_names_the_tools_of_scikit_learn_need_no_routing():
    paths, cv = np.array(make_paths(Y, PLACES)), StratifiedGroupKFold(3)
    search = GridSearchCV(context(OfNames()), {"estimator__C": [0.01, 1.0]}, cv=cv, scoring="roc_auc")
    search.fit(paths, Y, groups=PLACES["groups"])
    assert search.best_score_ > 0.85
    best = search.best_estimator_
    assert best.estimator_.C == best.estimator.C == search.best_params_["estimator__C"]


def test_messy_labels_are_cleaned_around_it():
    paths, messy = make_paths(Y, PLACES), np.where(Y == 1, " Malignant", "benign")
    with pytest.warns(match="cleaned the labels"):
        clf = LabelCleaningClassifier(context(OfNames())).fit(paths, messy)
    assert clf.score(paths, messy) > 0.8
    with (
        pytest.warns(match="cleaned the labels"),
        pytest.raises(ValueError, match="put LabelCleaningClassifier around SlideContextClassifier"),
    ):
        context(LabelCleaningClassifier(GaussianNB())).fit(X, messy, **PLACES)


@pytest.fixture
def routed():
    """A pipeline that hands slides and positions on, while routing is switched on."""
    with config_context(enable_metadata_routing=True):
        asked = {"groups": True, "coords": True}
        clf = context(LogisticRegression()).set_fit_request(**asked).set_score_request(**asked)
        clf.set_predict_request(**asked).set_predict_proba_request(**asked)
        yield make_pipeline(StandardScaler(), clf)


def test_places_are_routed_through_a_pipeline(routed):
    routed.fit(X, Y, **PLACES)
    alone = context(LogisticRegression()).fit(StandardScaler().fit_transform(X), Y, **PLACES)
    scaled = routed[0].transform(NEW_X)
    expected = alone.predict_proba(scaled, **NEW_PLACES)
    assert np.array_equal(routed.predict_proba(NEW_X, **NEW_PLACES), expected)
    assert np.array_equal(routed.predict(NEW_X, **NEW_PLACES), expected.argmax(axis=1))
    assert routed.score(NEW_X, NEW_Y, **NEW_PLACES) > 0.8


def test_places_are_routed_through_cross_validation(routed):
    scores = cross_val_score(routed, X, Y, cv=StratifiedGroupKFold(3), params=PLACES, error_score="raise")
    assert scores.min() > 0.75


def test_places_are_routed_through_a_search(routed):
    search = GridSearchCV(
        routed,
        {"slidecontextclassifier__estimator__C": [0.01, 1.0], "slidecontextclassifier__weight": [0, 1]},
        cv=StratifiedGroupKFold(2),
        error_score="raise",
    )
    search.fit(X, Y, **PLACES)
    assert search.best_params_["slidecontextclassifier__weight"] == 1


def test_weights_reach_a_step_of_a_pipeline_by_routing():
    weights = np.where(Y == 1, 5.0, 1.0)
    with pytest.raises(TypeError, match="sample_weight was given, but fit of Pipeline does not take it"):
        context(make_pipeline(GaussianNB())).fit(X, Y, weights, **PLACES)
    with config_context(enable_metadata_routing=True):
        inner = make_pipeline(GaussianNB().set_fit_request(sample_weight=True))
        piped = context(inner).fit(X, Y, weights, **PLACES)
    plain = context().fit(X, Y, weights, **PLACES)
    assert np.array_equal(piped.predict_proba(X, **PLACES), plain.predict_proba(X, **PLACES))


# --- what cannot be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "y", "places", "error", "message"),
    [
        ({}, Y, {}, ValueError, "groups and coords are unknown"),
        ({}, Y, {"groups": PLACES["groups"]}, ValueError, "but coords are unknown"),
        (
            {"cv": 7},
            Y,
            PLACES,
            SplitError,
            r"on slides that are left out\. cv=7 folds need at least 7 patients",
        ),
        ({"cv": 7}, Y, PLACES, SplitError, "Or give radius, weight and feature_radius as numbers"),
        ({}, np.where(PLACES["groups"] == "P0", 2, Y), PLACES, SplitError, "no sample of class '2'"),
        ({}, Y, {**PLACES, "groups": np.arange(len(Y))}, ValueError, "No slide has two patches at different"),
        ({"estimator": LinearSVC()}, Y, PLACES, TypeError, "LinearSVC has no predict_proba.*Calibrated"),
        ({"radius": 0}, Y, PLACES, ValueError, "'radius' parameter of SlideContextClassifier must be"),
        ({"weight": -1}, Y, PLACES, ValueError, "'weight' parameter"),
        ({"neighbour_features": "yes"}, Y, PLACES, ValueError, "'neighbour_features' parameter"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_the_cure(params, y, places, error, message):
    with pytest.raises(error, match=message):
        context().set_params(**params).fit(X, y, **places)


def test_decision_functions_are_calibrated_into_probabilities():
    clf = context(CalibratedClassifierCV(LinearSVC())).fit(X, Y, **PLACES)
    assert clf.score(NEW_X, NEW_Y, **NEW_PLACES) > 0.8


def test_before_fit_and_for_unknown_labels_it_says_so(fitted):
    with pytest.raises(NotFittedError):
        context().predict(X, **PLACES)
    half = context().fit(X, Y, **PLACES).set_params(cv=7)
    with pytest.raises(SplitError):
        half.fit(X, Y, **PLACES)
    with pytest.raises(NotFittedError):
        half.predict_proba(X, **PLACES)
    with pytest.raises(LabelError, match=r"labels that fit did not see: \['7'\]"):
        fitted.score(X[:2], [0, 7], **take(PLACES, [0, 1]))


# --- scikit-learn's rules ----------------------------------------------------------------------------------


def test_it_is_pickled_and_cloned(fitted):
    answer = fitted.predict_proba(NEW_X, **NEW_PLACES)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(NEW_X, **NEW_PLACES), answer)
    again = clone(fitted)
    assert not hasattr(again, "estimator_")
    assert np.array_equal(again.fit(X, Y, **PLACES).predict_proba(NEW_X, **NEW_PLACES), answer)


def test_names_of_columns_are_those_of_the_table():
    frame = pd.DataFrame(X, columns=["red", "blue"])
    for wanted in (False, True):
        clf = context(neighbour_features=wanted).fit(frame, Y, **PLACES)
        assert clf.feature_names_in_.tolist() == ["red", "blue"]
        assert clf.n_features_in_ == 2
        clf.predict(frame, **PLACES)


class Placed(SlideContextClassifier):
    """For the checks, which know nothing of slides: the first columns of a table are its rows' positions."""

    def fit(self, X, y, sample_weight=None, groups=None, coords=None):
        return super().fit(X, y, sample_weight, *self._places(X))

    def predict_proba(self, X, groups=None, coords=None):
        return super().predict_proba(X, *self._places(X))

    @staticmethod
    def _places(X):
        """One slide; tables that are none, or not of numbers, are at one position."""
        table = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
        if table.ndim != 2 or table.dtype.kind not in "biuf" or not table.shape[1]:
            table = np.zeros((len(table), 1))
        return np.zeros(len(table)), np.column_stack([table, np.zeros(len(table))])[:, :2]


EXPECTED_FAILED = {
    "check_methods_subset_invariance": "a patch's answer depends on which others are given with it",
    "check_sample_weight_equivalence_on_dense_data": "a patch of weight 0 is still a neighbour",
    "check_sample_weight_equivalence_on_sparse_data": "a patch of weight 0 is still a neighbour",
}


@parametrize_with_checks(
    [
        Placed(LogisticRegression(), radius=0.3, weight=1.0),
        Placed(LogisticRegression(), radius=0.3, weight=1.0, neighbour_features=True, feature_radius=0.3),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILED,
)
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check):
    check(estimator)


# --- real patches, and many --------------------------------------------------------------------------------


@pytest.mark.slow
def test_fifty_thousand_patches_take_seconds():
    X, y, places = slides(n_slides=25, side=45)
    start = time.process_time()
    context().fit(X, y, **places).predict_proba(X, **places)
    assert time.process_time() - start < 60


@pytest.mark.real_data
def test_context_on_real_patches_has_the_published_numbers(real_data):
    from histoclf.evaluation import mean_colours
    from histoclf.io import find_patches

    patches = find_patches(real_data / "idc_breast")
    colours, y = mean_colours(patches.paths), patches.labels
    places = {"groups": patches.groups, "coords": patches.coords}
    estimator = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    answer = np.empty(len(y))
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(
        colours, y, patches.groups
    ):
        clf = context(estimator).fit(colours[train], y[train], **take(places, train))
        answer[test] = clf.predict_proba(colours[test], **take(places, test))[:, 1]
    positive = y == patches.classes[1]
    found = balanced_accuracy_score(positive, answer > 0.5), roc_auc_score(positive, answer)
    assert found == pytest.approx((0.883, 0.915), abs=0.002)
