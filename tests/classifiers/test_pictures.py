"""Patches as pictures: as they were given."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from histoclf.classifiers._pictures import find_image_shape, read_pictures
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io import save_patches
from tests.tiny import textures, tiny_cnn

X, Y = textures(6, size=120)
ROWS = np.array([4, 1])


@pytest.mark.parametrize("given", [X, X / 255.0, X[..., :1]], ids=["pixels", "0-1", "gray"])
def test_they_keep_their_size_and_are_in_0_to_255(given):
    pictures = read_pictures(given, ROWS)
    np.testing.assert_array_equal(pictures, X[ROWS][..., : given.shape[3]])


def test_rows_of_pixels_need_their_shape():
    flat = X.reshape(6, -1)
    np.testing.assert_array_equal(read_pictures(flat, ROWS, (120, 120, 3)), X[ROWS])
    with pytest.raises(InputContractError, match="rows of numbers, which cannot be shown"):
        read_pictures(flat, ROWS)


def test_files_that_are_not_wanted_are_not_read(tmp_path):
    paths = save_patches(X, Y, ["P"] * 6, np.arange(12).reshape(6, 2), tmp_path)
    np.testing.assert_array_equal(read_pictures(paths, ROWS), X[ROWS])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = [*paths, str(tmp_path / "broken.png")]
    np.testing.assert_array_equal(read_pictures(broken, ROWS), X[ROWS])
    with pytest.raises(ImageReadError, match=r"broken\.png"):
        read_pictures(broken, np.array([6]))


def test_the_shape_is_found_in_wrappers():
    assert find_image_shape(make_pipeline(tiny_cnn(image_shape=(4, 4, 3)))) == (4, 4, 3)
    assert find_image_shape(tiny_cnn()) is None
    assert find_image_shape(LogisticRegression()) is None
    assert find_image_shape(object()) is None
