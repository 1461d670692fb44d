"""The classifiers among scikit-learn's tools: what wrappers of networks get wrong."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from histoclf import Augmentation, ImageLoader, PixelScaler, StainNormalizer
from histoclf.exceptions import SplitError
from histoclf.io import save_patches
from tests.tiny import textures, tiny_cnn, tiny_transfer

X, y = textures()
PATIENTS = np.arange(len(y)) // 8

# Fits on few of few images are not the matter here.
pytestmark = pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")


each_classifier = pytest.mark.parametrize("make", [tiny_cnn, tiny_transfer])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Files named after IDC, 8 patients."""
    names = np.array([f"P{patient}" for patient in PATIENTS])
    return save_patches(X, y, names, None, tmp_path_factory.mktemp("idc"))


# --- the faults of wrappers, turned round ------------------------------------------------------------------


@each_classifier
def test_it_is_a_classifier_and_cross_validation_is_stratified(make):
    assert is_classifier(make())
    assert isinstance(check_cv(3, y, classifier=is_classifier(make())), StratifiedKFold)


@each_classifier
def test_cross_val_score_copes_with_sorted_labels(make):
    order = np.argsort(y)
    assert cross_val_score(make(), X[order], y[order], cv=2).mean() > 0.8


@each_classifier
def test_every_kind_of_scoring_works(make):
    scoring = ["roc_auc", "neg_log_loss", "balanced_accuracy"]
    scores = cross_validate(make(), X, y, cv=2, scoring=scoring, error_score="raise")
    assert scores["test_roc_auc"].mean() > 0.8
    assert scores["test_balanced_accuracy"].mean() > 0.7
    assert np.all(scores["test_neg_log_loss"] < 0)


@each_classifier
@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: VotingClassifier(
            [("a", clf), ("b", clone(clf).set_params(random_state=1))], voting="soft"
        ),
        lambda clf: StackingClassifier([("a", clf)], LogisticRegression(), cv=2),
    ],
    ids=["calibrated", "voting", "stacking"],
)
def test_it_works_inside_other_classifiers(make, wrap):
    outer = wrap(make()).fit(X, y)
    assert outer.predict_proba(X).shape == (len(X), 2)
    assert outer.score(X, y) > 0.8


@each_classifier
def test_one_row_gives_one_row_of_probabilities(make):
    fitted = make().fit(X, y)
    assert fitted.predict_proba(X[:1]).shape == (1, 2)
    assert fitted.predict(X[:1]).shape == (1,)


@each_classifier
def test_clone_keeps_everything(make):
    clf = make(augmentation=Augmentation(stain=0.1), class_weight={"fine": 2.0, "coarse": 1.0})
    copied = clone(clf)
    assert copied.augmentation is not clf.augmentation
    params, original = copied.get_params(), clf.get_params()
    assert params.pop("augmentation").get_params() == original.pop("augmentation").get_params()
    assert params == original


