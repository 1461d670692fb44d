"""save_model and load_model."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from histoclf import (
    Augmentation,
    LabelCleaningClassifier,
    PixelScaler,
    SlideContextClassifier,
    load_model,
    save_model,
)
from histoclf.exceptions import ModelFileError
from histoclf.persistence._archive import pack, unpack
from histoclf.persistence._model_file import FORMAT
from tests.tiny import textures, tiny_backbone, tiny_cnn, tiny_embedder, tiny_transfer

X, y = textures()
PLACES = {
    "groups": np.arange(64) // 8,
    "coords": np.column_stack([np.arange(64) % 8 // 2, np.arange(64) % 2]) * 16.0,
}


@pytest.fixture(scope="module")
def fitted():
    with config_context(enable_metadata_routing=True):
        clf = tiny_cnn(early_stopping=True, class_weight={"fine": np.float64(2.0), "coarse": 1})
        clf.set_fit_request(groups=True)
    return clf.fit(X, y, groups=np.arange(len(y)) // 4)


@pytest.fixture(scope="module")
def path(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "textures.histoclf"
    save_model(fitted, path)
    return path


def changed(path, tmp_path, **entries):
    """The model with other entries in its document, sealed anew."""
    document, arrays = unpack(path.read_bytes())
    (tmp_path / "changed").write_bytes(pack(document | entries, arrays))
    return tmp_path / "changed"


# --- what comes back ---------------------------------------------------------------------------------------


def test_probabilities_are_the_same_to_the_last_bit(fitted, path):
    np.testing.assert_array_equal(load_model(path).predict_proba(X), fitted.predict_proba(X))


def test_probabilities_are_the_same_in_a_new_process(fitted, path, tmp_path, child_env):
    np.save(tmp_path / "X.npy", X)
    script = (
        "import sys, numpy as np; from histoclf import load_model; model, X, out = sys.argv[1:]; "
        "np.save(out, load_model(model).predict_proba(np.load(X)))"
    )
    files = [str(path), str(tmp_path / "X.npy"), str(tmp_path / "out.npy")]
    subprocess.run([sys.executable, "-c", script, *files], check=True, env=child_env)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), fitted.predict_proba(X))


def test_every_attribute_comes_back(fitted, path):
    loaded = load_model(path)
    assert vars(loaded).keys() == vars(fitted).keys() - {"_keras_model"}
    assert loaded.get_params() == fitted.get_params()
    assert loaded.history_ == fitted.history_
    assert loaded.image_shape_ == fitted.image_shape_
    assert type(loaded.image_shape_) is tuple
    for name in ("n_iter_", "best_epoch_", "n_features_in_", "groups_source_", "n_skipped_"):
        assert getattr(loaded, name) == getattr(fitted, name)
        assert type(getattr(loaded, name)) is type(getattr(fitted, name))
    np.testing.assert_array_equal(loaded.validation_indices_, fitted.validation_indices_)


def test_metadata_requests_come_back(fitted, path):
    requests = get_routing_for_object(load_model(path)).fit.requests
    assert requests == get_routing_for_object(fitted).fit.requests
    assert requests["groups"] is True


def test_what_is_loaded_can_be_cloned_and_fitted_again(fitted, path):
    loaded = load_model(path)
    assert clone(loaded).get_params() == fitted.get_params()
    again = loaded.fit(X, y, groups=np.arange(len(y)) // 4)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_what_is_loaded_can_be_saved_again_to_the_same_bytes(path, tmp_path):
    save_model(load_model(path), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "labels",
    [
        np.where(y == "fine", 3, -1),
        y == "fine",
        np.where(y == "fine", 1.0, 0.0),
        y.astype(object),
        np.where(y == "fine", "größer", "<!-- -->"),
    ],
    ids=["int", "bool", "float", "object", "unicode"],
)
def test_labels_keep_their_type(labels, tmp_path):
    clf = tiny_cnn(epochs=3).fit(X, labels)
    save_model(clf, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert loaded.classes_.tolist() == clf.classes_.tolist()
    assert [type(label) for label in loaded.classes_] == [type(label) for label in clf.classes_]
    assert loaded.predict(X).tolist() == clf.predict(X).tolist()


def test_nested_and_random_parameters_come_back(tmp_path):
    params = {"augmentation": Augmentation(stain=0.1), "random_state": np.random.RandomState(5)}
    clf = tiny_cnn(**params).fit(X, y)
    save_model(clf, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.get_params()["augmentation__stain"] == 0.1
    assert loaded.random_state.randint(1000) == clf.random_state.randint(1000)


@pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")  # after one epoch
def test_partial_fit_goes_on_where_it_stopped(tmp_path):
    clf = tiny_cnn().partial_fit(X, y, classes=np.unique(y))
    save_model(clf, tmp_path / "model")
    loaded = load_model(tmp_path / "model").partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.partial_fit(X, y).predict_proba(X))


def test_a_table_model_with_column_names_comes_back(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.random.default_rng(0).normal(size=(64, 3)), columns=["a", "b", "c"])
    table["a"] += 4 * (y == "fine")
    clf = tiny_cnn(normalization="batch").fit(table, y)
    save_model(clf, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(loaded.predict_proba(table), clf.predict_proba(table))


# --- estimators on top of a backbone ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "tiny.keras"
    tiny_backbone().save(path)
    return str(path)


TABLE = X[:, 0, :, 0].astype(float)
TUNED = {"fine_tune_layers": 2, "epochs": 3, "learning_rate": 0.003, "batch_size": 16}
KINDS = {
    "embedder": lambda file: tiny_embedder(backbone=file, pooling="avg+max").fit(X),
    "frozen": lambda file: tiny_transfer(backbone=file).fit(X, y),
    "rows": lambda file: tiny_transfer(backbone=file, image_shape=(16, 16, 3)).fit(X.reshape(64, -1), y),
    "embeddings": lambda file: tiny_transfer(backbone=file).fit(TABLE, y),
    "mlp": lambda file: tiny_transfer(backbone=file, head="mlp", epochs=3).fit(X, y),
    "tuned": lambda file: tiny_transfer(backbone=file, **TUNED).fit(X, y),
    "context": lambda file: around(tiny_transfer(backbone=file, C=0.01)).fit(X, y, **PLACES),
    "context with features": lambda file: around(tiny_transfer(backbone=file), True).fit(X, y, **PLACES),
    "context of a table": lambda file: around(tiny_transfer(backbone=file), True).fit(TABLE, y, **PLACES),
    "context of a tuned one": lambda file: around(tiny_transfer(backbone=file, **TUNED)).fit(X, y, **PLACES),
    "context of a network": lambda file: around(tiny_cnn()).fit(X, y, **PLACES),
}
INPUTS = {"rows": X.reshape(64, -1), "embeddings": TABLE, "context of a table": TABLE}

# After few epochs.
collapse_is_fine = pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")


def around(estimator, features=False):
    given = {"radius": 20.0, "weight": 1.0, "feature_radius": 20.0}
    return SlideContextClassifier(estimator, neighbour_features=features, **given)


def answer(estimator, name):
    images = INPUTS.get(name, X)
    if name == "embedder":
        return estimator.transform(images)
    return estimator.predict_proba(images, **PLACES if "context" in name else {})


@collapse_is_fine
def test_every_estimator_answers_the_same_in_a_new_process(network_file, tmp_path, child_env):
    expected = {}
    for name, make in KINDS.items():
        estimator = make(network_file)
        save_model(estimator, tmp_path / name)
        expected[name] = answer(estimator, name)
    script = (
        "import sys, numpy as np; from tests.persistence import test_model_file as tests; "
        "load = lambda name: tests.load_model(f'{sys.argv[1]}/{name}'); "
        "np.savez(sys.argv[1] + '/out', **{name: tests.answer(load(name), name) for name in tests.KINDS})"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=child_env, timeout=120)
    with np.load(tmp_path / "out.npz") as out:
        for name in KINDS:
            np.testing.assert_array_equal(out[name], expected[name], err_msg=name)


def test_nested_estimators_come_back_with_all_their_parts(network_file, tmp_path):
    fitted = KINDS["context with features"](network_file)
    save_model(fitted, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.get_params().keys() == fitted.get_params().keys()
    assert loaded.estimator.get_params() == fitted.estimator.get_params()
    assert type(loaded.embedder_) is type(fitted.embedder_)
    assert vars(loaded).keys() == vars(fitted).keys()
    np.testing.assert_array_equal(loaded.estimator_.coef_, fitted.estimator_.coef_)
    save_model(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_the_weights_of_a_backbone_are_stored_once(tmp_path):
    tiny_backbone(depth=92).save(tmp_path / "wide.keras")
    n_bytes = sum(array.nbytes for array in tiny_backbone(depth=92).get_weights())
    for n in (64, 128):
        save_model(tiny_transfer(backbone=str(tmp_path / "wide.keras")).fit(*textures(n)), tmp_path / "model")
        assert os.path.getsize(tmp_path / "model") < 1.2 * n_bytes


def test_the_file_of_the_backbone_is_not_needed_again(tmp_path):
    tiny_backbone().save(tmp_path / "tiny.keras")
    clf = tiny_transfer(backbone=tmp_path / "tiny.keras").fit(X, y)
    save_model(clf, tmp_path / "model")
    os.remove(tmp_path / "tiny.keras")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_allclose(
        loaded.model_.predict_on_batch(X.astype("float32")), clf.predict_proba(X), atol=1e-4
    )


@pytest.mark.parametrize("backbone", [tiny_backbone, tiny_backbone()], ids=["function", "network"])
def test_a_backbone_that_is_an_object_has_no_rule(backbone, tmp_path):
    clf = tiny_transfer(backbone=backbone).fit(X, y)
    with pytest.raises(TypeError, match=r"backbone is of type .*joblib\.dump"):
        save_model(clf, tmp_path / "model")


LAMBDA = {
    "class_name": "Lambda",
    "module": "keras.layers",
    "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}},
}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("Lambda", "'Lambda' of the module 'keras.layers'"),
        ("foreign module", "'Popen' of the module 'subprocess'"),
        ("reader", "'TFSMLayer' of the module 'keras.layers'"),
        ("no JSON", "cannot be loaded"),
    ],
)
def test_a_backbone_that_holds_code_is_refused_and_nothing_runs(
    network_file, tmp_path, monkeypatch, name, what
):
    save_model(KINDS["frozen"](network_file), tmp_path / "model")
    document, arrays = unpack((tmp_path / "model").read_bytes())
    pairs = document["learned"]["_extractor"]["parts"]["parts"]
    backbone = next(value for key, value in pairs if key == "backbone")
    config = next(pair for pair in backbone["parts"]["parts"] if pair[0] == "config")
    network = json.loads(config[1])
    evil = {
        "Lambda": LAMBDA,
        "foreign module": {"class_name": "Popen", "module": "subprocess", "config": {"args": ["ls"]}},
        "reader": {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "x"}},
        "no JSON": {},
    }[name]
    network["config"]["layers"][1] |= evil
    config[1] = "{" if name == "no JSON" else json.dumps(network)
    (tmp_path / "evil").write_bytes(pack(document, arrays))
    monkeypatch.setattr("histoclf.networks._backbones._rebuilt", None)  # would be called to build anything
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(ModelFileError, match=what):
        load_model(tmp_path / "evil")


# --- what the file is --------------------------------------------------------------------------------------


def test_the_file_holds_json_and_plain_arrays_only(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert names[0] == "model.json"
        assert json.loads(archive.read("model.json"))["format"] == FORMAT
        assert all(archive.read(name).startswith(b"\x93NUMPY") for name in names[1:])


def test_its_size_does_not_depend_on_the_number_of_training_images(tmp_path):
    sizes = []
    for n in (64, 256):
        save_model(tiny_cnn(epochs=3).fit(*textures(n)), tmp_path / "model")
        sizes.append(os.path.getsize(tmp_path / "model"))
    assert abs(sizes[1] - sizes[0]) < 64  # digits of the losses


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(PixelScaler(), tiny_cnn()),
        LabelCleaningClassifier(tiny_cnn()),
        type("HistoCNNClassifier", (), {})(),
        object(),
    ],
)
def test_only_our_classifiers_are_saved(estimator, tmp_path):
    with pytest.raises(TypeError, match=rf"cannot store a {type(estimator).__name__}\..*joblib\.dump"):
        save_model(estimator, tmp_path / "model")
    assert not os.listdir(tmp_path)


def test_an_unfitted_classifier_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(tiny_cnn(), tmp_path / "model")


def test_an_attribute_without_a_rule_is_named_and_no_file_is_left(fitted, tmp_path):
    clf = tiny_cnn().fit(X, y)
    clf.note_ = {"when": object()}
    with pytest.raises(TypeError, match=r"note_.* is of type 'object'"):
        save_model(clf, tmp_path / "model")
    assert not os.listdir(tmp_path)


def test_a_folder_is_no_place_for_a_model(fitted, path, tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder.*model\.histoclf"):
        save_model(fitted, tmp_path)
    with pytest.raises(IsADirectoryError, match="Expected a file that save_model wrote"):
        load_model(tmp_path)


def test_a_missing_folder_is_named(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.* make it first"):
        save_model(fitted, tmp_path / "nowhere" / "model")


def test_a_missing_file_is_named_with_the_nearest_one(path):
    with pytest.raises(FileNotFoundError, match=r"texture\.histoclf'; did you mean .*textures\.histoclf'"):
        load_model(path.with_name("texture.histoclf"))
    with pytest.raises(FileNotFoundError, match="check the path"):
        load_model(path.parent / "nowhere" / "model")


def test_a_newer_format_is_named(path, tmp_path):
    newer = changed(path, tmp_path, format=FORMAT + 1, histoclf="9.0")
    with pytest.raises(ModelFileError, match=r"format 2, written by histoclf 9\.0.*upgrade histoclf"):
        load_model(newer)


def test_a_truncated_file_is_named(path, tmp_path):
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"cut' cannot be loaded: it is cut short"):
        load_model(tmp_path / "cut")


@pytest.mark.parametrize("entries", [{"class": "SVC"}, {"class": ["list"]}, {"class": "os.system"}])
def test_a_class_that_is_not_listed_is_refused(path, tmp_path, entries):
    with pytest.raises(ModelFileError, match="none of the classes that may be loaded"):
        load_model(changed(path, tmp_path, **entries))


@pytest.mark.parametrize(
    "entries",
    [
        {"params": {"no_such_parameter": 1}},
        {"params": {"epochs": -1}},
        {"learned": {}},
        {"learned": {"predict": 1}},
        {"learned": {"__class__": 1}},
        {"learned": {"_state_format": 99}},
        {"learned": {"classes_": {"type": "Popen", "parts": ["ls"]}}},
        {"learned": None},
        {"routing": {"class": {}}},
    ],
)
def test_content_that_does_not_fit_is_refused(path, tmp_path, entries):
    with pytest.raises(ModelFileError, match="changed' cannot be loaded"):
        load_model(changed(path, tmp_path, **entries))


@pytest.mark.parametrize("document", [[], {}, {"format": "1"}, {"format": True}])
def test_a_document_without_a_format_is_refused(tmp_path, document):
    (tmp_path / "model").write_bytes(pack(document, []))
    with pytest.raises(ModelFileError, match="states no format"):
        load_model(tmp_path / "model")
