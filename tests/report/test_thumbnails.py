"""Small pictures of patches."""

import base64

import numpy as np
import pytest

from histoclf.exceptions import InputContractError
from histoclf.io import decode_image, encode_png
from histoclf.report._thumbnails import make_thumbnails

IMAGES = np.zeros((3, 40, 20, 3), dtype=np.uint8)
IMAGES[:, :, :, 0] = np.array([0, 200, 255])[:, None, None]


def decoded(source, tmp_path):
    head, _, data = source.partition(",")
    assert head == "data:image/webp;base64"
    (tmp_path / "thumb.webp").write_bytes(base64.b64decode(data))
    return decode_image(tmp_path / "thumb.webp")


@pytest.mark.parametrize(
    "X",
    [IMAGES, IMAGES / 255.0, IMAGES / 127.5 - 1, IMAGES.reshape(3, -1), list(IMAGES)],
    ids=["8-bit", "0-1", "-1-1", "flattened", "list"],
)
def test_the_rows_asked_for_are_shown_in_their_colours(X, tmp_path):
    first, second = make_thumbnails(X, [1, 0], image_shape=(40, 20, 3))
    np.testing.assert_allclose(decoded(first, tmp_path)[20, 10], [200, 0, 0], atol=4)
    np.testing.assert_allclose(decoded(second, tmp_path)[20, 10], [0, 0, 0], atol=4)


def test_large_images_shrink_in_proportion_and_small_ones_stay(tmp_path):
    (large,) = make_thumbnails(IMAGES, [1], side=10)
    (small,) = make_thumbnails(IMAGES, [1])
    assert decoded(large, tmp_path).shape == (10, 5, 3)
    assert decoded(small, tmp_path).shape == (40, 20, 3)


def test_gray_images(tmp_path):
    gray = np.full((2, 8, 8, 1), 100, dtype=np.uint8)
    gray[0, 0] = 255
    (source,) = make_thumbnails(gray, [1])
    np.testing.assert_allclose(decoded(source, tmp_path)[4, 4], [100] * 3, atol=4)


def test_only_the_files_asked_for_are_opened_and_a_broken_one_is_a_hole(tmp_path):
    encode_png(IMAGES[1], tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    paths = [tmp_path / "good.png", tmp_path / "broken.png", tmp_path / "missing.png"]
    good, broken = make_thumbnails(paths, [0, 1])
    assert good is not None
    assert broken is None


def test_a_table_of_numbers_has_no_pictures():
    with pytest.raises(InputContractError, match=r"X has shape \(4, 7\), of which no pictures"):
        make_thumbnails(np.zeros((4, 7)), [0])
