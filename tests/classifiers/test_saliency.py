"""Where classifiers see what they answer: at the place where it is, through every wrapper."""

from copy import copy

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from histoclf import HistoCNNClassifier, LabelCleaningClassifier, SlideContextClassifier
from histoclf.classifiers._saliency import find_saliency
from histoclf.exceptions import InputContractError
from tests.tiny import tiny_cnn, tiny_embedder, tiny_transfer

SIDE, BLOB = 32, 8


def blobs(n=48, seed=0):
    """Gray noise; every second image has a bright blob, whose place is told."""
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 120, (n, SIDE, SIDE, 3)).astype("uint8")
    images[0, 0, :2, 0] = 0, 255  # the full range, as slides have it
    corners = rng.integers(3, SIDE - BLOB - 3, (n, 2))
    for image, (top, left) in zip(images[1::2], corners[1::2], strict=True):
        image[top : top + BLOB, left : left + BLOB] = rng.integers(200, 250, (BLOB, BLOB, 3))
    return images, np.tile(["plain", "blob"], n // 2), corners + BLOB / 2 - 0.5


X, Y, _ = blobs()
NEW, NEW_Y, CENTRES = blobs(24, seed=1)
BLOBS = np.flatnonzero(NEW_Y == "blob")
CODE = 0  # "blob" is the first in the alphabet

FITTED = {
    "cnn": lambda: tiny_cnn(epochs=12, batch_size=8),
    "frozen": lambda: tiny_transfer(image_size=SIDE),
    "haematoxylin": lambda: tiny_transfer(image_size=SIDE, channels="rgb+haematoxylin"),
    "max": lambda: tiny_transfer(image_size=SIDE, pooling="max"),
    "mlp": lambda: tiny_transfer(
        image_size=SIDE, head="mlp", hidden_units=32, epochs=40, early_stopping=False
    ),
    "tuned": lambda: tiny_transfer(image_size=SIDE, fine_tune_layers=1, epochs=3, early_stopping=False),
}


@pytest.fixture(scope="module")
def fitted():
    """Each kind of classifier, fitted when it is first asked for."""
    made = {}

    def fit(name):
        if name not in made:
            made[name] = FITTED[name]().fit(X, Y)
        return made[name]

    return fit


def peaks(maps):
    rows, columns = np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[1:3])
    return np.stack([rows, columns], axis=1)


def distances(clf, images, centres):
    maps = find_saliency(clf, images).evidence[..., CODE]
    return np.abs(peaks(maps) - centres).max(axis=1)


@pytest.mark.parametrize("name", FITTED)
def test_the_map_peaks_at_the_blob(fitted, name):
    clf = fitted(name)
    assert clf.score(NEW, NEW_Y) > 0.8
    assert distances(clf, NEW[BLOBS], CENTRES[BLOBS]).max() <= BLOB


@pytest.mark.parametrize("name", ["cnn", "frozen"])
def test_the_peak_moves_along_with_a_flip(fitted, name):
    flipped, centres = NEW[BLOBS][:, :, ::-1], CENTRES[BLOBS] * [1, -1] + [0, SIDE - 1]
    assert distances(fitted(name), flipped, centres).max() <= BLOB


@pytest.mark.parametrize("name", ["cnn", "frozen"])
def test_a_map_that_is_averaged_over_flips_and_turns_turns_with_the_image(fitted, name):
    clf = copy(fitted(name)).set_params(test_time_augmentation=True)
    if name == "frozen":  # its embeddings are averages then
        clf.fit(X, Y)
    upright = find_saliency(clf, NEW[:4]).evidence
    turned = find_saliency(clf, np.rot90(NEW[:4], axes=(1, 2)).copy()).evidence
    np.testing.assert_allclose(turned, np.rot90(upright, axes=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(_log_odds(clf.predict_proba(NEW[:4])), upright.mean(axis=(1, 2)), atol=1e-3)


@pytest.mark.parametrize("name", ["cnn", "frozen"])
def test_random_weights_have_another_map(fitted, name):
    """The sanity check of Adebayo et al. (2018): what a map shows must come from what was learned."""
    clf = fitted(name)
    learned = find_saliency(clf, NEW[BLOBS]).evidence[..., CODE]
    network, weights = clf._whole_network()
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(weight.ravel()).reshape(weight.shape) for weight in weights]
    maps = _maps_of(network, shuffled)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(learned, maps, strict=True)]
    assert np.mean(alike) < 0.7
    assert np.abs(learned - maps).mean() > 0.5


def _maps_of(network, weights):
    from histoclf.networks._engine import borrow_engine
    from histoclf.networks._saliency import SaliencySpec

    with borrow_engine(SaliencySpec(network), weights) as engine:
        return engine.predict(NEW[BLOBS])[..., CODE]


