"""Cells of points are those that a look at all centres would choose, or nearly, at a fraction of the time."""

import numpy as np
import pytest

from histoclf.audit import _cells
from histoclf.audit._cells import make_centres, sorted_into


@pytest.fixture
def descriptors():
    """Band-limited samples have fewer degrees of freedom than numbers."""
    rng = np.random.default_rng(0)
    found = (rng.normal(size=(4000, 16)) @ rng.normal(size=(16, 64))).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def small(monkeypatch):
    """Two points a cell, twenty cells a group: 2,000 cells in 100 groups."""
    monkeypatch.setattr(_cells, "_PER_CELL", 2)
    monkeypatch.setattr(_cells, "_PER_GROUP", 20)


def all_compared(descriptors, centres, n_nearest):
    return np.argsort(-descriptors @ centres.descriptor.T, axis=1)[:, :n_nearest]


def test_every_centre_is_in_one_group_and_their_number_goes_with_the_points(descriptors, small):
    centres = make_centres(descriptors)
    assert len(centres) == 2000
    assert len(centres.groups) == 100
    np.testing.assert_array_equal(np.sort(np.concatenate(centres.groups)), np.arange(2000))


def test_of_few_groups_all_are_looked_at(descriptors, small, monkeypatch):
    monkeypatch.setattr(_cells, "_GROUPS", 100)
    monkeypatch.setattr(_cells, "_BLOCK", 900)  # several rounds
    centres = make_centres(descriptors)
    for n_nearest in (1, 4):
        nearest = centres.nearest(descriptors, n_nearest)
        np.testing.assert_array_equal(nearest, all_compared(descriptors, centres, n_nearest))


def test_points_that_look_alike_find_the_same_cells_among_many_groups(descriptors, small):
    """The cells that a point asks hold its copy nearly as often as those of a look at all centres."""
    noise = np.random.default_rng(1).normal(0, 0.05, descriptors.shape).astype(np.float32)
    centres = make_centres(descriptors)
    at_home = centres.nearest(descriptors, 1)
    guests = centres.nearest(descriptors + noise, 4)
    assert guests.shape == (4000, 4)
    assert (np.diff(np.sort(guests, axis=1)) > 0).all()  # four different ones
    without_groups = all_compared(descriptors + noise, centres, 4) == all_compared(descriptors, centres, 1)
    assert (guests == at_home).any(axis=1).mean() > 0.95 * without_groups.any(axis=1).mean() > 0.8


def test_fewer_cells_than_asked_for_and_no_points():
    descriptors = np.eye(3, dtype=np.float32)
    centres = make_centres(descriptors)
    assert len(centres) == 1
    assert centres.nearest(descriptors, 4).tolist() == [[0], [0], [0]]
    assert [rows.tolist() for rows in sorted_into(np.array([[2, 0], [0, 1]]), 4)] == [[0, 1], [1], [0], []]
