"""What images are read from."""

import shutil

import numpy as np
import pytest

from histoclf.classifiers._contract import learn_images
from histoclf.classifiers._sources import ArraySource, FileSource
from histoclf.io import save_patches
from histoclf.io._fingerprint import unpack_keys
from tests.tiny import textures

X, y = textures(8)


@pytest.fixture
def paths(tmp_path):
    return save_patches(X, y, np.array(["P"] * 8), None, tmp_path)


def array_source(images, size=(16, 16)):
    return ArraySource(images, learn_images(images), size)


@pytest.mark.parametrize("rows", [None, np.array([5, 0, 5])])
def test_files_are_decoded_and_resized(paths, rows):
    source = FileSource(paths, (16, 16), None, 0)
    read = source.read(rows)
    np.testing.assert_array_equal(read.pixels, X if rows is None else X[rows])
    assert read.kept.tolist() == list(range(len(read.pixels)))
    assert FileSource(paths, (4, 8), None, 0).read(rows).pixels.shape[1:] == (4, 8, 3)
    assert len(source) == 8


def test_unreadable_files_are_left_out_and_named(paths):
    paths[3], paths[5] = "missing.png", paths[4] + ".none"
    read = FileSource(paths, (16, 16), None, 0).read(np.array([2, 3, 4, 5]))
    assert read.kept.tolist() == [0, 2]
    assert list(read.failures) == [paths[3], paths[5]]
    np.testing.assert_array_equal(read.pixels, X[[2, 4]])


def test_files_are_named_by_their_content(paths, tmp_path):
    keys = unpack_keys(FileSource(paths, (16, 16), None, 0).keys())
    copy = shutil.copy(paths[2], tmp_path / "copy.png")
    others = FileSource(np.array([str(copy), "missing"], dtype=object), (8, 8), None, 0)
    assert len(set(keys)) == 8
    assert unpack_keys(others.keys()) == [keys[2], None]


@pytest.mark.parametrize(("divisor", "shift"), [(1, 0), (255, 0), (127.5, 1)])
def test_arrays_are_brought_to_0_255(divisor, shift):
    images = (X / divisor - shift).astype("float32")
    read = array_source(images).read(np.array([7, 1]))
    assert read.pixels.dtype == np.uint8
    np.testing.assert_array_equal(read.pixels, X[[7, 1]])
    assert read.kept.tolist() == [0, 1]
    assert read.failures == {}


def test_arrays_are_resized_as_files_are(paths):
    read = array_source(X, (24, 8)).read()
    np.testing.assert_array_equal(read.pixels, FileSource(paths, (24, 8), None, 0).read().pixels)


def test_arrays_that_fit_are_not_copied():
    assert array_source(X).read().pixels is X


def test_the_same_image_in_other_units_has_another_name():
    units = X, X.astype("float32"), (X / 255).astype("float32")
    keys = [unpack_keys(array_source(images).keys()) for images in units]
    assert len({key for part in keys for key in part}) == 24
    assert unpack_keys(array_source(X[::-1]).keys()) == keys[0][::-1]
