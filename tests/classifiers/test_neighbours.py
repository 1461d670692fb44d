import time

import numpy as np
import pytest

from histoclf.classifiers._neighbours import add_neighbours, find_spacing, sum_neighbours
from histoclf.classifiers._places import Places, canonical_order


def grid(side, n_slides=1, spacing=50.0):
    """Square slides full of patches, in the canonical order."""
    x, y = np.divmod(np.arange(side**2), side)
    coords = np.tile(np.stack([x, y], axis=1) * spacing, (n_slides, 1))
    return Places(np.repeat(np.arange(n_slides), side**2), coords)


def scattered(n, *, seed=0):
    """Patches anywhere on three slides, some of them at one place."""
    rng = np.random.default_rng(seed)
    coords = rng.integers(0, 12, (n, 2)) * 10.0
    places = Places(rng.choice(["a", "b", "c"], n), coords)
    return places.take(canonical_order(np.arange(n)[:, np.newaxis], places)), rng.normal(size=(n, 2))


def all_pairs(places, radius):
    """The kernel written down."""
    distance = np.linalg.norm(places.coords[:, np.newaxis] - places.coords, axis=2)
    near = (distance <= 3 * radius + 1e-6) & (places.groups[:, np.newaxis] == places.groups)
    np.fill_diagonal(near, False)
    return np.where(near, np.exp(-0.5 * (distance / radius) ** 2), 0)


@pytest.mark.parametrize("radius", [3.0, 10.0, 25.0])
def test_sums_are_those_over_all_pairs(radius):
    places, values = scattered(300)
    sums, weights = sum_neighbours(places, values, radius)
    kernel = all_pairs(places, radius)
    np.testing.assert_allclose(sums, kernel @ values, atol=1e-12)
    np.testing.assert_allclose(weights, kernel.sum(axis=1), atol=1e-12)


def test_no_slide_hears_of_another():
    places, values = scattered(200)
    rows = places.groups == "b"
    alone = sum_neighbours(places.take(rows), values[rows], 20.0)[0]
    assert np.array_equal(sum_neighbours(places, values, 20.0)[0][rows], alone)


def test_a_patch_at_the_same_position_weighs_one():
    sums, weights = sum_neighbours(Places(np.zeros(2), np.ones((2, 2))), np.array([[1.0], [5.0]]), 1.0)
    assert sums.tolist() == [[5.0], [1.0]]
    assert weights.tolist() == [1, 1]


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.2518, 1e6])
def test_the_unit_and_the_origin_do_not_matter(unit):
    # Patches three radii away are neighbours, however the unit rounds their distance.
    here = grid(8)
    there = Places(here.groups, here.coords * unit)
    assert find_spacing(there) == pytest.approx(50 * unit)
    weights = sum_neighbours(here, np.ones((64, 1)), 50.0)[1]
    np.testing.assert_allclose(sum_neighbours(there, np.ones((64, 1)), 50.0 * unit)[1], weights)


def test_more_patches_than_are_held_at_a_time():
    places = grid(40)
    sums, weights = sum_neighbours(places, np.ones((1600, 1)), 50.0)
    np.testing.assert_allclose(sums[:, 0], weights)
    np.testing.assert_allclose(weights.reshape(40, 40), weights.reshape(40, 40).T)


def test_spacing_is_that_of_positions():
    places = Places(np.array(["a"] * 4 + ["b"]), np.array([[0, 0], [0, 0], [0, 30], [40, 30], [3, 3]], float))
    assert find_spacing(places) == 30
    assert np.isnan(find_spacing(places.take(np.array([0, 1, 4]))))


def test_neighbours_are_added_in_the_type_of_the_values():
    places = Places(np.array(["a", "a", "b"]), np.zeros((3, 2)))
    table = add_neighbours(np.array([[1, 2], [3, 4], [5, 6]], np.float32), places, 10.0)
    assert table.tolist() == [[1, 2, 3, 4], [3, 4, 1, 2], [5, 6, 5, 6]]
    assert table.dtype == np.float32


@pytest.mark.slow
def test_fifty_thousand_patches_take_seconds():
    places = grid(45, n_slides=25)
    start = time.process_time()
    sum_neighbours(places, np.ones((len(places.groups), 2)), 2 * 50.0)
    assert time.process_time() - start < 5
