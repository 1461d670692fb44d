"""A frozen backbone, and the cache between it and everybody who asks."""

import pickle
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from histoclf import Augmentation
from histoclf.classifiers._features import Extractor, leave_out_twins, pool, put_back_twins
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io import save_patches
from histoclf.networks import _embedding
from histoclf.networks._cache import clear_memory
from tests.tiny import textures, tiny_backbone, tiny_embedder, tiny_transfer

X, y = textures(12)


@pytest.fixture(autouse=True)
def empty_cache():
    clear_memory()


@pytest.fixture
def n_embedded(monkeypatch):
    """Images that went through a backbone, one number a pass."""
    counts, original = [], _embedding.make_runner

    def counting(*args):
        run = original(*args)
        return lambda images: counts.append(len(images)) or run(images)

    monkeypatch.setattr(_embedding, "make_runner", counting)
    return counts


@pytest.fixture
def paths(tmp_path):
    return save_patches(X, y, np.array(["P"] * len(X)), None, tmp_path)


# --- each image once ---------------------------------------------------------------------------------------


def test_an_image_is_embedded_once_whoever_asks(n_embedded):
    embedder = tiny_embedder().fit(X)
    first = embedder.transform(X[:8])
    np.testing.assert_array_equal(tiny_embedder().fit(X).transform(X[4:])[:4], first[4:])
    tiny_transfer(C=0.1).fit(X, y).predict(X)
    assert n_embedded == [8, 4]


def test_poolings_share_one_pass(n_embedded):
    found = {
        pooling: tiny_embedder(pooling=pooling).fit_transform(X) for pooling in ("avg", "max", "avg+max")
    }
    assert n_embedded == [12]
    np.testing.assert_array_equal(found["avg+max"], np.hstack([found["avg"], found["max"]]))


def test_column_names_cost_one_image_once(n_embedded):
    embedder = tiny_embedder().fit(X)
    for pooling, depth in {"avg": 8, "avg+max": 16}.items():
        assert len(embedder.set_params(pooling=pooling).get_feature_names_out()) == depth
    assert n_embedded == [1]


def test_files_are_named_by_content_and_kept_in_a_folder(n_embedded, paths, tmp_path):
    memory = tmp_path / "cache"
    first = tiny_embedder(memory=memory).fit_transform(paths)
    clear_memory()
    np.testing.assert_array_equal(tiny_embedder(memory=str(memory)).fit_transform(paths), first)
    assert n_embedded == [12]
    np.testing.assert_allclose(first, tiny_embedder().fit_transform(X), rtol=1e-6)


def test_embeddings_do_not_depend_on_company():
    embedder = tiny_embedder().fit(X)
    together = embedder.transform(X)
    for row in (0, 7):
        clear_memory()
        np.testing.assert_array_equal(embedder.transform(X[row : row + 1]), together[row : row + 1])


# --- never under another setting's name --------------------------------------------------------------------

