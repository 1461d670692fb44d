"""What a fit keeps of its data: numbers and a fingerprint."""

import json

import numpy as np
import pytest

from histoclf.classifiers._training_data import fingerprint
from histoclf.exceptions import SkippedImagesWarning
from histoclf.io import save_patches
from histoclf.io._fingerprint import pack_keys
from tests.tiny import textures, tiny_cnn, tiny_transfer

X, y = textures()
PATIENTS = np.array([f"Doe{number:02}" for number in np.arange(64) // 8])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return save_patches(X, y, PATIENTS, None, tmp_path_factory.mktemp("patches"))


def test_a_fit_counts_patches_patients_and_classes():
    described = tiny_transfer().fit(X, y, groups=PATIENTS).training_data_
    assert described["n_patches"] == 64
    assert described["n_patients"] == 8
    assert described["class_counts"] == [["coarse", 32], ["fine", 32]]
    assert described["continued"] is False
    assert len(described["fingerprint"]) == 32


def test_it_is_plain_and_names_nobody():
    described = tiny_transfer().fit(X, y, groups=PATIENTS).training_data_
    assert "Doe" not in json.dumps(described)


def test_the_fingerprint_is_that_of_the_images_in_any_order():
    order = np.random.default_rng(0).permutation(64)
    one = tiny_transfer().fit(X, y).training_data_["fingerprint"]
    other = tiny_transfer().fit(X[order], y[order]).training_data_["fingerprint"]
    fewer = tiny_transfer().fit(X[1:], y[1:]).training_data_["fingerprint"]
    changed = X.copy()
    changed[5, 3, 3] ^= 1
    assert one == other
    assert len({one, fewer, tiny_transfer().fit(changed, y).training_data_["fingerprint"]}) == 3


def test_patients_are_counted_from_names_and_unknown_without(paths):
    assert tiny_transfer().fit(paths, y).training_data_["n_patients"] == 8
    assert tiny_transfer().fit(X, y).training_data_["n_patients"] is None


def test_files_that_cannot_be_read_do_not_count(paths, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    clf = tiny_transfer(on_error="skip")
    with pytest.warns(SkippedImagesWarning):
        clf.fit([*paths, tmp_path / "broken.png"], [*y, "fine"], groups=[*PATIENTS, "Roe"])
    assert clf.training_data_ == tiny_transfer().fit(paths, y, groups=PATIENTS).training_data_


def test_going_on_is_said():
    clf = tiny_cnn(epochs=1).partial_fit(X, y, classes=["coarse", "fine"])
    assert clf.training_data_["continued"] is False
    assert clf.partial_fit(X[:8], y[:8]).training_data_["continued"] is True


def test_what_has_no_name_is_left_out_and_the_fingerprint_stays_what_it_was():
    keys = [bytes([number]) * 15 + b"\0" for number in (200, 0, 3)]
    assert fingerprint(pack_keys([*keys, None])) == fingerprint(pack_keys(keys))
    assert fingerprint(pack_keys(keys)) == "f850103c8036429c702784fbfcf61e1c"
