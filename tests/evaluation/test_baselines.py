import numpy as np
import pytest

from histoclf.datasets import make_patches
from histoclf.evaluation import mean_colours
from histoclf.exceptions import ImageReadError
from histoclf.io import save_patches

MADE = make_patches(n_patients=2, patches_per_patient=4, image_size=48, random_state=0)


def test_files_and_arrays_have_the_same_colours(tmp_path):
    paths = save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, tmp_path)
    colours = mean_colours(MADE.images)
    assert colours.shape == (8, 3)
    assert colours[0] == pytest.approx(MADE.images[0].reshape(-1, 3).mean(axis=0))
    assert mean_colours(paths) == pytest.approx(colours, abs=0.2)  # rounded when resized


def test_flattened_images_have_colours_if_their_shape_is_known():
    rows = MADE.images.reshape(8, -1)
    assert np.array_equal(mean_colours(rows, image_shape=(48, 48, 3)), mean_colours(MADE.images))
    assert mean_colours(rows).shape == (8, 1)


def test_all_unreadable_files_are_named(tmp_path):
    paths = save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, tmp_path)
    for path in paths[:2]:
        open(path, "w").close()
    with pytest.raises(ImageReadError) as caught:
        mean_colours(paths)
    assert {*caught.value.failures} == {*paths[:2]}
