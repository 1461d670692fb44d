import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import (
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from histoclf import HistoCNNClassifier, LabelCleaningClassifier
from histoclf.classifiers._slide_context import SlideContextClassifier
from histoclf.datasets import make_patches
from histoclf.evaluation import evaluate, mean_colours
from histoclf.evaluation._baselines import shortcut_classifier
from histoclf.exceptions import CollapsedModelWarning, LabelError
from histoclf.io import save_patches
from histoclf.preprocessing import PixelScaler

MADE = make_patches(n_patients=6, patches_per_patient=10, image_size=16, random_state=0)
ROWS = MADE.images.reshape(60, -1) / 255


class Recorder(ClassifierMixin, BaseEstimator):
    """Remember what fit was given; answer the classes' shares, or what a feature says."""

    seen: list = []  # noqa: RUF012 - of the class, since evaluate fits clones

    def __init__(self, *, says=None, warns=None):
        self.says = says
        self.warns = warns

    def fit(self, X, y, groups=None):
        if self.warns:
            warnings.warn(self.warns, CollapsedModelWarning, stacklevel=2)
        self.seen.append((X, y, groups))
        self.classes_ = np.unique(y) if self.says is None else np.array(self.says)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.fixture
def seen():
    Recorder.seen.clear()
    return Recorder.seen


@pytest.fixture(scope="module")
def evaluation():
    model = LogisticRegression(max_iter=2000)
    return evaluate(model, ROWS, MADE.labels, groups=MADE.groups, cv=3)


def test_probabilities_are_those_of_cross_val_predict(evaluation):
    expected = cross_val_predict(
        LogisticRegression(max_iter=2000),
        ROWS,
        MADE.labels,
        groups=MADE.groups,
        cv=StratifiedGroupKFold(3, shuffle=True, random_state=0),
        method="predict_proba",
    )
    assert np.array_equal(evaluation.probabilities, expected)
    assert evaluation.classes.tolist() == ["benign", "malignant"]


def test_scores_are_those_of_scikit_learn(evaluation):
    row = evaluation.rows[0]
    predicted = evaluation.classes[evaluation.probabilities.argmax(axis=1)]
    assert row.balanced_accuracy == pytest.approx(balanced_accuracy_score(MADE.labels, predicted))
    assert row.auc == pytest.approx(roc_auc_score(MADE.labels, evaluation.probabilities[:, 1]))
    assert row.accuracy == pytest.approx(np.mean(MADE.labels == predicted))
    low, high = row.auc_interval
    assert low <= row.auc <= high


def test_baselines_are_always_there_on_the_same_folds(evaluation):
    assert [row.name for row in evaluation.rows] == ["LogisticRegression", "mean colour", "majority class"]
    majority = evaluation.rows[2]
    assert (majority.balanced_accuracy, majority.auc, majority.within_patient_auc) == (0.5, 0.5, 0.5)
    assert majority.accuracy == max(np.unique(MADE.labels, return_counts=True)[1]) / 60
    assert evaluation.folds.min() == 0
    assert evaluation.folds.max() == 2
    assert len(evaluation.fit_times) == 3


def test_a_seed_gives_the_same_evaluation(evaluation):
    again = evaluate(LogisticRegression(max_iter=2000), ROWS, MADE.labels, groups=MADE.groups, cv=3)
    assert again.to_dict()["rows"] == evaluation.to_dict()["rows"]
    assert again.learning_curve == evaluation.learning_curve


def test_fit_is_given_the_patients_of_its_part(seen):
    evaluate(Recorder(), ROWS, MADE.labels, groups=MADE.groups, cv=2)
    assert [len(groups) for _, _, groups in seen] == [len(y) for _, y, _ in seen]
    assert {*seen[0][2]} & {*seen[1][2]} == set()


def test_patients_are_routed_through_a_pipeline(seen):
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(PixelScaler(), Recorder().set_fit_request(groups=True))
        evaluate(pipeline, MADE.images.reshape(60, -1), MADE.labels, groups=MADE.groups, cv=2)
    assert seen[0][2] is not None


def test_colours_are_given_the_same_context(seen):
    places = {"groups": MADE.groups, "coords": MADE.coords}
    clf = SlideContextClassifier(Recorder(), radius=16.0, weight=1.0)
    evaluation = evaluate(clf, ROWS, MADE.labels, **places, cv=2)
    assert [row.name for row in evaluation.rows] == [
        "SlideContextClassifier",
        "mean colour with context",
        "mean colour",
        "majority class",
    ]
    inner = clone(clf).set_params(estimator=shortcut_classifier())
    colours = mean_colours(ROWS)
    folds = StratifiedGroupKFold(2, shuffle=True, random_state=0).split(colours, MADE.labels, MADE.groups)
    for train, test in folds:
        given = [{name: values[rows] for name, values in places.items()} for rows in (train, test)]
        inner.fit(colours[train], MADE.labels[train], **given[0])
        expected = inner.predict_proba(colours[test], **given[1])
        assert np.array_equal(evaluation.out_of_fold["mean colour with context"][test], expected)
    assert {*seen[0][2]} & {*seen[1][2]} == set()
    first, second = (row.balanced_accuracy for row in evaluation.rows[:2])
    assert evaluation.comparisons[0].second == "mean colour with context"
    assert evaluation.comparisons[0].difference == first - second


def test_places_are_those_of_names_where_they_tell(tmp_path):
    paths = save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, tmp_path)
    clf = SlideContextClassifier(OfFiles(), radius=16.0, weight=1.0)
    of_names = evaluate(clf, paths, MADE.labels, cv=2)
    given = evaluate(clf, paths, MADE.labels, groups=MADE.groups, coords=MADE.coords, cv=2)
    assert of_names.to_dict()["rows"] == given.to_dict()["rows"]
    assert of_names.groups is not None
    wrapped = evaluate(LabelCleaningClassifier(clf), paths, MADE.labels, cv=2)  # takes no coords itself
    assert wrapped.to_dict()["rows"][1:] == of_names.to_dict()["rows"][1:]


