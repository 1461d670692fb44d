"""Flips and turns."""

import numpy as np
import pytest

from histoclf.preprocessing._symmetry import flips_and_turns, turn_back

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3)).astype("uint8")


def test_a_square_has_its_eight_symmetries_each_once():
    views = flips_and_turns(IMAGES)
    turned = [np.rot90(IMAGES, k, axes=(1, 2)) for k in range(4)]
    expected = {view.tobytes() for view in (*turned, *(view[:, ::-1] for view in turned))}
    assert len(views) == len(expected) == 8
    assert {view.tobytes() for view in views} == expected


def test_a_rectangle_keeps_its_shape():
    wide = IMAGES[:, :3]
    views = flips_and_turns(wide)
    expected = {wide[:, ::up, ::left].tobytes() for up in (1, -1) for left in (1, -1)}
    assert len(views) == len(expected) == 4
    assert {view.tobytes() for view in views} == expected
    assert all(view.shape == wide.shape for view in views)


@pytest.mark.parametrize("images", [IMAGES, IMAGES[:, :3]])
def test_the_first_is_the_image_as_it_is_and_none_is_a_copy(images):
    views = flips_and_turns(images)
    np.testing.assert_array_equal(views[0], images)
    assert all(np.shares_memory(view, images) for view in views)
    assert all(view.dtype == images.dtype for view in views)


@pytest.mark.parametrize("images", [IMAGES, IMAGES[:, :3]])
def test_views_are_turned_back(images):
    for view in turn_back(flips_and_turns(images)):
        np.testing.assert_array_equal(view, images)
    np.testing.assert_array_equal(turn_back([images])[0], images)
    heights = turn_back([view[..., 0] for view in flips_and_turns(images)])
    assert all(np.array_equal(view, images[..., 0]) for view in heights)
