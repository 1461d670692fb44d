"""What HistoTransferClassifier learns on a frozen backbone, says about itself, and leaves behind."""

import os
import pickle
import random
import subprocess
import sys
import warnings

import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from histoclf import Augmentation, HistoEmbedder, load_model, save_model
from histoclf.exceptions import ImageReadError, InputContractError, ModelFileError, SkippedImagesWarning
from histoclf.io import save_patches
from histoclf.networks import _embedding
from histoclf.networks._cache import clear_memory
from tests.tiny import textures, tiny_backbone, tiny_embedder, tiny_transfer

X, y = textures()
X_NEW, Y_NEW = textures(seed=1)
THREE = np.where(np.arange(64) % 3 == 0, "other", y)

short = pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")


@pytest.fixture(scope="module")
def fitted():
    return tiny_transfer().fit(X, y)


@pytest.fixture(scope="module")
def embeddings():
    return tiny_embedder().fit_transform(X)


@pytest.fixture
def paths(tmp_path):
    return save_patches(X, y, np.array([f"P{n // 8}" for n in range(64)]), None, tmp_path)


def reference(embeddings, labels, C, weights):
    """Scikit-learn's own answer, on standardised embeddings."""
    scaler = StandardScaler().fit(embeddings.astype("float64"), sample_weight=weights)
    model = LogisticRegression(C=C, tol=1e-9, max_iter=10_000)
    model.fit(scaler.transform(embeddings.astype("float64")), labels, sample_weight=weights)
    return lambda rows: model.predict_proba(scaler.transform(rows.astype("float64")))


# --- the logistic head -------------------------------------------------------------------------------------


def test_it_learns(fitted):
    assert fitted.score(X, y) > 0.95
    assert fitted.score(X_NEW, Y_NEW) > 0.9
    assert fitted.classes_.tolist() == ["coarse", "fine"]


@pytest.mark.parametrize("class_weight", [None, "balanced", {"fine": 3.0}])
@pytest.mark.parametrize(
    "labels", [y, np.where(np.arange(64) < 16, "fine", y), THREE], ids=["even", "odd", "3"]
)
def test_it_is_logistic_regression_on_standardised_embeddings(embeddings, labels, class_weight):
    clf = tiny_transfer(C=0.3, class_weight=class_weight).fit(X, labels)
    weights = compute_sample_weight(class_weight, labels) if class_weight == "balanced" else np.ones(64)
    if isinstance(class_weight, dict):
        weights = np.where(labels == "fine", 3.0, 1.0)
    expected = reference(embeddings, labels, 0.3, weights)(embeddings)
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-5)


def test_sample_weights_are_those_of_scikit_learn(embeddings):
    weights = np.random.default_rng(0).uniform(0, 5, 64)
    weights[:6] = 0
    given = weights.copy()
    clf = tiny_transfer(C=0.3).fit(X, y, sample_weight=weights)
    expected = reference(embeddings[6:], y[6:], 0.3, weights[6:])(embeddings)
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-5)
    np.testing.assert_array_equal(weights, given)


def test_a_sample_of_weight_zero_is_as_good_as_absent():
    weights = (np.arange(64) < 48).astype(float)
    clf = tiny_transfer(class_weight="balanced").fit(X, y, sample_weight=weights)
    absent = tiny_transfer(class_weight="balanced").fit(X[:48], y[:48])
    np.testing.assert_array_equal(clf.predict_proba(X), absent.predict_proba(X))


def test_the_strength_goes_with_the_number_of_samples_as_they_are_weighed():
    plain = tiny_transfer(C="auto").fit(X, y)
    assert pytest.approx(0.3 / 64) == plain.C_
    np.testing.assert_array_equal(
        plain.predict_proba(X), tiny_transfer(C=0.3 / 64).fit(X, y).predict_proba(X)
    )
    half = tiny_transfer(C="auto").fit(X, y, sample_weight=(np.arange(64) < 32).astype(float))
    assert pytest.approx(0.3 / 32) == half.C_
    assert tiny_transfer(C="auto").fit(X, y, sample_weight=np.full(64, 1e9)).C_ == 1e-5
    assert tiny_transfer(C=2).fit(X, y).C_ == 2.0
    assert not hasattr(plain.set_params(head="mlp", epochs=1).fit(X, y), "C_")


