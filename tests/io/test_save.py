"""What is saved is found again."""

import numpy as np
import pytest

from histoclf.datasets import make_patches
from histoclf.io import decode_image, find_patches, save_patches


def test_saved_patches_are_found_and_read_again(tmp_path):
    made = make_patches(n_patients=3, patches_per_patient=5, image_size=16, random_state=0)
    paths = save_patches(made.images, made.labels, made.groups, made.coords, tmp_path / "new" / "folder")
    found = find_patches(tmp_path / "new" / "folder")
    row = {path: number for number, path in enumerate(paths)}
    order = [row[path] for path in found.paths]
    assert sorted(order) == list(range(15))
    assert found.labels.tolist() == made.labels[order].tolist()
    assert found.groups.tolist() == made.groups[order].tolist()
    np.testing.assert_array_equal(found.coords, made.coords[order])
    for path, number in zip(found.paths, order, strict=True):
        np.testing.assert_array_equal(decode_image(path), made.images[number])


def test_classes_that_are_numbers_stand_in_the_name(tmp_path):
    paths = save_patches(np.zeros((2, 4, 4, 3), dtype=np.uint8), [3, 1], ["a_b", "a_b"], None, tmp_path)
    assert [path[len(str(tmp_path)) + 1 :] for path in paths] == [
        "a_b/3/a_b_idx5_x0_y0_class3.png",
        "a_b/1/a_b_idx5_x4_y0_class1.png",
    ]
    assert find_patches(tmp_path).labels.tolist() == ["1", "3"]


def test_what_would_be_lost_is_refused(tmp_path):
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"must have one length, got \[2, 1, 2, 2\]"):
        save_patches(images, ["a"], ["p", "p"], None, tmp_path)
    with pytest.raises(ValueError, match="same coords; they would overwrite each other"):
        save_patches(images, ["a", "a"], ["p", "p"], np.zeros((2, 2)), tmp_path)
    with pytest.raises(ValueError, match=r"cannot have a slash in their name: \['in/out'\]"):
        save_patches(images, ["in/out", "a"], ["p", "p"], None, tmp_path)
    assert list(tmp_path.iterdir()) == []
