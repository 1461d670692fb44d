"""Copies are found however they were changed, and nothing else is."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from histoclf import find_duplicates, find_patches, make_patches
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io import encode_png, save_patches
from tests.audit.changes import CHANGES, crop, jpeg, patches, resize, warp

MADE = patches()
IMAGES = MADE.images
CHOSEN = np.arange(3, 60, 7)


def found(images, **settings):
    return {tuple(pair) for pair in find_duplicates(images, **settings).pairs.tolist()}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_alone_and_all_together_is_seen_through(name):
    copies = np.stack([CHANGES[name](IMAGES[row]) for row in CHOSEN])
    pairs = found(np.concatenate([IMAGES, copies]))
    planted = {(int(row), len(IMAGES) + number) for number, row in enumerate(CHOSEN)}
    assert pairs <= planted
    assert len(pairs) >= len(planted) - 1  # one of the nine may be too empty


def test_different_patches_of_one_patient_are_no_copies():
    images = patches(n_patients=2, patches_per_patient=60, seed=3).images
    assert found(images) == set()


def test_exact_copies_are_told_from_changed_ones():
    images = np.concatenate([IMAGES[:8], IMAGES[2:3], IMAGES[5:6, ::-1], IMAGES[2:3]])
    duplicates = find_duplicates(images)
    assert duplicates.pairs.tolist() == [[2, 8], [2, 10], [5, 9]]
    assert duplicates.exact.tolist() == [True, True, False]
    assert duplicates.similarity[:2].tolist() == [1, 1]
    assert 0.9 < duplicates.similarity[2] <= 1


def test_every_exact_copy_is_paired_with_a_changed_one():
    images = np.concatenate([IMAGES[:6], IMAGES[2:3], IMAGES[2:3, ::-1], IMAGES[2:3, ::-1]])
    duplicates = find_duplicates(images)
    assert duplicates.pairs.tolist() == [[2, 6], [2, 7], [2, 8], [6, 7], [7, 8]]
    assert duplicates.exact.tolist() == [True, False, False, False, True]


def test_copies_of_images_that_were_pressed_into_squares_are_found():
    wide = load_sample_image("china.jpg")[40:400, 80:560]  # 4 : 3
    pressed, turned = resize(wide, 224), resize(np.ascontiguousarray(np.rot90(wide)), 224)
    assert found(np.stack([pressed, turned])) == {(0, 1)}


def test_copies_of_copies_are_in_one_cluster():
    images = np.concatenate([IMAGES[:6], [IMAGES[1][::-1], warp(IMAGES[1][::-1], 8), IMAGES[4]]])
    clusters = find_duplicates(images).clusters
    assert clusters.shape == (9,)
    assert clusters[1] == clusters[6] == clusters[7]
    assert clusters[4] == clusters[8]
    assert len(np.unique(clusters)) == 6


def test_the_order_of_images_does_not_matter():
    images = np.concatenate([IMAGES[:20], [warp(IMAGES[3], 6), IMAGES[11][:, ::-1]]])
    order = np.random.default_rng(1).permutation(len(images))
    back = {tuple(sorted(order[list(pair)].tolist())) for pair in found(images[order])}
    assert back == found(images) == {(3, 20), (11, 21)}


def test_blank_images_are_copies_of_nothing():
    white = np.full((4, 64, 64, 3), 243, dtype=np.uint8)
    duplicates = find_duplicates(np.concatenate([IMAGES[:3], white]))
    assert duplicates.pairs.shape == (0, 2)
    assert duplicates.n_blank == 4
    assert duplicates.n_images == 7


def test_edges_alone_are_no_evidence():
    """Two borders of tissue lie on each other perfectly, as do two scratches of the cover slip."""
    rng = np.random.default_rng(0)
    edges = []
    for row in range(8):
        image = np.full((64, 64, 3), 240.0)
        image[:, 20 + 3 * row :] = [200, 120, 170]
        edges.append((image + rng.normal(0, 1, image.shape)).clip(0, 255).astype(np.uint8))
    assert found(np.stack(edges)) == set()


def test_a_photograph_repeated_in_a_set_is_found_at_any_size_and_shape(tmp_path):
    picture = load_sample_image("china.jpg")[100:300, 100:400]
    files = [picture, resize(picture, 200), np.ascontiguousarray(np.rot90(picture)), IMAGES[0]]
    paths = []
    for number, image in enumerate(files):
        encode_png(image, tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
    pairs = found(paths)
    assert (0, 2) in pairs  # turned, although not square
    assert all(3 not in pair for pair in pairs)


def test_files_and_arrays_in_any_units_give_the_same(tmp_path):
    images = np.concatenate([IMAGES[:6], [crop(IMAGES[2]), jpeg(IMAGES[4])]])
    labels, groups = np.repeat("0", 8), np.repeat("P1", 8)
    paths = save_patches(images, labels, groups, None, tmp_path)
    expected = {(2, 6), (4, 7)}
    assert found(paths) == expected
    assert found(images) == expected
    assert found(images / 255) == expected
    assert found((images / 255).reshape(8, -1), image_shape=(64, 64, 3)) == expected
    gray = images.mean(axis=3, keepdims=True).astype(np.uint8)
    assert found(gray) == expected


def test_threads_do_not_change_the_answer():
    images = np.concatenate([IMAGES, [warp(IMAGES[3], 6), IMAGES[11][:, ::-1]]])
    one, two = find_duplicates(images), find_duplicates(images, n_jobs=2)
    np.testing.assert_array_equal(one.pairs, two.pairs)
    np.testing.assert_array_equal(one.similarity, two.similarity)


def test_inputs_are_not_changed():
    images = IMAGES[:5].copy()
    find_duplicates(images)
    np.testing.assert_array_equal(images, IMAGES[:5])


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(InputContractError, match=r"X has shape \(4, 3\).*image_shape"):
        find_duplicates(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"min_similarity=0\.2: expected 0\.5 to 1"):
        find_duplicates(IMAGES[:2], min_similarity=0.2)
    with pytest.raises(ImageReadError, match=r"gone\.png.*there is no such file"):
        find_duplicates([str(tmp_path / "gone.png")])


@pytest.mark.real_data
@pytest.mark.slow
def test_real_patches_of_one_patient_are_no_copies(real_data):
    patches = find_patches(real_data / "idc_breast")
    _, counts = np.unique(patches.groups, return_counts=True)
    patient = np.unique(patches.groups)[counts.argmax()]
    assert len(find_duplicates(patches.paths[patches.groups == patient]).pairs) == 0


def test_images_of_few_pixels_are_copies_only_if_exact() -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    found = find_duplicates(np.concatenate([images, images[3:4]]))
    assert found.pairs.tolist() == [[3, 100]]
    assert found.exact.tolist() == [True]


def test_images_that_ask_in_several_blocks_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = make_patches(n_patients=2, patches_per_patient=20, random_state=0).images
    images = np.concatenate([images, images[:12, ::-1], np.rot90(images[20:30], axes=(1, 2))])
    expected = find_duplicates(images)
    monkeypatch.setattr("histoclf.audit._matching._IMAGES", 7)
    found = find_duplicates(images, n_jobs=2)
    np.testing.assert_array_equal(found.pairs, expected.pairs)
    np.testing.assert_allclose(found.similarity, expected.similarity)
    assert len(found.pairs) >= 20