class OfFiles(DummyClassifier):
    """A classifier of files, which looks at nothing but how many there are."""

    def fit(self, X, y):
        return super().fit(np.zeros((len(X), 1)), y)


def test_places_are_routed_through_a_pipeline_to_fit_and_to_predict():
    with sklearn.config_context(enable_metadata_routing=True):
        asked = {"groups": True, "coords": True}
        clf = SlideContextClassifier(LogisticRegression(max_iter=2000), radius=16.0, weight=1.0)
        clf.set_fit_request(**asked).set_predict_proba_request(**asked)
        places = {"groups": MADE.groups, "coords": MADE.coords}
        piped = evaluate(make_pipeline(PixelScaler(), clf), 255 * ROWS, MADE.labels, **places, cv=2)
        alone = evaluate(clf, PixelScaler().fit_transform(255 * ROWS), MADE.labels, **places, cv=2)
    assert piped.rows[0].auc == pytest.approx(alone.rows[0].auc, abs=0.02)
    assert piped.rows[1].name == "mean colour with context"


def test_unknown_patients_are_no_argument_of_fit_and_a_warning(seen):
    evaluation = evaluate(Recorder(), ROWS, MADE.labels, cv=2)
    assert seen[0][2] is None
    assert "patients are unknown" in evaluation.warnings[0]
    assert np.isnan(evaluation.rows[0].patient_accuracy)


def test_warnings_of_fits_become_words(seen):
    evaluation = evaluate(Recorder(warns="it collapsed"), ROWS, MADE.labels, groups=MADE.groups, cv=2)
    assert "Folds 1, 2: it collapsed" in evaluation.warnings


def test_patients_on_both_sides_are_a_warning():
    cv = KFold(2, shuffle=True, random_state=0)
    evaluation = evaluate(DummyClassifier(), ROWS, MADE.labels, groups=MADE.groups, cv=cv)
    assert any("6 patients are both trained on and tested on (P01" in text for text in evaluation.warnings)


def test_rows_that_no_fold_tests_are_left_out_and_said():
    cv = GroupShuffleSplit(1, test_size=2, random_state=0)
    evaluation = evaluate(DummyClassifier(), ROWS, MADE.labels, groups=MADE.groups, cv=cv)
    assert np.isnan(evaluation.probabilities[evaluation.folds < 0]).all()
    assert any("40 of 60 patches were never tested" in text for text in evaluation.warnings)


