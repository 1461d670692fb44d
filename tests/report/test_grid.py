"""From positions on a slide to the cells of a picture."""

import numpy as np

from histoclf.report._grid import find_step, lay_out, make_grid

SIDE = 6
COORDS = np.stack([np.tile(np.arange(SIDE), SIDE), np.repeat(np.arange(SIDE), SIDE)], axis=1) * 50.0 + [
    1,
    101,
]


def test_the_size_of_a_patch_is_the_smallest_step_of_the_grid():
    wide = COORDS * [2, 1]
    one = np.zeros(len(wide))
    np.testing.assert_allclose(find_step(wide, one), [100, 50])
    np.testing.assert_allclose(find_step(wide[[0, 1, 2, 9]], one[:4]), [100, 50])  # with gaps
    np.testing.assert_allclose(find_step(wide[:3], one[:3]), [100, 100])  # a single row
    np.testing.assert_allclose(find_step(wide[:1], one[:1]), [1, 1])  # a single patch


def test_slides_may_start_anywhere():
    coords = np.concatenate([COORDS, COORDS + 17.3])
    np.testing.assert_allclose(find_step(coords, np.repeat([0, 1], SIDE**2)), [50, 50])


def test_without_a_grid_it_is_the_distance_to_the_nearest():
    rng = np.random.default_rng(0)
    coords = COORDS + rng.uniform(-9, 9, COORDS.shape)
    step = find_step(coords, np.zeros(len(coords)))
    assert ((step > 35) & (step < 55)).all()


def test_patches_at_one_place_are_averaged():
    grid = make_grid(np.array([[0, 0], [50, 0]]), np.array([50.0, 50.0]))
    assert lay_out(grid, np.array([[0, 0], [2, 1], [50, 0]]), np.array([[0.0], [1.0], [0.25]])).tolist() == [
        [[0.5], [0.25]]
    ]


def test_a_patch_far_away_takes_no_memory():
    coords = np.array([[0.0, 0.0], [50.0, 50.0], [5e6, 5e6]])
    grid = make_grid(coords, np.array([50.0, 50.0]))
    assert np.prod(grid.shape) <= 2_100_000
    laid = lay_out(grid, coords, np.ones((3, 1)))
    assert np.isfinite(laid).sum() == 2