@pytest.mark.parametrize("fine_tune_layers", [0, 1])
def test_what_the_network_is_shown_stays_with_the_model(fine_tune_layers):
    params = {"channels": "rgb+haematoxylin", "fine_tune_layers": fine_tune_layers, "early_stopping": False}
    clf = tiny_transfer(epochs=1, **params).fit(X, y)
    assert clf.backbone_.channels == "rgb+haematoxylin"
    expected = clf.predict_proba(X)
    np.testing.assert_allclose(clf.model_.predict_on_batch(X.astype("float32")), expected, atol=1e-5)
    clf.set_params(channels="rgb")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), expected)


def test_coefficients_reproduce_the_probabilities(fitted, embeddings):
    assert fitted.coef_.shape == (1, 8)
    logits = embeddings.astype("float64") @ fitted.coef_[0] + fitted.intercept_
    np.testing.assert_allclose(fitted.predict_proba(X)[:, 1], expit(logits), rtol=1e-9)
    assert fitted.n_iter_ > 0
    assert (fitted.best_epoch_, fitted.history_, fitted.fine_tuned_) == (0, {}, False)
    assert fitted.validation_indices_.size == 0


def test_three_classes_have_three_columns_and_rows_of_coefficients():
    clf = tiny_transfer().fit(X, THREE)
    assert clf.predict_proba(X[:1]).shape == (1, 3)
    assert clf.coef_.shape == (3, 8)
    assert clf.intercept_.shape == (3,)
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


def test_pooling_both_ways_doubles_the_columns():
    assert tiny_transfer(pooling="avg+max").fit(X, y).coef_.shape == (1, 16)


@short
def test_what_is_not_solved_is_said_at_the_line_that_called(monkeypatch):
    monkeypatch.setattr("histoclf.classifiers._head._MAX_ITER", 1)
    with pytest.warns(ConvergenceWarning, match=r"optimum in 1 steps.*smaller C \(now 1\)") as caught:
        tiny_transfer().fit(X, y)
    assert caught[0].filename == __file__


def test_copies_of_the_images_are_more_of_the_same_data():
    """They share the weight of their image: unchanged ones change nothing."""
    off = {
        name: False if isinstance(value, bool) else 0.0 for name, value in Augmentation().get_params().items()
    }
    unchanged = Augmentation(**off)
    plain, copied = (tiny_transfer(augmentation=unchanged, augmented_copies=n).fit(X, y) for n in (0, 2))
    np.testing.assert_allclose(copied.predict_proba(X), plain.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("head", ["logistic", "mlp"])
def test_changed_copies_are_learned_from(head):
    params = {"augmentation": "standard", "head": head, "epochs": 5, "batch_size": 8}
    clf = tiny_transfer(augmented_copies=1, **params).fit(X, y)
    again = tiny_transfer(augmented_copies=1, **params).fit(X, y)
    assert clf.score(X_NEW, Y_NEW) > 0.7
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
    assert not np.array_equal(clf.predict_proba(X), tiny_transfer(**params).fit(X, y).predict_proba(X))


# --- X -----------------------------------------------------------------------------------------------------


def test_ready_made_embeddings_need_no_backbone(fitted, embeddings):
    clf = tiny_transfer(backbone="no_such_backbone").fit(embeddings, y)
    np.testing.assert_array_equal(clf.predict_proba(embeddings), fitted.predict_proba(X))
    assert (clf.backbone_, clf.engine_) == (None, None)
    with pytest.raises(AttributeError, match="no Keras model of an ONNX file or of ready-made"):
        clf.model_  # noqa: B018


def test_files_arrays_and_rows_are_the_same_pictures(fitted, paths):
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(tiny_transfer().fit(paths, y).predict_proba(paths), expected)
    np.testing.assert_array_equal(fitted.predict_proba(paths), expected)
    rows = X.reshape(64, -1)
    flat = tiny_transfer(image_shape=(16, 16, 3)).fit(rows, y)
    np.testing.assert_array_equal(flat.predict_proba(rows), expected)


@pytest.fixture
def onnx_file(tmp_path):
    pytest.importorskip("onnxruntime")
    from tests.networks.test_onnx import save  # skips without onnx

    return save(tmp_path / "net.onnx")


def test_an_onnx_file_is_a_frozen_backbone(onnx_file, tmp_path):
    """This one mixes colours, and so a label that is a colour is learned."""
    labels = np.where(X[..., 0].mean(axis=(1, 2)) > X[..., 2].mean(axis=(1, 2)), "red", "blue")
    clf = tiny_transfer(backbone=onnx_file, engine="auto").fit(X, labels)
    assert clf.engine_ == "onnxruntime"
    assert clf.score(X, labels) > 0.9
    assert len(pickle.dumps(clf)) < 20_000
    expected = clf.predict_proba(X)
    save_model(clf, tmp_path / "model")
    os.remove(onnx_file)
    clear_memory()
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict_proba(X), expected)
    with pytest.raises(AttributeError, match="no Keras model of an ONNX file"):
        clf.model_  # noqa: B018