def test_two_jobs_give_what_one_gives():
    one, two = (
        evaluate(
            LogisticRegression(max_iter=2000), ROWS, MADE.labels, groups=MADE.groups, cv=2, n_jobs=n_jobs
        )
        for n_jobs in (1, 2)
    )
    assert one.to_dict()["rows"] == two.to_dict()["rows"]
    assert one.learning_curve == two.learning_curve


def test_the_estimator_and_the_data_are_not_changed():
    model, X = LogisticRegression(max_iter=2000), ROWS.copy()
    evaluate(model, X, MADE.labels, groups=MADE.groups, cv=2)
    assert not hasattr(model, "coef_")
    assert np.array_equal(X, ROWS)


def test_three_classes_and_patients_of_one_class():
    made = make_patches(n_patients=9, patches_per_patient=9, image_size=16, n_classes=3, random_state=0)
    kept = made.labels == np.repeat(np.tile(made.classes, 3), 9)  # each patient's own class only
    X, y, groups = made.images[kept].reshape(kept.sum(), -1) / 255, made.labels[kept], made.groups[kept]
    evaluation = evaluate(LogisticRegression(max_iter=2000), X, y, groups=groups, cv=3)
    assert evaluation.probabilities.shape == (kept.sum(), 3)
    assert evaluation.rows[0].n_within == 0
    assert 0 <= evaluation.rows[0].patient_auc <= 1
    assert evaluation.rows[2].patient_balanced_accuracy == pytest.approx(1 / 3)
    assert "Every patient has one class" in evaluation.to_text()


def test_numbers_are_labels_too():
    y = (MADE.labels == "malignant").astype(int)
    evaluation = evaluate(LogisticRegression(max_iter=2000), ROWS, y, groups=MADE.groups, cv=2)
    assert evaluation.classes.tolist() == [0, 1]


def test_a_column_of_paths_is_taken(tmp_path):
    paths = save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, tmp_path)
    of_files = evaluate(DummyClassifier(), pd.Series(paths), MADE.labels, groups=MADE.groups, cv=2)
    of_arrays = evaluate(DummyClassifier(), MADE.images, MADE.labels, groups=MADE.groups, cv=2)
    assert of_files.rows[1].auc == pytest.approx(of_arrays.rows[1].auc, abs=0.05)


def test_flattened_images_keep_their_colours():
    flat = MADE.images.reshape(60, -1)
    pipeline = make_pipeline(PixelScaler(), Shaped(image_shape=(16, 16, 3)))
    with_shape = evaluate(pipeline, flat, MADE.labels, groups=MADE.groups, cv=2)
    as_images = evaluate(DummyClassifier(), MADE.images, MADE.labels, groups=MADE.groups, cv=2)
    assert with_shape.to_dict()["rows"][1] == as_images.to_dict()["rows"][1]


class Shaped(DummyClassifier):
    """A classifier that knows the shape of flattened images."""

    def __init__(self, *, image_shape=None):
        super().__init__()
        self.image_shape = image_shape


def test_a_bar_shows_how_far_it_is(capsys):
    evaluate(LogisticRegression(max_iter=2000), ROWS, MADE.labels, groups=MADE.groups, cv=2, verbose=1)
    out, err = capsys.readouterr()
    assert "100%" in err
    assert "fit 12 of 12, LogisticRegression / " in err
    assert out == ""


def test_what_cannot_be_evaluated_is_said():
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        evaluate(LinearSVC(), ROWS, MADE.labels)
    with pytest.raises(ValueError, match="y has only 1 class, 'benign'"):
        evaluate(DummyClassifier(), ROWS, ["benign"] * 60)
    with pytest.raises(LabelError, match="1 labels are missing"):
        evaluate(DummyClassifier(), ROWS, np.array([None, *MADE.labels[1:]], dtype=object))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        evaluate(DummyClassifier(), ROWS, MADE.labels[1:])
    with pytest.raises(TypeError, match="coords were given, but fit of DummyClassifier does not take them"):
        evaluate(DummyClassifier(), ROWS, MADE.labels, groups=MADE.groups, coords=MADE.coords)
    with pytest.raises(ValueError, match="coords are unknown"):
        evaluate(SlideContextClassifier(DummyClassifier()), ROWS, MADE.labels, groups=MADE.groups)
    with pytest.raises(ValueError, match="expected 'all', 'colour', None, or names among mean colour"):
        evaluate(DummyClassifier(), ROWS, MADE.labels, baselines="color")
    with pytest.raises(ValueError, match="learning_curve='yes': expected True, False or 'auto'"):
        evaluate(DummyClassifier(), ROWS, MADE.labels, learning_curve="yes")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        evaluate(DummyClassifier(), ROWS, MADE.labels, sites=["here"])
    with pytest.raises(ValueError, match=r"has the classes \['x', 'y'\], but y has"):
        evaluate(Recorder(says=["x", "y"]), ROWS, MADE.labels, groups=MADE.groups, cv=2)


