"""Weights that come with the package."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from keras.src.utils import file_utils
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from histoclf import HistoEmbedder, HistoTransferClassifier, load_model, read_card, save_model
from histoclf.networks import _backbones, _packaged
from histoclf.networks._backbones import resolve_backbone
from histoclf.networks._histology import build_histology, read_weights, write_weights
from histoclf.networks._packaged import read_packaged
from histoclf.networks._recent import Recent
from tests.networks.tiny_networks import tiny_network
from tests.tiny import textures

X, y = textures(24)


def tiny_histology():
    return build_histology((32, 32, 3), widths=(4, 4, 4, 4, 4), repeats=(0, 0, 0))


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A package whose backbone "tiny" is a tiny network of the same kind."""
    path = tmp_path / "tiny.npz"
    write_weights(tiny_histology(), path)
    monkeypatch.setattr(_packaged, "_FOLDER", str(tmp_path))
    monkeypatch.setattr(_packaged, "_SHA256", {"tiny": hashlib.sha256(path.read_bytes()).hexdigest()})
    return path


# --- weights that come with the package --------------------------------------------------------------------


def test_weights_that_come_with_the_package_are_read(packaged):
    found = read_packaged(tiny_histology(), "tiny")
    expected = read_weights(tiny_histology(), packaged)
    assert all(map(np.array_equal, found, expected))


def test_a_damaged_package_says_so_and_how_to_mend_it(packaged):
    data = bytearray(packaged.read_bytes())
    data[-1] ^= 1
    packaged.write_bytes(data)
    with pytest.raises(OSError, match=r"backbone 'tiny', which come with histoclf, are damaged") as error:
        read_packaged(tiny_histology(), "tiny")
    for told in (str(packaged), "has the SHA-256", "expected", "--force-reinstall", "weights=PATH"):
        assert told in str(error.value)


def test_a_package_without_its_file_says_so_and_how_to_mend_it(packaged):
    packaged.unlink()
    missing = rf"'tiny', which come with histoclf, are missing: .*{re.escape(str(packaged))}.*force-reinstall"
    with pytest.raises(FileNotFoundError, match=missing):
        read_packaged(tiny_histology(), "tiny")


# --- the histology backbone --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def histology_file(tmp_path_factory):
    """Weights of the real backbone's shape, drawn at random."""
    path = tmp_path_factory.mktemp("weights") / "histology.npz"
    backbone, weights = resolve_backbone("histology", None, None, 0)
    model = _backbones.build_features(backbone, (64, 64))
    model.set_weights(weights)
    write_weights(model, path)
    return path


@pytest.fixture
def histology(histology_file, monkeypatch):
    """A package whose histology backbone has those weights, and which knows of no network."""
    digest = hashlib.sha256(histology_file.read_bytes()).hexdigest()
    monkeypatch.setattr(_packaged, "_FOLDER", str(histology_file.parent))
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


def test_by_default_a_transfer_classifier_needs_no_network(histology):
    clf = HistoTransferClassifier(engine="keras").fit(X, y)
    assert clf.backbone_ == HistoEmbedder(engine="keras").fit(X).backbone_
    assert (clf.backbone_.name, clf.backbone_.licence) == ("histology", "BSD-3-Clause")
    assert clf.score(X, y) > 0.8


def test_a_file_of_another_network_is_refused(histology, tmp_path):
    write_weights(tiny_network(), tmp_path / "net.npz")
    with pytest.raises(
        ValueError, match=r"net\.npz' do not fit backbone histology: .*does not fit the network"
    ):
        resolve_backbone("histology", None, tmp_path / "net.npz", 0)


def test_its_last_layer_can_be_had_alone(histology):
    params = {"image_size": 32, "engine": "keras", "channels": "rgb"}
    both = HistoEmbedder("histology", **params).fit_transform(X)
    last = HistoEmbedder("histology", **params, layers=None).fit_transform(X)
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


def test_images_are_shown_at_their_own_size_and_at_least_at_that_it_learned_from(histology):
    embedder = HistoEmbedder("histology", engine="keras").fit(X)
    assert embedder.backbone_.channels == "rgb+haematoxylin"
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
    monkeypatch.setattr(_packaged, "_FOLDER", str(tmp_path))
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
        file = Path(_packaged._FOLDER, f"{name}.npz")
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
        assert len(file.read_bytes()) <= 3_000_000
        card = file.with_suffix(".md").read_text(encoding="utf-8")
        assert digest in card
