"""LabelCleaningClassifier and clean_scorer."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedGroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from histoclf.classifiers._label_cleaning import LabelCleaningClassifier, clean_scorer
from histoclf.exceptions import LabelError
from histoclf.preprocessing._labels import LabelCleaner

changed = pytest.mark.filterwarnings("ignore:LabelCleaningClassifier cleaned the labels")


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was given."""

    def fit(self, X, y, sample_weight=None, groups=None, note=None):
        self.given_ = {"X": X, "y": y, "sample_weight": sample_weight, "groups": groups, "note": note}
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y, sample_weight=None):
        self.scored_ = {"X": X, "y": y, "sample_weight": sample_weight}
        return 0.5


@pytest.fixture
def samples():
    """60 rows of two overlapping classes: X, the clean labels and a messy spelling of them."""
    rng = np.random.default_rng(0)
    truth = np.array(["benign", "malignant", "benign"] * 20)
    X = rng.normal(size=(60, 2)) + (truth == "malignant")[:, None] * 1.2
    spellings = {"benign": ["Benign", " benign", "B", "benign"], "malignant": ["M", "cancer", "MALIGNANT"]}
    messy = np.array([rng.choice(spellings[label]) for label in truth], dtype=object)
    return X, truth, messy


@parametrize_with_checks(
    [
        LabelCleaningClassifier(LogisticRegression()),
        LabelCleaningClassifier(RidgeClassifier(), cleaner=LabelCleaner(on_unknown="drop")),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --- cleaning inside fit -----------------------------------------------------------------------------------


@changed
def test_messy_labels_give_the_model_of_clean_labels(samples):
    X, truth, messy = samples
    clf = LabelCleaningClassifier(LogisticRegression()).fit(X, messy)
    plain = LogisticRegression().fit(X, truth)
    assert is_classifier(clf)
    assert clf.classes_.tolist() == ["benign", "malignant"]
    assert clf.n_features_in_ == 2
    np.testing.assert_array_equal(clf.predict(X), plain.predict(X))
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(clf.predict_log_proba(X), plain.predict_log_proba(X))
    np.testing.assert_array_equal(clf.decision_function(X), plain.decision_function(X))
    assert clf.score(X, messy) == clf.score(X, truth) == plain.score(X, truth)
    assert clf.cleaner_.report_.n_changed > 20


@pytest.mark.parametrize(
    "y", [np.array([0, 1, 0, 1]), [2, 10, 2, 10], np.array([True, False] * 2), [0.0, 1.0] * 2]
)
def test_plain_numbers_keep_their_type(y):
    X = [[0.0], [1.0], [0.1], [0.9]]
    clf = LabelCleaningClassifier(LogisticRegression()).fit(X, y)
    assert clf.classes_.tolist() == sorted(set(y))
    assert clf.classes_.dtype == np.asarray(y).dtype
    assert clf.score(X, y) == clf.score(X, [str(label) for label in y]) == 1
    assert get_scorer("balanced_accuracy")(clf, X, y) == 1


def test_plain_numbers_keep_their_type_where_missing_ones_are_dropped():
    clf = LabelCleaningClassifier(Recorder(), cleaner=LabelCleaner(on_unknown="drop"))
    clf.fit([[0], [1], [2]], np.array([0.0, np.nan, 1.0]))
    assert clf.estimator_.given_["y"].tolist() == [0.0, 1.0]


@changed
def test_numbers_mixed_with_strings_become_strings():
    clf = LabelCleaningClassifier(LogisticRegression()).fit([[0], [1], [0], [1]], [0, "1", "0.0", 1.0])
    assert clf.predict([[1]]).tolist() == ["1"]


@changed
def test_a_table_applies_to_numbers():
    clf = LabelCleaningClassifier(LogisticRegression(), cleaner=LabelCleaner(table="idc"))
    assert clf.fit([[0], [1]], [0, 1]).classes_.tolist() == ["idc negative", "idc positive"]
    assert clf.score([[0], [1]], ["non-IDC", 1]) == 1


def test_parameters_are_cloned_and_not_fitted():
    cleaner, inner = LabelCleaner(), Recorder()
    LabelCleaningClassifier(inner, cleaner=cleaner).fit([[0], [1]], ["a", "b"])
    assert not hasattr(cleaner, "classes_")
    assert not hasattr(inner, "classes_")


@pytest.mark.parametrize("params", [{"cleaner": "auto"}, {"estimator": 3}])
def test_wrong_parameters(params):
    clf = LabelCleaningClassifier(Recorder()).set_params(**params)
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of LabelCleaningClassifier"):
        clf.fit([[0], [1]], ["a", "b"])


def test_unfitted():
    clf = LabelCleaningClassifier(LogisticRegression())
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(clf, method)([[0]])
    with pytest.raises(NotFittedError):
        clf.score([[0]], ["a"])
    assert not hasattr(clf, "classes_")
    assert not hasattr(clf, "n_features_in_")


def test_methods_that_the_classifier_lacks():
    clf = LabelCleaningClassifier(RidgeClassifier())
    assert hasattr(clf, "decision_function")
    assert not hasattr(clf, "predict_proba")


def test_names_of_features():
    X = pd.DataFrame({"a": [0, 1], "b": [1, 0]})
    clf = LabelCleaningClassifier(LogisticRegression()).fit(X, ["x", "y"])
    assert clf.feature_names_in_.tolist() == ["a", "b"]
    clf.fit(X.to_numpy(), ["x", "y"])
    assert not hasattr(clf, "feature_names_in_")


def test_pickle():
    clf = LabelCleaningClassifier(LogisticRegression()).fit([[0], [1]], ["a", "b"])
    assert pickle.loads(pickle.dumps(clf)).predict([[1]]).tolist() == ["b"]


# --- unknown labels ----------------------------------------------------------------------------------------


def test_a_missing_label_is_an_error_by_default():
    with pytest.raises(LabelError, match=r"None \(missing, 1 x\)"):
        LabelCleaningClassifier(Recorder()).fit([[0], [1]], ["a", None])


@changed
@pytest.mark.parametrize("X", [[[0], [1], [2]], np.zeros((3, 2, 2, 3)), ["a.png", "b.png", "c.png"]])
def test_rows_without_a_label_are_dropped_with_all_that_belongs_to_them(X):
    clf = LabelCleaningClassifier(Recorder(), cleaner=LabelCleaner(on_unknown="drop"))
    weight = np.array([1.0, 2.0, 3.0])
    clf.fit(X, ["a", None, "B"], sample_weight=weight, groups=["p", "q", "r"], note="abc")
    given = clf.estimator_.given_
    assert len(given["X"]) == 2
    assert given["y"].tolist() == ["a", "b"]
    assert given["sample_weight"].tolist() == [1, 3]
    assert given["groups"] == ["p", "r"]
    assert given["note"] == "abc"  # three letters are not three samples
    assert weight.tolist() == [1, 2, 3]
    assert clf.score(X, ["A", "zebra", "b"], sample_weight=weight) == 0.5
    assert clf.estimator_.scored_["sample_weight"].tolist() == [1, 3]
    assert clf.estimator_.scored_["y"].tolist() == ["a", "b"]


def test_x_is_handed_on_as_it_is_where_nothing_is_dropped():
    X = ["a.png", "b.png"]
    assert LabelCleaningClassifier(Recorder()).fit(X, ["a", "b"]).estimator_.given_["X"] is X


def test_unknown_labels_at_score():
    X = [[0], [9], [9]]
    clf = LabelCleaningClassifier(LogisticRegression()).fit(X, ["a", "b", "b"])
    with pytest.raises(LabelError, match=r"'zebra' \(unknown, 1 x\)\. The classes are 'a', 'b'"):
        clf.score(X, ["a", "b", "zebra"])
    clf = LabelCleaningClassifier(LogisticRegression(), cleaner=LabelCleaner(on_unknown="keep"))
    assert clf.fit(X, ["a", "b", "b"]).score(X, ["a", "b", "zebra"]) == pytest.approx(2 / 3)
    clf = LabelCleaningClassifier(LogisticRegression(), cleaner=LabelCleaner(on_unknown="drop"))
    assert clf.fit(X, ["a", "b", "b"]).score(X, ["a", "b", "zebra"]) == 1


@pytest.mark.parametrize("on_unknown", ["raise", "drop"])
def test_lengths_that_differ(on_unknown):
    clf = LabelCleaningClassifier(LogisticRegression(), cleaner=LabelCleaner(on_unknown=on_unknown))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit([[0], [1], [2]], ["a", "b"])


# --- metadata ----------------------------------------------------------------------------------------------


def test_metadata_routing_to_the_classifier_inside():
    weight, groups = np.array([1.0, 2.0]), np.array([7, 8])
    with config_context(enable_metadata_routing=True):
        inner = (
            Recorder().set_fit_request(sample_weight=True, groups=True).set_score_request(sample_weight=True)
        )
        pipeline = make_pipeline(MinMaxScaler(), LabelCleaningClassifier(inner))
        pipeline.fit([[0], [1]], ["a", "b"], sample_weight=weight, groups=groups)
        pipeline.score([[0], [1]], ["a", "b"], sample_weight=weight)
        recorder = pipeline[-1].estimator_
        assert recorder.given_["sample_weight"] is weight
        assert recorder.given_["groups"] is groups
        assert recorder.scored_["sample_weight"] is weight


def test_metadata_that_were_not_requested():
    with config_context(enable_metadata_routing=True):
        clf = LabelCleaningClassifier(Recorder())
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            clf.fit([[0], [1]], ["a", "b"], sample_weight=[1, 2])
        assert not hasattr(clf, "set_fit_request")  # requests belong on the classifier inside


def test_groups_reach_the_classifier_in_cross_validation(samples):
    X, truth, _ = samples
    groups = np.arange(60) // 6
    with config_context(enable_metadata_routing=True):
        clf = LabelCleaningClassifier(Recorder().set_fit_request(groups=True))
        found = cross_validate(
            clf, X, truth, params={"groups": groups}, cv=StratifiedGroupKFold(2), return_estimator=True
        )
    for fitted in found["estimator"]:
        assert len(fitted.estimator_.given_["groups"]) == len(fitted.estimator_.given_["X"])


def test_sample_weight_is_seen_by_ensembles(samples):
    X, truth, _ = samples
    clf = BaggingClassifier(LabelCleaningClassifier(LogisticRegression()), n_estimators=2, random_state=0)
    assert clf.fit(X, truth, sample_weight=np.ones(60)).score(X, truth) > 0.7


# --- scoring -----------------------------------------------------------------------------------------------


@changed
@pytest.mark.parametrize("scoring", ["balanced_accuracy", "accuracy", "roc_auc", "neg_log_loss"])
def test_clean_scorer_in_cross_validation_gives_the_numbers_of_clean_labels(samples, scoring):
    X, truth, messy = samples
    cv = KFold(3, shuffle=True, random_state=0)
    plain = cross_val_score(LogisticRegression(), X, truth, cv=cv, scoring=scoring)
    clf = make_pipeline(LabelCleaningClassifier(LogisticRegression()))
    cleaned = cross_val_score(clf, X, messy, cv=cv, scoring=clean_scorer(scoring))
    np.testing.assert_array_equal(cleaned, plain)


@changed
def test_the_default_score_in_cross_validation_cleans(samples):
    X, truth, messy = samples
    cv = KFold(3, shuffle=True, random_state=0)
    clf = LabelCleaningClassifier(LogisticRegression())
    np.testing.assert_array_equal(
        cross_val_score(clf, X, messy, cv=cv), cross_val_score(LogisticRegression(), X, truth, cv=cv)
    )


def test_a_plain_scorer_on_changed_labels_is_warned_of(samples):
    X, _, messy = samples
    with pytest.warns(DataConversionWarning, match=r"give scoring=clean_scorer\(") as caught:
        LabelCleaningClassifier(LogisticRegression()).fit(X, messy)
    assert caught[0].filename == __file__


def test_clean_labels_give_no_warning_and_plain_scorers_work(samples):
    X, truth, _ = samples
    clf = LabelCleaningClassifier(LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cross_val_score(clf, X, truth, scoring="balanced_accuracy")
    np.testing.assert_array_equal(
        found, cross_val_score(LogisticRegression(), X, truth, scoring="balanced_accuracy")
    )


@changed
def test_cross_validation_by_patient_and_label(samples):
    """The recipe of the docstring: split on clean labels."""
    X, truth, messy = samples
    cv = list(StratifiedGroupKFold(3).split(X, LabelCleaner().fit_transform(messy), np.arange(60) // 3))
    found = cross_val_score(
        LabelCleaningClassifier(LogisticRegression()),
        X,
        messy,
        cv=cv,
        scoring=clean_scorer("balanced_accuracy"),
    )
    expected = cross_val_score(LogisticRegression(), X, truth, cv=cv, scoring="balanced_accuracy")
    np.testing.assert_array_equal(found, expected)


@changed
def test_grid_search_with_several_clean_scorers(samples):
    X, _, messy = samples
    search = GridSearchCV(
        LabelCleaningClassifier(LogisticRegression()),
        {"estimator__C": [0.1, 1]},
        scoring={name: clean_scorer(name) for name in ("balanced_accuracy", "roc_auc")},
        refit="roc_auc",
        cv=KFold(3, shuffle=True, random_state=0),
    )
    search = clone(search).fit(X, messy)
    assert search.best_score_ > 0.7
    assert search.cv_results_["mean_test_balanced_accuracy"].min() > 0.5


@changed
def test_clean_scorer_drops_with_the_cleaner(samples):
    X, truth, messy = samples
    messy[:10] = None
    cleaner = LabelCleaner(on_unknown="drop")
    clf = LabelCleaningClassifier(LogisticRegression(), cleaner=cleaner).fit(X, messy)
    weight = np.arange(60.0)
    found = clean_scorer("balanced_accuracy", cleaner)(clf, X, messy, sample_weight=weight)
    expected = balanced_accuracy_score(truth[10:], clf.predict(X[10:]), sample_weight=weight[10:])
    assert found == pytest.approx(expected)
    with pytest.raises(LabelError, match="None"):
        clean_scorer("balanced_accuracy")(clf, X, messy)


def test_clean_scorer_for_a_classifier_with_numbers():
    clf = DummyClassifier(strategy="constant", constant=10).fit([[0]] * 3, [2, 10, 10])
    assert clean_scorer("accuracy")(clf, [[0]] * 2, ["10.0", "2"]) == 0.5


def test_clean_scorer_for_a_classifier_that_learned_messy_labels():
    clf = DummyClassifier().fit([[0]] * 3, ["A", "a", "b"])
    with pytest.raises(LabelError, match=r"several spellings of one class.*\['A', 'a', 'b'\]"):
        clean_scorer("accuracy")(clf, [[0]], ["a"])


def test_clean_scorer_takes_metadata_requests(samples):
    X, truth, _ = samples
    with config_context(enable_metadata_routing=True):
        scorer = clean_scorer(get_scorer("accuracy").set_score_request(sample_weight=True))
        clf = LabelCleaningClassifier(LogisticRegression().set_fit_request(sample_weight=False))
        weight = np.where(truth == "benign", 1.0, 0.0)
        found = cross_val_score(clf, X, truth, scoring=scorer, params={"sample_weight": weight}, cv=2)
    assert found.mean() > 0.8


def test_clean_scorer_pickles_and_rejects_an_unknown_name():
    assert (
        pickle.loads(pickle.dumps(clean_scorer("accuracy"))).cleaner.get_params()
        == LabelCleaner().get_params()
    )
    with pytest.raises(ValueError, match="balanced"):
        clean_scorer("balanced")