@pytest.mark.parametrize(
    "clf",
    [tiny_cnn(augmentation=Augmentation()), tiny_transfer(augmentation=Augmentation(), augmented_copies=1)],
    ids=["cnn", "transfer"],
)
def test_nested_parameters_are_reachable_and_searchable(clf):
    assert clf.set_params(augmentation__stain=0.2).augmentation.stain == 0.2
    search = GridSearchCV(clf, {"augmentation__stain": [0.0, 0.1]}, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.augmentation.stain in (0.0, 0.1)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


@pytest.mark.parametrize(
    "clf",
    [
        tiny_cnn(class_weight="balanced"),
        tiny_transfer(class_weight="balanced"),
        tiny_transfer(class_weight="balanced", fine_tune_layers=1, epochs=2, augmentation="flips"),
    ],
    ids=["cnn", "frozen", "tuned"],
)
def test_inputs_are_left_alone(clf):
    images, labels = X.copy(), y.copy()
    weights = np.linspace(0.5, 1.5, len(y))
    given = weights.copy()
    clf.fit(images, labels, sample_weight=weights)
    np.testing.assert_array_equal(weights, given)
    np.testing.assert_array_equal(images, X)
    np.testing.assert_array_equal(labels, y)


@each_classifier
def test_read_only_inputs_are_accepted(make):
    images = (X / 255).astype("float32")
    images.flags.writeable = False
    assert make().fit(images, y).score(images, y) > 0.9


@pytest.mark.parametrize(
    "steps",
    [
        lambda: [PixelScaler(), tiny_transfer()],
        lambda: [StainNormalizer(method="reinhard"), tiny_transfer()],
        lambda: [ImageLoader(image_size=16, flatten=True), tiny_transfer(image_shape=(16, 16, 3))],
    ],
    ids=["scaled", "normalised", "loaded"],
)
def test_it_works_at_the_end_of_a_pipeline(steps, paths):
    given = paths if isinstance(steps()[0], ImageLoader) else X
    pipeline = make_pipeline(*steps()).fit(given, y)
    assert pipeline.score(given, y) > 0.9
    assert pipeline.predict_proba(given[:1]).shape == (1, 2)


# --- groups ------------------------------------------------------------------------------------------------


def held_out_patients(clf, patients):
    held_out = np.zeros(len(patients), dtype=bool)
    held_out[clf.validation_indices_] = True
    assert held_out.any()
    assert not set(patients[held_out]) & set(patients[~held_out])
    return set(patients[held_out])


def test_no_patient_is_on_both_sides():
    clf = tiny_cnn(early_stopping=True).fit(X, y, groups=PATIENTS)
    held_out_patients(clf, PATIENTS)
    assert clf.groups_source_ == "groups"


@pytest.mark.parametrize(
    "clf",
    [
        tiny_cnn(early_stopping=True),
        tiny_transfer(head="mlp", epochs=2),
        tiny_transfer(fine_tune_layers=1, epochs=2),
    ],
    ids=["cnn", "mlp", "tuned"],
)
def test_patients_are_taken_from_file_names(clf, paths):
    clf.fit(paths, y)
    held_out_patients(clf, PATIENTS)
    assert clf.groups_source_ == "IDC file names"


def test_patients_in_file_names_give_way_to_groups(paths):
    clf = tiny_cnn(early_stopping=True).fit(paths, y, groups=np.arange(len(y)))
    assert clf.groups_source_ == "groups"
    held_out = PATIENTS[clf.validation_indices_]
    assert set(held_out) & set(np.delete(PATIENTS, clf.validation_indices_))


def test_without_patients_the_split_is_by_sample():
    clf = tiny_cnn(early_stopping=True).fit(X, y)
    assert clf.groups_source_ == "unknown"
    assert np.unique(y[clf.validation_indices_]).tolist() == ["coarse", "fine"]


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def test_groups_go_through_a_pipeline(routing):
    clf = tiny_cnn(early_stopping=True).set_fit_request(groups=True)
    pipeline = make_pipeline(PixelScaler(), clf).fit(X, y, groups=PATIENTS)
    held_out_patients(pipeline[-1], PATIENTS)


def test_groups_go_through_a_search_and_its_splitter(routing):
    clf = tiny_cnn(early_stopping=True).set_fit_request(groups=True)
    pipeline = make_pipeline(PixelScaler(), clf)
    grid = {"histocnnclassifier__dropout": [0.0, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=StratifiedGroupKFold(2), error_score="raise")
    search.fit(X, y, groups=PATIENTS)
    held_out_patients(search.best_estimator_[-1], PATIENTS)


def test_a_class_within_one_patient_cannot_be_held_out():
    with pytest.raises(SplitError, match="'fine' is in one patient only"):
        tiny_cnn(early_stopping=True).fit(X, y, groups=np.where(y == "fine", -1, PATIENTS))


# --- searches in parallel ----------------------------------------------------------------------------------

_SEARCH = """
import sys, warnings, numpy as np
from sklearn.model_selection import GridSearchCV
from tests.tiny import tiny_cnn, tiny_transfer

warnings.simplefilter("ignore")
folder, n_jobs, out, memory = sys.argv[1:]
data = np.load(folder, allow_pickle=True)
clf, grid = tiny_cnn(), {"dropout": [0.0, 0.2]}
if memory:
    clf, grid = tiny_transfer(memory=memory), {"C": [0.01, 1.0], "pooling": ["avg", "max"]}
search = GridSearchCV(clf, grid, cv=2, n_jobs=int(n_jobs), error_score="raise")
search.fit(data["paths"], data["y"])
results = search.cv_results_
scores = [results[f"split{split}_test_score"] for split in (0, 1)]
np.savez(out, scores=np.array(scores), p=search.predict_proba(data["paths"]))
"""


@pytest.mark.slow
@each_classifier
def test_a_parallel_search_over_files_gives_the_scores_of_a_serial_one(make, paths, tmp_path, child_env):
    """joblib allows each of two workers half of the cores, and one thread each is what both legs get here."""
    np.savez(tmp_path / "data.npz", paths=paths, y=y)
    env = child_env | {"OMP_NUM_THREADS": "1"}
    found = []
    for n_jobs in ("1", "2"):
        out = tmp_path / f"{n_jobs}.npz"
        memory = str(tmp_path / f"cache {n_jobs}") if make is tiny_transfer else ""
        command = [sys.executable, "-c", _SEARCH, str(tmp_path / "data.npz"), n_jobs, str(out), memory]
        subprocess.run(command, check=True, env=env, timeout=300)
        found.append(np.load(out))
    np.testing.assert_array_equal(found[0]["scores"], found[1]["scores"])
    np.testing.assert_array_equal(found[0]["p"], found[1]["p"])


# --- memory ------------------------------------------------------------------------------------------------

_MEMORY = """
import gc, psutil, warnings
from tests.tiny import textures, tiny_cnn

warnings.simplefilter("ignore")
X, y = textures()

def resident():
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20

for _ in range(5):  # what is loaded once
    tiny_cnn(early_stopping=True).fit(X, y)
start = resident()
for seed in range(40):
    tiny_cnn(early_stopping=True, random_state=seed).fit(X, y).predict(X)
print((resident() - start) / 40)
"""


@pytest.mark.slow
def test_memory_grows_by_less_than_a_megabyte_a_fit(child_env):
    pytest.importorskip("psutil")
    command = [sys.executable, "-c", _MEMORY]
    done = subprocess.run(command, check=True, env=child_env, capture_output=True, text=True, timeout=300)
    assert float(done.stdout.split()[-1]) <= 1.0