def test_the_network_is_evaluated_by_patient():
    clf = HistoCNNClassifier(filters=(8, 8), epochs=2, early_stopping=True, random_state=0)
    evaluation = evaluate(clf, MADE.images, MADE.labels, groups=MADE.groups, cv=2)
    assert evaluation.rows[0].name == "HistoCNNClassifier"
    assert evaluation.probabilities.sum(axis=1) == pytest.approx(np.ones(60))


class OfImages(LogisticRegression):
    """A classifier of images."""

    def fit(self, X, y):
        return super().fit(X.reshape(len(X), -1) / 255.0, y)

    def predict_proba(self, X):
        return super().predict_proba(X.reshape(len(X), -1) / 255.0)


@pytest.fixture(scope="module")
def everything():
    """All that can be asked for, of images."""
    return evaluate(
        OfImages(max_iter=2000),
        MADE.images,
        MADE.labels,
        groups=MADE.groups,
        cv=3,
        learning_curve=True,
        inflation=True,
    )


def test_pictures_have_the_shortcuts_of_colour(everything):
    names = [row.name for row in everything.rows[1:]]
    assert names == ["mean colour", "colour histogram", "blank share", "majority class"]
    assert [found.second for found in everything.comparisons] == names


def test_the_value_added_is_that_over_the_best_of_them(everything):
    best = max(everything.rows[1:], key=lambda row: row.balanced_accuracy)
    found = everything.value_added
    assert found.second == best.name
    assert found.difference == pytest.approx(everything.model.balanced_accuracy - best.balanced_accuracy)
    low, high = found.interval
    assert low < found.difference < high


def test_the_inflation_is_that_of_a_random_split(everything):
    p = cross_val_predict(
        OfImages(max_iter=2000),
        MADE.images,
        MADE.labels,
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        method="predict_proba",
    )
    predicted = everything.classes[p.argmax(axis=1)]
    assert everything.inflation.balanced_accuracy == balanced_accuracy_score(MADE.labels, predicted)
    assert everything.inflation.difference == pytest.approx(
        everything.inflation.balanced_accuracy - everything.model.balanced_accuracy
    )
    assert any(note.startswith("a random split of patches") for note in everything.notes)


def test_the_training_score_is_that_of_what_was_learned_from(everything):
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=0).split(ROWS, MADE.labels, MADE.groups)
    scores = []
    for train, _ in folds:
        model = OfImages(max_iter=2000).fit(MADE.images[train], MADE.labels[train])
        predicted = everything.classes[model.predict_proba(MADE.images[train]).argmax(axis=1)]
        scores.append(balanced_accuracy_score(MADE.labels[train], predicted))
    assert everything.training_score == pytest.approx(np.mean(scores))


def test_a_quick_classifier_has_all_of_it_by_itself(evaluation):
    assert evaluation.inflation is not None
    kinds = [(point.kind, point.share) for point in evaluation.learning_curve.points]
    assert kinds == [("patients", 0.5), ("patches", 0.25), ("patches", 0.5)]  # a quarter is one patient


def test_what_trains_anew_is_asked_for_first(seen):
    evaluation = evaluate(Recorder(), ROWS, MADE.labels, groups=MADE.groups, cv=2)
    assert len(seen) == 2
    assert (evaluation.inflation, evaluation.learning_curve) == (None, None)
    assert "learning_curve=True and inflation=True measures it" in evaluation.notes[-1]
    off = evaluate(
        Recorder(), ROWS, MADE.labels, groups=MADE.groups, cv=2, learning_curve=False, inflation=False
    )
    assert not any("measures it" in note for note in off.notes)
    evaluate(Recorder(), ROWS, MADE.labels, groups=MADE.groups, cv=2, inflation=True)
    assert len(seen) == 8


