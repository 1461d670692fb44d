"""What a point may ask for does not grow with the number of images, and its true copy is always in it."""

import numpy as np

from histoclf.audit import _matching
from histoclf.audit._canvas import open_canvases
from histoclf.audit._cells import make_centres, sorted_into
from histoclf.audit._duplicates import _describe
from tests.audit.changes import patches


def points_of(images):
    return _describe(open_canvases(images).gray, np.arange(len(images)), None, 0)


def pairs_of_points(points, side_of=None):
    centres = make_centres(points.descriptor)
    members = sorted_into(centres.nearest(points.descriptor, 1), len(centres))
    return _matching._look_alike(points, centres, members, np.arange(len(points)), side_of)


def test_the_most_alike_of_each_point_are_chosen(monkeypatch):
    monkeypatch.setattr(_matching, "_NEIGHBOURS", 2)
    point = np.array([5, 1, 5, 5, 1, 7])
    alike = np.array([0.9, 0.81, 0.95, 0.85, 0.82, 0.99])
    assert _matching._most_alike(point, alike).tolist() == [4, 1, 2, 0, 5]
    assert _matching._most_alike(point[:0], alike[:0]).tolist() == []


def test_a_point_keeps_a_few_pairs_however_many_images_look_like_it():
    images = patches(n_patients=1, patches_per_patient=2, seed=2).images
    noise = np.random.default_rng(0).integers(-6, 7, (60, *images.shape[1:]))
    alike = (images[:1] + noise).clip(0, 255).astype(np.uint8)
    one, other, _ = pairs_of_points(points_of(alike))
    assert np.bincount(one).max() == _matching._NEIGHBOURS
    assert len(one) == len(other) > 1000


def test_the_true_copy_is_among_the_few():
    """Here every point looks like many others: synthetic nuclei are more alike than real ones."""
    images = patches(n_patients=4, patches_per_patient=60, seed=5).images
    copies = images[::12, :, ::-1]
    points = points_of(np.concatenate([images, copies]))
    one, other, is_mirrored = pairs_of_points(points)
    true = points.image[other] == len(images) + points.image[one] // 12
    true &= (points.image[one] % 12 == 0) & is_mirrored
    votes = np.bincount(points.image[one[true]], minlength=len(images))[: len(images) : 12]
    n_points = np.bincount(points.image, minlength=len(images))[: len(images) : 12]
    assert (votes >= 0.5 * n_points).all()


def test_only_pairs_across_the_sides_count_among_the_few():
    images = patches(n_patients=1, patches_per_patient=6, seed=2).images
    points = points_of(np.concatenate([np.repeat(images, 20, axis=0), images]))
    side_of = np.repeat([0, 1], [120, 6])
    one, other, _ = pairs_of_points(points, side_of)
    assert (side_of[points.image[one]] != side_of[points.image[other]]).all()
    own = points.image[other] == 120 + points.image[one] // 20
    n_first = (points.image < 120).sum()
    assert len(np.unique(one[own])) > 0.95 * n_first
