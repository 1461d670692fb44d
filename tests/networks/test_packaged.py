"""Weights that come with the package, and files like them."""

import hashlib
import re
import zipfile

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from histoclf import HistoEmbedder, HistoTransferClassifier, load_model, read_card, save_model
from histoclf.networks import _backbones, _packaged
from histoclf.networks._backbones import resolve_backbone
from histoclf.networks._packaged import read_arrays, read_packaged, write_arrays
from histoclf.networks._recent import Recent
from tests.networks.tiny_networks import tiny_network, trained_network
from tests.tiny import textures

X, y = textures(24)


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A package whose backbone "tiny" has the weights of `trained_network`."""
    path = tmp_path / "tiny.npz"
    write_arrays(trained_network(), path)
    monkeypatch.setattr(_packaged, "_FOLDER", tmp_path)
    monkeypatch.setattr(_packaged, "_SHA256", {"tiny": hashlib.sha256(path.read_bytes()).hexdigest()})
    return path


# --- the file ----------------------------------------------------------------------------------------------


def test_kernels_come_back_in_half_precision_and_all_else_exactly(tmp_path):
    model = trained_network()
    write_arrays(model, tmp_path / "net.npz")
    found = read_arrays(tiny_network(), (tmp_path / "net.npz").read_bytes())
    for variable, array, expected in zip(model.weights, found, model.get_weights(), strict=True):
        assert array.dtype == np.float32
        if variable.path.endswith("kernel"):
            expected = expected.astype("float16").astype("float32")
        np.testing.assert_array_equal(array, expected)


def test_the_same_weights_make_the_same_bytes(tmp_path):
    model = trained_network()
    for name in ("first", "second"):
        write_arrays(model, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_file_names_its_arrays(tmp_path):
    write_arrays(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="out")]), tmp_path / "net")
    with np.load(tmp_path / "net") as archive:
        assert [name.partition(".")[0] for name in archive.files] == ["000", "001"]
        assert [name.rpartition("out.")[2] for name in archive.files] == ["kernel", "bias"]


def test_a_kernel_that_float16_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    model = tiny_network()
    model.set_weights([array * 0 + 1e5 for array in model.get_weights()])
    with pytest.raises(ValueError, match="kernel holds numbers beyond the range of float16"):
        write_arrays(model, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


def objects(path):
    np.savez(path, np.array([{}], dtype=object))


def no_zip(path):
    path.write_text("not weights")


def cut_short(path):
    write_arrays(trained_network(), path)
    path.write_bytes(path.read_bytes()[:200])


def one_byte_off(path):
    write_arrays(trained_network(), path)
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda info: info.compress_size)
    data = bytearray(path.read_bytes())
    data[largest.header_offset + largest.compress_size] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [objects, no_zip, cut_short, one_byte_off])
def test_what_is_no_whole_archive_is_refused(tmp_path, damage):
    damage(tmp_path / "net.npz")
    with pytest.raises(ValueError, match="it is no whole archive of NumPy arrays"):
        read_arrays(tiny_network(), (tmp_path / "net.npz").read_bytes())


def test_arrays_of_another_network_are_refused_naming_the_first_that_differs(tmp_path):
    write_arrays(tiny_network(width=8), tmp_path / "net.npz")
    with pytest.raises(
        ValueError, match=r"first that differs is '.*kernel' \(3, 3, 3, 4\), in the file '003"
    ):
        read_arrays(tiny_network(), (tmp_path / "net.npz").read_bytes())
    write_arrays(tiny_network(last=keras.layers.Conv2D(2, 1)), tmp_path / "net.npz")
    with pytest.raises(ValueError, match=r"it holds 12 arrays, expected 10"):
        read_arrays(tiny_network(), (tmp_path / "net.npz").read_bytes())


# --- weights that come with the package --------------------------------------------------------------------


def test_weights_that_come_with_the_package_are_read(packaged):
    found = read_packaged(tiny_network(), "tiny")
    expected = read_arrays(tiny_network(), packaged.read_bytes())
    assert all(map(np.array_equal, found, expected))


def test_a_damaged_package_says_so_and_how_to_mend_it(packaged):
    data = bytearray(packaged.read_bytes())
    data[-1] ^= 1
    packaged.write_bytes(data)
    with pytest.raises(OSError, match=r"backbone 'tiny', which come with histoclf, are damaged") as error:
        read_packaged(tiny_network(), "tiny")
    for told in (str(packaged), f"{len(data):,} bytes", "expected", "--force-reinstall", "weights=PATH"):
        assert told in str(error.value)


def test_a_package_without_its_file_says_so_and_how_to_mend_it(packaged):
    packaged.unlink()
    missing = rf"'tiny', which come with histoclf, are missing: .*{re.escape(str(packaged))}.*force-reinstall"
    with pytest.raises(FileNotFoundError, match=missing):
        read_packaged(tiny_network(), "tiny")


# --- the histology backbone --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def histology_file(tmp_path_factory):
    """Weights of the real backbone's shape, drawn at random."""
    path = tmp_path_factory.mktemp("weights") / "histology.npz"
    backbone, weights = resolve_backbone("histology", None, None, 0)
    model = _backbones.build_features(backbone, (64, 64))
    model.set_weights(weights)
    write_arrays(model, path)
    return path


