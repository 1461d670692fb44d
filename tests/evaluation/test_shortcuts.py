import numpy as np
import pytest

from histoclf.datasets import make_patches
from histoclf.evaluation import mean_colours
from histoclf.evaluation._shortcuts import SHORTCUTS, describe_separation, find_shortcuts
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


def tables(X, **options):
    return find_shortcuts(
        X, SHORTCUTS, **({"image_shape": None, "sites": None, "verbose": 0} | options)
    ).tables


def test_a_histogram_counts_the_pixels_of_each_channel():
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    images[1, :, :2] = (255, 16, 128)
    found = tables(images)["colour histogram"]
    assert found.shape == (2, 48)
    assert np.flatnonzero(found[0]).tolist() == [0, 16, 32]
    filled = {0: 0.5, 15: 0.5, 16: 0.5, 17: 0.5, 32: 0.5, 40: 0.5}
    assert {place: found[1, place] for place in np.flatnonzero(found[1]).tolist()} == filled


def test_units_do_not_matter():
    of_bytes, of_shares = tables(MADE.images), tables(MADE.images / 255.0)
    for name in ("colour histogram", "blank share"):
        assert of_shares[name] == pytest.approx(of_bytes[name], abs=0.01)


def test_many_images_are_counted_in_blocks():
    images = np.random.default_rng(0).integers(256, size=(600, 4, 4, 3), dtype=np.uint8)
    alone = np.concatenate([tables(images[[0, row]])["colour histogram"][1:] for row in (1, 300, 599)])
    assert np.array_equal(tables(images)["colour histogram"][[1, 300, 599]], alone)


def test_blank_is_what_is_bright_in_every_channel():
    images = np.full((2, 4, 4, 3), 100, dtype=np.uint8)
    images[0, 0] = 240
    images[1, 0] = (255, 100, 255)
    assert tables(images)["blank share"].ravel().tolist() == [0.25, 0.0]


def test_what_is_the_same_everywhere_is_no_shortcut(tmp_path):
    paths = save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, tmp_path)
    found = tables(paths)
    assert "file metadata" not in found
    assert found["file size"].shape == (8, 1)
    assert "site" in tables(MADE.images, sites=np.arange(8) % 2)


def test_facts_are_named_only_if_they_tell_every_class(tmp_path):
    paths = save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, tmp_path)
    small = save_patches(MADE.images[:, :32], MADE.labels, MADE.groups, MADE.coords, tmp_path / "small")
    facts = find_shortcuts(
        [*paths, *small], ("file metadata",), image_shape=None, sites=None, verbose=0
    ).facts
    (said,) = describe_separation(facts, np.repeat(["x", "y"], 8))
    assert "the size in pixels alone tells the classes apart ('x' 48 x 48; 'y' 32 x 48)" in said
    assert describe_separation(facts, np.tile(["x", "y"], 8)) == []
    assert describe_separation(None, np.array(["x"])) == []