class Picky(OfImages):
    """A classifier that cannot learn from few patches."""

    def fit(self, X, y):
        if len(X) < 25:
            raise ValueError(f"{len(X)} patches are too few")
        return super().fit(X, y)


def test_what_cannot_be_fitted_beside_the_table_is_said_and_left_out():
    evaluation = evaluate(
        Picky(max_iter=2000), MADE.images, MADE.labels, groups=MADE.groups, cv=3, learning_curve=True
    )
    assert evaluation.learning_curve is None
    assert evaluation.notes[-1].startswith("not measured, half of the patches: ")
    with pytest.raises(ValueError, match="patches are too few"):
        evaluate(Picky(), MADE.images[:40], MADE.labels[:40], groups=MADE.groups[:40], cv=2)


def test_baselines_can_be_chosen():
    def names(baselines):
        evaluation = evaluate(
            DummyClassifier(),
            MADE.images,
            MADE.labels,
            groups=MADE.groups,
            cv=2,
            baselines=baselines,
            audit=False,
            learning_curve=False,
            inflation=False,
        )
        return [row.name for row in evaluation.rows[1:]]

    assert names(None) == ["majority class"]
    assert names("colour") == ["mean colour", "colour histogram", "majority class"]
    assert names(["blank share"]) == ["blank share", "majority class"]


def test_files_that_tell_the_classes_apart_are_found_out(tmp_path):
    paths = []
    for number, (image, label) in enumerate(zip(MADE.images, MADE.labels, strict=True)):
        ending = "jpg" if label == "malignant" else "png"
        paths.append(str(tmp_path / f"{number}.{ending}"))
        Image.fromarray(image).save(paths[-1])
    evaluation = evaluate(OfFiles(), paths, MADE.labels, groups=MADE.groups, cv=2)
    assert evaluation.value_added.second == "file metadata"
    assert evaluation.value_added.difference < -0.4
    said = "\n".join(evaluation.warnings)
    assert "the file format alone tells the classes apart ('benign' PNG; 'malignant' JPEG)" in said
    assert "the file metadata alone (format, size and encoder) has 1.000 balanced accuracy" in said


def test_sites_are_a_shortcut_and_are_told_by_colour():
    sites = np.where(np.isin(MADE.groups, np.unique(MADE.groups)[:3]), "here", "there")
    images = np.where(sites[:, None, None, None] == "here", MADE.images // 2, MADE.images)
    evaluation = evaluate(DummyClassifier(), images, MADE.labels, groups=MADE.groups, sites=sites, cv=2)
    assert "site" in [row.name for row in evaluation.rows]
    probe = next(p for p in evaluation.identity if (p.target, p.shortcut) == ("site", "mean colour"))
    assert (probe.balanced_accuracy, probe.chance) == (1.0, 0.5)


def test_numbers_say_how_soft_they_are(evaluation):
    assert any(re.match(r"6 patients: the interval is ±\d+ points", text) for text in evaluation.warnings)


def test_seed_and_folds_are_recorded_whatever_the_seed_was():
    evaluation = evaluate(
        DummyClassifier(), ROWS, MADE.labels, groups=MADE.groups, cv=2, random_state=np.random.RandomState(5)
    )
    seed = evaluation.settings["random_state"]
    again = evaluate(DummyClassifier(), ROWS, MADE.labels, groups=MADE.groups, cv=2, random_state=seed)
    assert np.array_equal(again.folds, evaluation.folds)
    assert evaluation.settings["n_folds"] == 2


@pytest.mark.real_data
def test_mean_colour_on_real_patches_has_the_published_numbers(real_data):
    from histoclf.io import find_patches

    patches = find_patches(real_data / "idc_breast")
    evaluation = evaluate(
        DummyClassifier(), patches.paths, patches.labels, groups=patches.groups, audit=False
    )
    colour, majority = evaluation.rows[1], evaluation.rows[-1]
    found = (colour.balanced_accuracy, colour.auc, colour.within_patient_auc)
    assert found == pytest.approx((0.829, 0.874, 0.908), abs=0.001)
    assert colour.n_within == 4
    assert (majority.balanced_accuracy, majority.auc, majority.within_patient_auc) == (0.5, 0.5, 0.5)