def test_an_onnx_file_cannot_be_fine_tuned(onnx_file):
    with pytest.raises(ValueError, match="fine_tune_layers=1 needs images and a Keras backbone"):
        tiny_transfer(backbone=onnx_file, engine="auto", fine_tune_layers=1).fit(X, y)
    with pytest.raises(ValueError, match=r"engine='keras' cannot run backbone 'net\.onnx'"):
        tiny_transfer(backbone=onnx_file).fit(X, y)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (X[:0], "X is empty"),
        ((X / 255).astype("float32"), r"0-1\), but fit saw 0-255"),
        (X[:, :8], "8 x 16 pixels"),
        (X.reshape(64, -1), r"Expected images of shape"),
    ],
)
def test_what_contradicts_fit_is_refused(fitted, images, message):
    with pytest.raises(InputContractError, match=message):
        fitted.predict_proba(images)


def test_unreadable_files_are_skipped_and_counted(paths):
    bad = [3, 20, 21]
    for row in bad[:2]:
        open(paths[row], "wb").close()
    os.remove(paths[21])
    with pytest.raises(ImageReadError, match="Cannot read 3 of 64 image files") as raised:
        tiny_transfer().fit(paths, y)
    assert list(raised.value.failures) == paths[bad].tolist()
    with pytest.warns(SkippedImagesWarning, match="Skipped 3 of 64") as caught:
        clf = tiny_transfer(on_error="skip").fit(paths, y)
    assert caught[0].filename == __file__
    assert clf.n_skipped_ == 3
    rest = tiny_transfer().fit(np.delete(X, bad, axis=0), np.delete(y, bad))
    np.testing.assert_array_equal(clf.predict_proba(X), rest.predict_proba(X))
    with pytest.raises(ImageReadError, match="3 of 64"):
        clf.predict(paths)


def test_nothing_readable_is_always_an_error():
    with pytest.raises(ImageReadError, match="2 of 2"):
        tiny_transfer(on_error="skip").fit(["a.png", "b.png"], ["x", "y"])


# --- searches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["arrays", "files", "files, with a folder"])
def test_a_search_sends_each_patch_through_the_backbone_once(kind, paths, tmp_path, monkeypatch):
    clear_memory()
    counts, original = [], _embedding.make_runner

    def counting(*args):
        run = original(*args)
        return lambda images: counts.append(len(images)) or run(images)

    monkeypatch.setattr(_embedding, "make_runner", counting)
    clf = tiny_transfer(memory=tmp_path / "cache" if "folder" in kind else None)
    grid = {"C": [1e-1, 1.0], "pooling": ["avg", "max", "avg+max"]}
    search = GridSearchCV(clf, grid, cv=StratifiedKFold(2), error_score="raise")
    search.fit(X if kind == "arrays" else paths, y)
    assert sum(counts) == 64
    assert search.best_score_ > 0.9


# --- prediction --------------------------------------------------------------------------------------------


def test_predictions_do_not_depend_on_company_or_order(fitted):
    together = fitted.predict_proba(X)
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_array_equal(fitted.predict_proba(X[order]), together[order])
    for row in (0, 31, 63):
        clear_memory()
        np.testing.assert_array_equal(fitted.predict_proba(X[row : row + 1]), together[row : row + 1])