@pytest.fixture
def histology(histology_file, monkeypatch):
    """A package whose histology backbone has those weights, and which knows of no network."""
    digest = hashlib.sha256(histology_file.read_bytes()).hexdigest()
    monkeypatch.setattr(_packaged, "_FOLDER", histology_file.parent)
    monkeypatch.setattr(_packaged, "_SHA256", {"histology": digest})
    monkeypatch.setattr(_backbones, "_resolved", Recent(4))
    monkeypatch.setattr(file_utils, "urlretrieve", None)
    return histology_file


def make_classifier(**params):
    defaults = {"backbone": "histology", "image_size": 32, "engine": "keras"}
    return HistoTransferClassifier(**(defaults | params))


def test_it_needs_no_network_and_no_weights_to_be_named(histology):
    backbone, weights = resolve_backbone("histology", None, "auto", 0)
    assert (backbone.kind, backbone.name, backbone.preprocessing) == ("application", "histology", "none")
    assert backbone.licence == "BSD-3-Clause"
    assert resolve_backbone("histology", None, "histology", 0)[0] == backbone
    given, found = resolve_backbone("histology", None, histology, 0)  # the licence of a file is not known
    assert given.licence == ""
    assert all(map(np.array_equal, found, weights))


def test_a_file_of_another_network_is_refused(histology, tmp_path):
    write_arrays(tiny_network(), tmp_path / "net.npz")
    with pytest.raises(ValueError, match=r"net\.npz' do not fit backbone histology: it holds 10 arrays"):
        resolve_backbone("histology", None, tmp_path / "net.npz", 0)


def test_its_last_layer_can_be_had_alone(histology):
    both = HistoEmbedder("histology", image_size=32, engine="keras").fit_transform(X)
    last = HistoEmbedder("histology", image_size=32, engine="keras", layers=None).fit_transform(X)
    assert last.shape[1] < both.shape[1]
    np.testing.assert_allclose(last, both[:, -last.shape[1] :], rtol=1e-5)


def test_every_size_has_the_same_weights(histology):
    backbone, weights = resolve_backbone("histology", None, "auto", 0)
    for side in ((32, 32), (50, 50), (64, 96)):
        assert len(_backbones.build_features(backbone, side).get_weights()) == len(weights)


@pytest.mark.parametrize(
    ("backbone", "weights", "match"),
    [
        (
            "histology",
            "imagenet",
            r"'histology' has no such weights, but 'histology'.*convnext_tiny, densenet",
        ),
        (
            "mobilenet",
            "histology",
            r"'mobilenet' has no such weights, but 'imagenet'.*that has them: histology",
        ),
    ],
)
def test_weights_of_another_backbone_are_refused(backbone, weights, match):
    with pytest.raises(ValueError, match=match):
        resolve_backbone(backbone, None, weights, 0)


def test_it_is_shown_the_image_at_its_own_size_and_at_least_at_that_it_learned_from(histology):
    embedder = HistoEmbedder("histology", engine="keras").fit(X)
    assert embedder.backbone_.channels == "rgb"
    assert embedder.image_shape_ == (64, 64, 3)
    assert HistoEmbedder("histology", engine="keras").fit(np.tile(X, (1, 5, 5, 1))).image_shape_ == (
        80,
        80,
        3,
    )


def test_it_tells_classes_apart_and_takes_part_in_a_search(histology):
    search = GridSearchCV(make_classifier(), {"pooling": ["avg", "avg+max"]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8
    assert clone(search.best_estimator_).get_params()["weights"] == "auto"


def test_a_saved_model_does_not_need_the_file(histology, tmp_path, monkeypatch):
    model = make_classifier().fit(X, y)
    expected = model.predict_proba(X)
    save_model(model, tmp_path / "model")
    backbone = read_card(tmp_path / "model")["model_details"]["backbone"]
    assert (backbone["weights"], backbone["licence"]) == ("histology", "BSD-3-Clause")
    assert backbone["download_megabytes"] is None
    monkeypatch.setattr(_packaged, "_FOLDER", tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict_proba(X), expected)


def test_fine_tuning_goes_on_from_it(histology):
    model = make_classifier(fine_tune_layers=1, epochs=1, early_stopping=False, random_state=0).fit(X, y)
    assert model.fine_tuned_
    assert model.predict_proba(X).shape == (24, 2)


def test_openvino_computes_the_same(histology):
    pytest.importorskip("openvino")
    found = [
        HistoEmbedder("histology", image_size=32, engine=engine).fit_transform(X)
        for engine in ("keras", "openvino")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4 * np.abs(found[0]).max())


def test_what_the_package_holds_is_small_and_described():
    for name, digest in _packaged._SHA256.items():
        file = _packaged._FOLDER / f"{name}.npz"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
        assert len(file.read_bytes()) <= 3_000_000
        card = (_packaged._FOLDER / f"{name}.md").read_text(encoding="utf-8")
        assert digest in card
