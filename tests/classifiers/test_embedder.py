"""HistoEmbedder: the transformer by itself and among scikit-learn's tools."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from histoclf import ImageLoader, PixelScaler
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io import save_patches
from histoclf.networks._backbones import resolve_backbone
from histoclf.networks._cache import clear_memory
from tests.tiny import textures, tiny_backbone, tiny_embedder

X, y = textures()


@pytest.fixture
def paths(tmp_path):
    return save_patches(X, y, np.array(["P"] * len(X)), None, tmp_path)


@pytest.fixture(scope="module")
def embeddings():
    return tiny_embedder().fit_transform(X)


# --- values ------------------------------------------------------------------------------------------------


def test_embeddings_are_the_mean_over_what_the_network_says(embeddings):
    features = tiny_backbone().predict_on_batch(X.astype("float32"))
    np.testing.assert_allclose(embeddings, features.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)
    assert embeddings.dtype == np.float32
    maxima = tiny_embedder(pooling="max").fit_transform(X)
    np.testing.assert_allclose(maxima, features.max(axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_a_network_that_gives_one_vector_has_nothing_to_pool():
    import keras

    network = tiny_backbone()
    network = keras.Model(network.inputs, keras.layers.GlobalMaxPooling2D()(network.output))
    found = [
        tiny_embedder(backbone=network, pooling=how).fit_transform(X) for how in ("avg", "max", "avg+max")
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("images", [X, X[:, :8]], ids=["square", "wide"])
def test_averages_over_flips_do_not_depend_on_how_a_patch_lies(images):
    embedder = tiny_embedder(flip_averaging=True, image_size=None).fit(images)
    assert embedder.image_shape_[:2] == ((96, 96) if images is X else (96, 192))
    found = embedder.transform(images)
    np.testing.assert_allclose(embedder.transform(images[:, ::-1]), found, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(embedder.transform(images[:, :, ::-1]), found, rtol=1e-4, atol=1e-5)
    plain = tiny_embedder(image_size=None).fit(images)
    assert np.abs(plain.transform(images[:, ::-1]) - plain.transform(images)).max() > 1e-3


@pytest.mark.parametrize("divisor", [1, 255])
def test_units_do_not_matter(embeddings, divisor):
    images = (X / divisor).astype("float32")
    np.testing.assert_allclose(tiny_embedder().fit_transform(images), embeddings, rtol=1e-5, atol=1e-6)


def test_files_arrays_and_rows_are_the_same_pictures(embeddings, paths):
    np.testing.assert_array_equal(tiny_embedder().fit_transform(paths), embeddings)
    rows = X.reshape(len(X), -1)
    flat = tiny_embedder(image_shape=(16, 16, 3))
    np.testing.assert_array_equal(flat.fit_transform(rows), embeddings)
    np.testing.assert_array_equal(tiny_embedder().fit(X).transform(paths), embeddings)


def test_the_size_is_that_of_the_images_within_reason(paths):
    assert tiny_embedder(image_size=None).fit(paths).image_shape_ == (96, 96, 3)
    large = np.random.default_rng(0).integers(0, 256, (2, 100, 448, 3)).astype("uint8")
    assert tiny_embedder(image_size=None).fit(large).image_shape_ == (50, 224, 3)
    assert tiny_embedder(image_size=None).fit(large[:, :, :120]).image_shape_ == (100, 120, 3)


def test_a_table_is_returned_as_it_is():
    table = np.random.default_rng(0).normal(size=(5, 3))
    embedder = tiny_embedder().fit(table)
    found = embedder.transform(table)
    np.testing.assert_array_equal(found, table)
    assert found.base is not table
    assert (embedder.backbone_, embedder.engine_) == (None, None)
    assert embedder.get_feature_names_out().tolist() == ["histoembedder0", "histoembedder1", "histoembedder2"]
    assert tiny_embedder().fit_transform(table.astype("float32")).dtype == np.float32


# --- what was learned --------------------------------------------------------------------------------------


def test_it_says_what_it_uses():
    embedder = tiny_embedder(backbone_params={"preprocessing": "tf"}).fit(X)
    assert embedder.backbone_.name == "tiny"
    assert embedder.backbone_.preprocessing == "tf"
    assert embedder.engine_ == "keras"
    assert embedder.n_features_in_ == 768
    assert embedder.image_shape_ == (16, 16, 3)


def test_nothing_is_loaded_before_fit():
    embedder = tiny_embedder(backbone="no_such_network", weights="no_such_file")
    with pytest.raises(NotFittedError):
        embedder.transform(X)
    with pytest.raises(ValueError, match="There is no backbone 'no_such_network'"):
        embedder.fit(X)


def test_a_missing_file_of_weights_is_named():
    with pytest.raises(FileNotFoundError, match="no_such_file"):
        tiny_embedder(weights="no_such_file").fit(X)


def test_set_params_after_fit_changes_pooling_and_nothing_else(embeddings):
    embedder = tiny_embedder().fit(X).set_params(backbone="resnet50", weights=None, image_size=64)
    np.testing.assert_array_equal(embedder.transform(X), embeddings)


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (X[:0], "X is empty"),
        (X.astype("float32") / 255, r"0-1\), but fit saw 0-255"),
        (X[:, :8], "8 x 16 pixels, but fit saw 16 x 16"),
        (X[..., :1], r"1 channel\(s\), but fit saw 3"),
        (X.reshape(64, -1), r"Expected images of shape \(n, 16, 16, 3\)"),
    ],
)
def test_what_contradicts_fit_is_refused(images, message):
    with pytest.raises(InputContractError, match=message):
        tiny_embedder().fit(X).transform(images)


def test_paths_do_not_follow_gray_images():
    with pytest.raises(InputContractError, match="X holds image paths, but fit saw images with 1 channel"):
        tiny_embedder().fit(X[..., :1]).transform(["a.png"])


def test_a_network_of_one_size_insists_on_it():
    def fixed(input_shape):
        return tiny_backbone((24, 24, 3))

    with pytest.raises(
        ValueError, match=r"image_size=\(16, 16\), but backbone tiny takes images of \(24, 24\)"
    ):
        tiny_embedder(backbone=fixed).fit(X)
    assert tiny_embedder(backbone=fixed, image_size=None).fit(X).image_shape_ == (24, 24, 3)


def test_networks_of_keras_need_32_pixels(monkeypatch):
    resolved = resolve_backbone(tiny_backbone, None, "imagenet", 0)
    application = resolved[0].__class__(**vars(resolved[0]) | {"kind": "application"})
    monkeypatch.setattr(
        "histoclf.networks._backbones.resolve_backbone", lambda *args, **options: (application, resolved[1])
    )
    with pytest.raises(ValueError, match=r"image_size=\(31, 40\) is too small.*at least 32 pixels"):
        tiny_embedder(image_size=(31, 40)).fit(X)


@pytest.mark.parametrize(
    "params", [{"pooling": "mean"}, {"engine": "torch"}, {"batch_size": 0}, {"memory": 3}]
)
def test_values_out_of_range_are_refused(params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of HistoEmbedder must be"):
        tiny_embedder(**params).fit(X)


def test_unreadable_files_are_all_named(paths):
    embedder = tiny_embedder().fit(paths)
    with pytest.raises(ImageReadError, match="Cannot read 2 of 66"):
        embedder.transform([*paths, "missing.png", "nowhere.png"])


# --- among scikit-learn's tools ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        lambda: [ImageLoader(image_size=16, flatten=True), tiny_embedder(image_shape=(16, 16, 3))],
        lambda: [ImageLoader(image_size=16, flatten=False), PixelScaler(), tiny_embedder()],
    ],
    ids=["flattened", "scaled"],
)
def test_it_works_in_the_middle_of_a_pipeline(steps, paths):
    pipeline = make_pipeline(*steps(), StandardScaler(), SVC()).fit(paths, y)
    assert pipeline.score(paths, y) > 0.9


def test_a_search_reaches_its_parameters():
    pipeline = make_pipeline(tiny_embedder(), StandardScaler(), PCA(4, random_state=0), SVC())
    grid = {"histoembedder__pooling": ["avg", "max"], "svc__C": [0.1, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8


def test_column_names_and_tables_come_out(embeddings):
    pytest.importorskip("pandas")
    embedder = tiny_embedder(pooling="avg+max").set_output(transform="pandas")
    table = embedder.fit_transform(X)
    assert table.columns.tolist() == [f"histoembedder{n}" for n in range(16)]
    np.testing.assert_array_equal(table.to_numpy()[:, :8], embeddings)
    assert embedder.get_feature_names_out().tolist() == table.columns.tolist()


def test_fit_takes_labels_and_a_pipeline_its_metadata():
    with config_context(enable_metadata_routing=True):
        make_pipeline(tiny_embedder(), SVC()).fit(X, y)


def test_inputs_are_left_alone():
    images = (X / 255).astype("float32")
    before = images.copy()
    images.flags.writeable = False
    found = tiny_embedder().fit_transform(images)
    found += 1
    np.testing.assert_array_equal(images, before)
    assert not np.array_equal(tiny_embedder().fit_transform(images), found)


# --- storage -----------------------------------------------------------------------------------------------


def wide_backbone(input_shape=(None, None, 3)):
    """With 80,000 weights, so that sizes tell."""
    return tiny_backbone(input_shape, depth=92)


@pytest.mark.parametrize("backbone", [wide_backbone, wide_backbone()], ids=["function", "network"])
def test_the_weights_are_dumped_once_and_no_embeddings_with_them(backbone):
    embedder = tiny_embedder(backbone=backbone).fit(X)
    n_bytes = sum(array.nbytes for array in wide_backbone().get_weights())
    before = len(pickle.dumps(embedder))
    assert n_bytes < before < 1.2 * n_bytes
    embeddings = embedder.transform(X)
    dump = pickle.dumps(embedder)
    assert abs(len(dump) - before) < 100
    assert embeddings[3].tobytes() not in dump
    clear_memory()
    np.testing.assert_array_equal(pickle.loads(dump).transform(X), embeddings)


def test_a_clone_of_a_network_shares_the_cache(monkeypatch):
    embedder = tiny_embedder(backbone=tiny_backbone())
    before = embedder.fit_transform(X)
    monkeypatch.setattr("histoclf.networks._embedding.make_runner", None)
    np.testing.assert_array_equal(clone(embedder).fit_transform(X), before)


def test_weights_set_in_the_network_after_fit_do_not_reach_it():
    network = tiny_backbone()
    embedder = tiny_embedder(backbone=network).fit(X)
    before = embedder.transform(X)
    network.set_weights([weight * 0 for weight in network.get_weights()])
    clear_memory()
    np.testing.assert_array_equal(embedder.transform(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(embedder)).transform(X), before)
    assert not embedder.fit_transform(X).any()


_CHILD = """
import sys, joblib, numpy as np
from tests.tiny import textures, tiny_embedder

folder = sys.argv[1]
X, y = textures()
np.savez(folder + "/out.npz", loaded=joblib.load(folder + "/model.joblib").transform(X),
         random=tiny_embedder(weights=None).fit_transform(X))
"""


@pytest.mark.slow
def test_a_new_process_computes_the_same_to_the_last_bit(tmp_path, child_env, embeddings):
    joblib.dump(tiny_embedder(backbone=tiny_backbone()).fit(X), tmp_path / "model.joblib")
    subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path)], check=True, env=child_env, timeout=120)
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["loaded"], embeddings)
        np.testing.assert_array_equal(out["random"], tiny_embedder(weights=None).fit_transform(X))