def test_test_time_augmentation_makes_a_flip_irrelevant(fitted):
    clf = tiny_transfer(test_time_augmentation=True).fit(X, y)
    found = clf.predict_proba(X_NEW)
    np.testing.assert_allclose(clf.predict_proba(X_NEW[:, ::-1]), found, atol=1e-5)
    assert np.abs(fitted.predict_proba(X_NEW[:, ::-1]) - fitted.predict_proba(X_NEW)).max() > 1e-3


HEADS = [{}, {"head": "mlp", "epochs": 3}, {"pooling": "avg+max"}, {"pooling": "max"}]


@short
@pytest.mark.parametrize("params", HEADS, ids=str)
@pytest.mark.parametrize("divisor", [1, 255])
def test_the_model_works_by_itself_in_the_units_of_fit(params, divisor):
    images = X.astype("float32") / divisor
    clf = tiny_transfer(**params).fit(images, y)
    assert isinstance(clf.model_, keras.Model)
    assert clf.model_ is clf.model_
    np.testing.assert_allclose(clf.model_.predict_on_batch(images), clf.predict_proba(images), atol=1e-4)


def test_the_model_of_files_takes_8_bit_and_can_be_saved_by_keras(paths, tmp_path):
    clf = tiny_transfer().fit(paths, y)
    assert clf.model_.input.dtype == "uint8"
    clf.model_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(X), clf.predict_proba(paths), atol=1e-4)


@pytest.mark.parametrize(
    "params",
    [{}, {"test_time_augmentation": True, "pooling": "max"}, {"backbone": tiny_backbone(seed=2)}],
    ids=["plain", "changed", "network"],
)
def test_the_embedder_makes_what_the_classifier_learns_from(params):
    clf = tiny_transfer(**params).fit(X, y)
    embedder = clf.make_embedder()
    assert type(embedder) is HistoEmbedder
    logits = embedder.fit_transform(X).astype("float64") @ clf.coef_[0] + clf.intercept_
    np.testing.assert_allclose(clf.predict_proba(X)[:, 1], expit(logits), rtol=1e-9)


def test_there_is_no_embedder_where_the_backbone_learns_along():
    assert tiny_transfer(fine_tune_layers="all").make_embedder() is None


def test_set_params_after_fit_does_not_change_predictions(embeddings):
    clf = tiny_transfer().fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(backbone="resnet50", weights=None, pooling="max", head="mlp", hidden_units=3, C=9.0)
    clf.set_params(image_size=64, class_weight="balanced", fine_tune_layers=1, random_state=5)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params", [{"C": 0}, {"head": "svm"}, {"layer_decay": 0.0}, {"fine_tune_layers": -1}]
)
def test_values_out_of_range_are_refused(params):
    name = next(iter(params))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of HistoTransferClassifier must be"):
        tiny_transfer(**params).fit(X, y)


@pytest.mark.parametrize("augmentation", [None, "flips"])
def test_copies_need_images_and_an_augmentation(augmentation, embeddings):
    clf = tiny_transfer(augmented_copies=2, augmentation=augmentation)
    with pytest.raises(ValueError, match="augmented_copies=2 needs images and an augmentation"):
        clf.fit(embeddings if augmentation else X, y)


def test_a_misspelt_parameter_is_answered():
    with pytest.raises(TypeError, match="did you mean 'backbone_params'"):
        tiny_transfer(backbone_param={})
    with pytest.raises(ValueError, match="did you mean 'pooling'"):
        tiny_transfer().set_params(poling="max")


# --- seeds and the state of the process --------------------------------------------------------------------