def _log_odds(probabilities):
    return np.log(probabilities / (1 - probabilities))


@pytest.mark.parametrize("name", FITTED)
def test_what_is_told_agrees_with_the_classifier(fitted, name):
    clf = fitted(name)
    found = find_saliency(clf, NEW)
    np.testing.assert_array_equal(found.images, NEW)
    np.testing.assert_array_equal(found.classes, clf.classes_)
    np.testing.assert_array_equal(found.probabilities, clf.predict_proba(NEW))
    expected = _log_odds(np.clip(found.probabilities, 1e-6, 1 - 1e-6))
    sure = np.abs(expected) > 10
    means = found.evidence.mean(axis=(1, 2))
    np.testing.assert_allclose(means[~sure], expected[~sure], rtol=1e-3, atol=1e-3)


def test_images_in_other_units_and_files_have_the_same_map(fitted, tmp_path):
    from histoclf.io import save_patches

    clf, halves = fitted("frozen"), NEW[:2]
    as_floats = FITTED["frozen"]().fit(X / 255.0, Y)
    np.testing.assert_allclose(
        find_saliency(as_floats, halves / 255.0).evidence, find_saliency(clf, halves).evidence, atol=1e-4
    )
    paths = save_patches(halves, NEW_Y[:2], ["A", "A"], np.array([[0, 0], [32, 0]]), tmp_path)
    by_name = find_saliency(clf, paths)
    found = find_saliency(clf, by_name.images)
    np.testing.assert_array_equal(by_name.evidence, found.evidence)


# --- wrappers ----------------------------------------------------------------------------------------------


def test_wrappers_are_opened(fitted):
    expected = find_saliency(fitted("frozen"), NEW[:3]).evidence
    flatten = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    rows = tiny_transfer(image_size=SIDE, image_shape=(SIDE, SIDE, 3))
    places = {"groups": np.repeat(["a", "b", "c"], 16), "coords": np.tile(np.arange(16)[:, None], (3, 2))}
    around = [
        make_pipeline(flatten, rows).fit(X, Y),
        make_pipeline(tiny_transfer(image_size=SIDE)).fit(X, Y),
        LabelCleaningClassifier(tiny_transfer(image_size=SIDE)).fit(X, Y),
        GridSearchCV(tiny_transfer(image_size=SIDE), {"C": [1.0]}, cv=2).fit(X, Y),
        SlideContextClassifier(tiny_transfer(image_size=SIDE), radius=2.0, weight=0.5).fit(X, Y, **places),
    ]
    for estimator in around:
        np.testing.assert_allclose(find_saliency(estimator, NEW[:3]).evidence, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (HistoCNNClassifier(), NotFittedError, "not fitted yet"),
        (make_pipeline(HistoCNNClassifier()), NotFittedError, "not fitted yet"),
        (GridSearchCV(HistoCNNClassifier(), {}), NotFittedError, "not fitted yet"),
    ],
)
def test_what_is_not_fitted_is_refused(estimator, error, message):
    with pytest.raises(error, match=message):
        find_saliency(estimator, NEW)


def test_what_has_no_network_is_refused(fitted):
    table = tiny_embedder(image_size=SIDE).fit_transform(X)
    with pytest.raises(TypeError, match=r"no network to be asked in LogisticRegression\. Expected"):
        find_saliency(LogisticRegression().fit(table, Y), table)
    calibrated = CalibratedClassifierCV(tiny_transfer(image_size=SIDE), cv=2).fit(X, Y)
    with pytest.raises(TypeError, match="no network to be asked in CalibratedClassifierCV"):
        find_saliency(calibrated, NEW)
    with pytest.raises(ValueError, match="ready-made embeddings"):
        find_saliency(tiny_transfer().fit(table, Y), table)
    with pytest.raises(ValueError, match="rows of numbers"):
        find_saliency(tiny_cnn(epochs=1).fit(table, Y), table)


def test_embeddings_of_neighbours_are_refused():
    places = {"groups": np.repeat(["a", "b", "c"], 16), "coords": np.tile(np.arange(16)[:, None], (3, 2))}
    settings = {"radius": 2.0, "weight": 0.5, "feature_radius": 2.0, "neighbour_features": True}
    clf = SlideContextClassifier(tiny_transfer(image_size=SIDE), **settings).fit(X, Y, **places)
    with pytest.raises(ValueError, match="neighbour_features=False"):
        find_saliency(clf, NEW)


def test_other_units_than_in_fit_are_refused(fitted):
    with pytest.raises(InputContractError, match="0-1"):
        find_saliency(fitted("cnn"), NEW / 255.0)