ALIKE = (X // 255 * 255).astype("float32")  # 0 and 255 only: in other units it is black and white as well


def half_backbone(input_shape=(None, None, 3)):
    return tiny_backbone(input_shape, depth=4)


def other_weights(input_shape=(None, None, 3)):
    return tiny_backbone(input_shape, seed=2)


SETTINGS = {
    "as it is": ({}, X),
    "backbone": ({"backbone": half_backbone}, X),
    "its weights": ({"backbone": other_weights}, X),
    "preprocessing": ({"backbone_params": {"preprocessing": "caffe"}}, X),
    "random weights": ({"weights": None}, X),
    "seed": ({"weights": None, "random_state": 1}, X),
    "layers": ({"layers": "re_lu"}, X),
    "haematoxylin": ({"channels": "haematoxylin"}, X),
    "both channels": ({"channels": "rgb+haematoxylin"}, X),
    "size": ({"image_size": 24}, X),
    "height": ({"image_size": (16, 24)}, X),
    "pooling": ({"pooling": "max"}, X),
    "flips": ({"flip_averaging": True}, X),
    "engine": ({"engine": "openvino"}, X),
    "batch": ({"batch_size": 5}, X),
    "float": ({}, X.astype("float32") + 0.25 * (X < 200)),
    "0-1": ({}, (X / 255).astype("float32")),
    "black and white in 0-255": ({}, ALIKE),
    "black and white in 0-1": ({}, ALIKE / 255),
    "gray": ({}, X[..., :1]),
}


def embed(name):
    params, images = SETTINGS[name]
    if params.get("engine") == "openvino":
        pytest.importorskip("openvino")
    return tiny_embedder(**params).fit_transform(images)


@pytest.fixture(scope="module")
def alone():
    """Embeddings of each setting, from an empty cache."""
    found = {}
    for name in SETTINGS:
        clear_memory()
        found[name] = embed(name)
    return found


def test_settings_that_look_alike_differ(alone):
    for name in SETTINGS.keys() - {"as it is", "0-1", "engine", "batch"}:
        assert not np.array_equal(alone[name], alone["as it is"]), name


@pytest.mark.parametrize("folder", [False, True])
def test_no_pair_of_settings_is_mixed_up(alone, folder, tmp_path):
    """All of them in one cache, one after the other and then again: every pair meets, in both orders."""
    for name in [*SETTINGS, *reversed(SETTINGS)]:
        params, images = SETTINGS[name]
        memory = tmp_path / "cache" if folder else None
        found = tiny_embedder(memory=memory, **params).fit_transform(images)
        np.testing.assert_array_equal(found, alone[name], err_msg=name)
        if folder:
            clear_memory()


def test_changed_copies_are_never_mixed_up():
    """Nor with each other, nor with the images themselves."""
    copies = {
        "none": {},
        "one": {"augmented_copies": 1, "augmentation": "flips"},
        "two": {"augmented_copies": 2, "augmentation": "flips"},
        "stain": {"augmented_copies": 1, "augmentation": Augmentation(stain=0.2)},
        "seed": {"augmented_copies": 1, "augmentation": "flips", "random_state": 1},
    }
    alone = {}
    for name, params in copies.items():
        clear_memory()
        alone[name] = tiny_transfer(**params).fit(X, y).coef_
    for one, other in combinations(copies, 2):
        assert not np.allclose(alone[one], alone[other], rtol=1e-3), (one, other)
    for name in [*copies, *reversed(copies)]:
        np.testing.assert_array_equal(tiny_transfer(**copies[name]).fit(X, y).coef_, alone[name])


# --- files that cannot be read -----------------------------------------------------------------------------


def test_all_unreadable_files_are_named_even_with_the_same_content(paths, n_embedded):
    bad = [paths[2], paths[5], "missing.png", "nowhere.png"]
    for path in bad[:2]:
        open(path, "wb").close()
    with pytest.raises(ImageReadError, match="Cannot read 4 of 14 image files") as caught:
        tiny_embedder().fit_transform([*paths, *bad[2:]])
    assert list(caught.value.failures) == bad


def test_an_unreadable_file_stops_the_network_and_not_the_search_for_others(paths, n_embedded, monkeypatch):
    monkeypatch.setattr("histoclf.classifiers._features.cached_rows", in_chunks_of_four)
    for path in paths[[1, 10]]:
        open(path, "wb").close()
    with pytest.raises(ImageReadError, match="Cannot read 2 of 12"):
        tiny_embedder().fit_transform(paths)
    assert n_embedded == []


def in_chunks_of_four(*args, **options):
    from histoclf.networks._cache import cached_rows

    return cached_rows(*args, chunk=4, **options)


# --- flattened images that nobody announced ----------------------------------------------------------------


@pytest.mark.parametrize("estimator", [tiny_embedder(), tiny_transfer()], ids=["embedder", "classifier"])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_flattened_images_without_their_shape_are_refused(estimator, dtype):
    with pytest.raises(InputContractError, match=r"768 columns of whole numbers.*image_shape=\(16, 16, 3\)"):
        estimator.fit(X.reshape(len(X), -1).astype(dtype), y)


@pytest.mark.parametrize(
    "table",
    [
        X.reshape(len(X), -1) / 255,
        X.reshape(len(X), -1)[:, :767],
        (X.reshape(len(X), -1) > 128).astype(float),
        X.reshape(len(X), -1) - 128.0,
        X[:, :8, :8].reshape(len(X), -1),
    ],
    ids=["fractions", "another width", "yes or no", "negative", "few"],
)
def test_what_is_no_row_of_pixels_is_a_table(table):
    assert tiny_embedder().fit(table).input_format_.kind == "table"


# --- weights are stored once -------------------------------------------------------------------------------


def test_twins_are_left_out_and_put_back():
    network = tiny_backbone()
    weights = network.get_weights()
    state = {"backbone": network, "_extractor": Extractor(None, weights, None, "keras", 64), "a_": 1}
    stored = leave_out_twins(state)
    assert stored["_extractor"].weights == []
    assert state["_extractor"].weights is weights
    restored = put_back_twins(stored)
    assert restored.keys() == state.keys()
    assert all(map(np.array_equal, restored["_extractor"].weights, weights))


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_transfer, tiny_embedder])
def test_a_network_as_parameter_is_unpickled_within_the_threads_of_a_worker(make, tmp_path, child_env):
    (tmp_path / "estimator.pkl").write_bytes(pickle.dumps(make(backbone=tiny_backbone())))
    script = (
        "import pickle, sys; pickle.load(open(sys.argv[1], 'rb')); import tensorflow as tf; "
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "estimator.pkl")]
    env = child_env | {"OMP_NUM_THREADS": "1"}
    env.pop("TF_NUM_INTRAOP_THREADS", None)
    assert subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize("backbone", ["mobilenet", tiny_backbone, None])
def test_weights_that_no_parameter_holds_are_kept(backbone):
    network = tiny_backbone(seed=2) if backbone is None else backbone
    state = {
        "backbone": network,
        "_extractor": Extractor(None, tiny_backbone().get_weights(), None, "keras", 64),
    }
    assert leave_out_twins(state) is state
    assert put_back_twins(state) is state


@pytest.mark.parametrize(
    ("pooling", "expected"), [("avg", [[1, 2]]), ("max", [[3, 4]]), ("avg+max", [[1, 2, 3, 4]])]
)
def test_pooling_takes_what_it_is_named_after(pooling, expected):
    assert pool(np.array([[[1, 2], [3, 4]]]), pooling).tolist() == expected
    assert pool(np.array([[[1, 2]]]), pooling).tolist() == [[1, 2]]
