"""Random augmentation: what it may change and what it must not."""

import keras
import numpy as np
import pytest

from histoclf import Augmentation
from histoclf.networks._augment import (
    RandomAugment,
    _draw_symmetry,
    _flip_and_turn,
    _rotate_and_zoom,
    augment_by_content,
    stain_matrix,
)
from histoclf.preprocessing._augmentation import augmentation_fields

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(40, 220, (12, 12, 3)).astype("float32")
BATCH = np.repeat(IMAGE[None], 64, axis=0)


def augment(images, seed=0, training=True, **fields):
    layer = RandomAugment(dict(augmentation_fields(Augmentation(**{"flip": False} | fields))), seed=seed)
    return keras.ops.convert_to_numpy(layer(images, training=training))


def symmetries(image):
    turned = [np.rot90(image, k) for k in range(4)]
    return [*turned, *(view[::-1] for view in turned)]


def test_flips_give_exactly_the_eight_symmetries_of_a_square():
    result = augment(BATCH, flip=True)
    expected = {view.tobytes() for view in symmetries(IMAGE)}
    assert {view.tobytes() for view in result} == expected


def test_flips_give_exactly_the_four_symmetries_of_a_rectangle():
    wide = BATCH[:, :8]
    result = augment(wide, flip=True)
    assert result.shape == wide.shape
    views = {np.ascontiguousarray(wide[0, ::i, ::j]).tobytes() for i in (1, -1) for j in (1, -1)}
    assert {view.tobytes() for view in result} == views


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"flip": True, "rotation": 30.0, "zoom": 0.2, "brightness": 0.2, "contrast": 0.3, "stain": 0.2},
    ],
    ids=["nothing asked for", "not in training"],
)
def test_images_pass_unchanged(fields):
    np.testing.assert_array_equal(augment(BATCH, training=not fields, **fields), BATCH)


@pytest.mark.parametrize(
    "fields", [{"stain": 1e-7}, {"brightness": 1e-7}, {"contrast": 1e-7}, {"rotation": 1e-5}, {"zoom": 1e-7}]
)
def test_changes_vanish_with_their_strength(fields):
    np.testing.assert_allclose(augment(BATCH, **fields), BATCH, atol=0.01)


@pytest.mark.parametrize(
    "fields", [{"rotation": 30.0}, {"zoom": 0.3}, {"brightness": 0.2}, {"contrast": 0.4}, {"stain": 0.3}]
)
def test_every_image_is_changed_in_its_own_way_and_stays_in_range(fields):
    result = augment(BATCH, **fields)
    assert len({image.tobytes() for image in result}) == len(result)
    assert result.min() >= 0.0
    assert result.max() <= 255.0
    assert result.dtype == np.float32


@pytest.mark.parametrize(
    "fields", [{"rotation": 30.0}, {"zoom": 0.2}, {"contrast": 0.2}, {"brightness": 0.1}]
)
def test_the_mean_is_roughly_kept(fields):
    assert augment(BATCH, **fields).mean() == pytest.approx(BATCH.mean(), abs=8)


def test_contrast_stretches_around_each_image_s_own_mean():
    result = augment(BATCH, contrast=0.1)
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), IMAGE.mean(), atol=0.1)
    stretch = result.std(axis=(1, 2, 3)) / IMAGE.std()
    assert 0.9 <= stretch.min() < 0.95
    assert 1.05 < stretch.max() <= 1.1


def test_brightness_shifts_all_pixels_of_an_image_alike():
    shift = augment(BATCH, brightness=0.1) - BATCH
    np.testing.assert_allclose(shift, shift[:, :1, :1, :1] + np.zeros_like(shift), atol=1e-3)
    assert 20 < np.abs(shift).max() <= 25.5


def test_rotation_leaves_no_black_corners():
    white = np.full((16, 12, 12, 3), 200.0, dtype="float32")
    np.testing.assert_allclose(augment(white, rotation=180.0, zoom=0.5), 200.0, atol=0.01)


def test_rotation_turns_around_the_centre():
    dot = np.zeros((32, 9, 9, 1), dtype="float32")
    dot[:, 4, 4] = 100.0
    np.testing.assert_allclose(augment(dot, rotation=180.0)[:, 4, 4], 100.0, atol=0.01)


def test_stain_jitter_moves_each_image_along_its_stains():
    """In optical density the change is a linear map of each pixel plus a constant: Beer-Lambert."""
    result = augment(BATCH[:4], stain=0.1)
    before = -np.log((BATCH[:4] + 1) / 256).reshape(4, -1, 3)
    after = -np.log((result + 1) / 256).reshape(4, -1, 3)
    for b, a in zip(before, after, strict=True):
        stains = b @ np.linalg.inv(stain_matrix())
        changed = a @ np.linalg.inv(stain_matrix())
        for stain in range(3):
            gain, shift = np.polyfit(stains[:, stain], changed[:, stain], 1)
            assert 0.9 <= gain <= 1.1
            assert abs(shift) <= 0.025 + 1e-6
            np.testing.assert_allclose(stains[:, stain] * gain + shift, changed[:, stain], atol=1e-3)