def test_random_weights_are_seeded():
    first, again, other = (
        tiny_transfer(weights=None, random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def state_of_the_process():
    return {
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "tensorflow": tf.random.get_global_generator().state.numpy().tolist(),
        "seed of tensorflow": tf.compat.v1.get_default_graph().seed,
        "float policy": keras.config.dtype_policy().name,
        "pickling of keras": keras.Model.__reduce__,
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
    }


@pytest.mark.parametrize(
    "params",
    [
        {"weights": None, "augmented_copies": 1, "augmentation": "standard"},
        {"head": "mlp", "epochs": 3},
        {"fine_tune_layers": "all", "epochs": 2, "augmentation": "standard", "learning_rate": 0.01},
    ],
    ids=["logistic", "mlp", "fine-tuned"],
)
@short
def test_a_fit_leaves_the_process_as_it_was(params):
    clear_memory()
    before = state_of_the_process()
    tiny_transfer(backbone=tiny_backbone_without_seeds, **params).fit(X, y).predict(X)
    after = state_of_the_process()
    assert [name for name in before if before[name] != after[name]] == []


def tiny_backbone_without_seeds(input_shape=(None, None, 3)):
    """Of the user's own making: Keras draws its seeds from Python's stream."""
    images = keras.Input(input_shape)
    return keras.Model(images, keras.layers.Conv2D(4, 3, name="only")(images), name="unseeded")


# --- storage -----------------------------------------------------------------------------------------------


def wide_backbone(input_shape=(None, None, 3)):
    """With 80,000 weights, so that sizes tell."""
    return tiny_backbone(input_shape, depth=92)


@short
@pytest.mark.parametrize(
    ("backbone", "params"),
    [
        (wide_backbone, {}),
        (wide_backbone(), {}),
        (wide_backbone(), {"head": "mlp", "hidden_units": 4, "epochs": 2}),
        (wide_backbone, {"fine_tune_layers": 1, "epochs": 1, "early_stopping": False}),
    ],
    ids=["function", "network", "mlp", "tuned"],
)
def test_the_weights_are_dumped_once_and_nothing_of_the_data(backbone, params):
    n_bytes = sum(array.nbytes for array in wide_backbone().get_weights())
    sizes = []
    for n in (64, 256):
        images, labels = textures(n)
        clf = tiny_transfer(backbone=backbone, **params).fit(images, labels)
        embedding = tiny_embedder(backbone=backbone).fit_transform(images)[5]
        dump = pickle.dumps(clf)
        assert images[5].tobytes() not in dump
        assert embedding.tobytes() not in dump
        sizes.append(len(dump))
    assert n_bytes < sizes[0] < 1.2 * n_bytes
    assert abs(sizes[1] - sizes[0]) < 1000  # where what was held out is remembered, its row numbers
    clear_memory()
    np.testing.assert_array_equal(pickle.loads(dump).predict_proba(X), clf.predict_proba(X))


def test_the_handed_out_keras_model_is_not_dumped(fitted):
    assert fitted.model_ is not None
    assert "_keras_model" not in fitted.__getstate__()


def test_a_dump_of_a_newer_format_is_named(fitted):
    with pytest.raises(ModelFileError, match=r"format 99.*upgrade histoclf"):
        tiny_transfer().__setstate__(fitted.__getstate__() | {"_state_format": 99})


_KINDS = {
    "frozen": {},
    "network": {"backbone": tiny_backbone()},
    "mlp": {"head": "mlp", "epochs": 5, "batch_size": 8},
    "tuned": {"fine_tune_layers": 2, "epochs": 4, "learning_rate": 0.003, "augmentation": "flips"},
}
_CHILD = """
import sys, joblib, numpy as np, warnings
import histoclf.networks._runtime  # settles the threads, which a network that is unpickled first would start
from tests.tiny import textures, tiny_transfer

warnings.simplefilter("ignore")
X, y = textures()
found = {}
for name, (clf, params) in joblib.load(sys.argv[1]).items():
    found[name] = clf.predict_proba(X)
    found[name + " fitted"] = tiny_transfer(**params).fit(X, y).predict_proba(X)
np.savez(sys.argv[2], **found)
"""


@short
def test_a_new_process_loads_and_fits_the_same_to_the_last_bit(tmp_path, child_env):
    fitted = {name: tiny_transfer(**params).fit(X, y) for name, params in _KINDS.items()}
    assert fitted["tuned"].fine_tuned_
    joblib.dump({name: (clf, _KINDS[name]) for name, clf in fitted.items()}, tmp_path / "models")
    files = [str(tmp_path / "models"), str(tmp_path / "out.npz")]
    subprocess.run([sys.executable, "-c", _CHILD, *files], check=True, env=child_env, timeout=120)
    with np.load(tmp_path / "out.npz") as out:
        for name, clf in fitted.items():
            np.testing.assert_array_equal(out[name], clf.predict_proba(X), err_msg=name)
            np.testing.assert_array_equal(out[name + " fitted"], out[name], err_msg=name)