def test_stain_jitter_leaves_gray_images_alone():
    gray = BATCH[..., :1]
    np.testing.assert_array_equal(augment(gray, stain=0.5), gray)


def test_stain_vectors_are_of_unit_length_and_independent():
    np.testing.assert_allclose(np.linalg.norm(stain_matrix(), axis=1), 1.0, rtol=1e-6)
    assert abs(np.linalg.det(stain_matrix())) > 0.5


def test_one_seed_gives_one_result():
    fields = {"flip": True, "rotation": 30.0, "stain": 0.2}
    np.testing.assert_array_equal(augment(BATCH, seed=3, **fields), augment(BATCH, seed=3, **fields))
    assert not np.array_equal(augment(BATCH, seed=3, **fields), augment(BATCH, seed=4, **fields))


def test_the_layer_can_be_built_again_from_its_config():
    layer = RandomAugment(dict(augmentation_fields("standard")), seed=5)
    again = RandomAugment.from_config(layer.get_config())
    assert (again.spec, again.seed) == (layer.spec, 5)


# --- changed by content ------------------------------------------------------------------------------------

EVERYTHING = dict(augmentation_fields(Augmentation(rotation=30.0, zoom=0.2, brightness=0.1, contrast=0.2)))
VARIED = RNG.integers(0, 256, (9, 12, 12, 3)).astype("uint8")
KEYS = [bytes([row]) * 16 for row in range(9)]


def by_content(rows, seed=0, spec=EVERYTHING, images=VARIED):
    return augment_by_content(images[rows], spec, [KEYS[row] for row in rows], seed)


@pytest.mark.parametrize("images", [VARIED, VARIED.astype("float32"), VARIED[:, :8], VARIED[..., :1]])
def test_a_change_depends_on_neither_company_nor_order(images):
    together = by_content(range(9), images=images)
    order = np.random.default_rng(1).permutation(9)
    np.testing.assert_array_equal(by_content(order, images=images), together[order])
    for row in (0, 4, 8):
        np.testing.assert_array_equal(by_content([row], images=images)[0], together[row])


def test_a_change_depends_on_seed_and_key():
    first = by_content(range(9))
    np.testing.assert_array_equal(by_content(range(9)), first)
    other = by_content(range(9), seed=1)
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    same_image = augment_by_content(VARIED[[0, 0]], EVERYTHING, KEYS[:2], 0)
    assert not np.array_equal(*same_image)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_changed_images_stay_in_type_and_range_and_the_given_ones_as_they_are(dtype):
    images = VARIED.astype(dtype)
    before = images.copy()
    changed = by_content(range(9), images=images)
    assert changed.dtype == dtype
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 255
    np.testing.assert_array_equal(images, before)
    assert not np.array_equal(changed, images)


def test_whole_numbers_are_rounded_not_cut():
    whole = by_content(range(9)).astype("float64")
    exact = by_content(range(9), images=VARIED.astype("float32"))
    assert np.abs(whole - exact).max() <= 0.5 + 1e-3


def test_flips_by_content_give_the_eight_symmetries_alike_often():
    keys = [row.to_bytes(16, "big") for row in range(400)]
    flips = dict(augmentation_fields(Augmentation(flip=True)))
    changed = augment_by_content(np.repeat(IMAGE[None], 400, axis=0), flips, keys, 0)
    views = [view.tobytes() for view in symmetries(IMAGE)]
    counts = [sum(view == image.tobytes() for image in changed) for view in views]
    assert sum(counts) == 400
    assert min(counts) > 25


def test_no_images_stay_no_images():
    assert by_content([]).shape == (0, 12, 12, 3)


def test_drawing_by_content_leaves_the_global_stream_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    by_content(range(3))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("shape", [(64, 12, 12, 3), (64, 8, 12, 3), (64, 12, 8, 1)])
def test_flips_within_the_resampling_are_flips_before_it(shape):
    images = RNG.uniform(0, 255, shape).astype("float32")

    def changed(together):
        stream = np.random.default_rng(0)

        def draw(low, high, *trailing):
            return stream.uniform(low, high, (shape[0], *trailing)).astype("float32")

        symmetry = _draw_symmetry(images, draw)
        if not together:
            return _rotate_and_zoom(_flip_and_turn(images, symmetry), None, 30.0, 0.2, draw)
        return _rotate_and_zoom(images, symmetry, 30.0, 0.2, draw)

    np.testing.assert_allclose(changed(True), changed(False), atol=0.02)
