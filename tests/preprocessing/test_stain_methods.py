"""The arithmetic of stain normalisation, against torchstain and by known mixtures."""

import numpy as np
import pytest
import torchstain

from histoclf.datasets import make_patches
from histoclf.io._store import load_patches
from histoclf.preprocessing._stain_methods import Macenko, Reinhard, _from_lab, _percentile, _to_lab

MACENKO = Macenko(light=240.0, threshold=0.15, angle_percentile=1.0)
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
STAINS /= np.linalg.norm(STAINS, axis=1, keepdims=True)


def as_planes(images):
    return images.reshape(len(images), -1, 3).swapaxes(1, 2)


def as_images(planes, like):
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8).swapaxes(1, 2).reshape(like.shape)


def mixture(concentrations, stains=STAINS):
    """An image of known stains."""
    return np.clip(np.rint(240 * np.exp(-concentrations @ stains) - 1), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def patches():
    return make_patches(n_patients=4, patches_per_patient=5, random_state=0).images


def moved(method, images, reference):
    target = method.typical(method.measure(as_planes(reference[np.newaxis]))[0])
    planes = as_planes(images)
    source, usable = method.measure(planes)
    assert usable.all()
    return as_images(method.move(planes, source, target), images)


def peers(normalizer, images, reference):
    normalizer.fit(reference)
    done = [normalizer.normalize(image.copy()) for image in images]
    return np.stack([one[0] if isinstance(one, tuple) else one for one in done]).astype(int)


def test_macenko_agrees_with_torchstain(patches):
    """Within one level: torchstain cuts fractions off, and does not take back the 1 that it adds."""
    expected = peers(torchstain.normalizers.MacenkoNormalizer(backend="numpy"), patches, patches[7])
    difference = expected - moved(MACENKO, patches, patches[7])
    assert difference.min() >= 0
    assert difference.max() <= 1


def test_macenko_profile_agrees_with_torchstain(patches):
    peer = torchstain.normalizers.MacenkoNormalizer(backend="numpy")
    peer.fit(patches[7])
    (stains, strongest), _ = MACENKO.measure(as_planes(patches[7:8]))
    np.testing.assert_allclose(stains[0], peer.HERef.T, atol=1e-4)
    np.testing.assert_allclose(strongest[0], peer.maxCRef, rtol=1e-4)


def test_reinhard_agrees_with_torchstain(patches):
    """Within one level: torchstain cuts fractions off."""
    expected = peers(torchstain.normalizers.ReinhardNormalizer(backend="numpy"), patches, patches[7])
    difference = expected - moved(Reinhard(), patches, patches[7])
    assert difference.min() >= -1
    assert difference.max() <= 0


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["MacenkoNormalizer", "ReinhardNormalizer"])
def test_real_patches_agree_with_torchstain(real_data, name):
    paths = np.array(sorted(map(str, (real_data / "idc_breast").glob("*/*.png")))[::40])
    images = load_patches(paths, image_size=(50, 50)).images
    method = MACENKO if name == "MacenkoNormalizer" else Reinhard()
    images = images[method.measure(as_planes(images))[1]]
    expected = peers(getattr(torchstain.normalizers, name)(backend="numpy"), images, images[3])
    assert np.abs(expected - moved(method, images, images[3])).max() <= 1


def test_known_stains_are_found():
    amounts = np.random.default_rng(0).uniform(0.5, 1.5, (2, 4000, 2))
    amounts[:, ::2, 1] = 0  # haematoxylin alone
    amounts[:, 1::2, 0] = 0.2  # eosin, and enough haematoxylin to darken red above the threshold
    (stains, strongest), usable = MACENKO.measure(as_planes(mixture(amounts)))
    assert usable.all()
    np.testing.assert_allclose(stains[:, 0], [STAINS[0]] * 2, atol=0.02)
    np.testing.assert_allclose(strongest[:, 1], [1.5, 1.5], rtol=0.1)


def test_a_profile_does_not_depend_on_the_neighbours(patches):
    for method in (MACENKO, Reinhard()):
        together, _ = method.measure(as_planes(patches))
        alone, _ = method.measure(as_planes(patches[3:4]))
        for whole, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[3], one[0], rtol=1e-5)


@pytest.mark.parametrize("method", [MACENKO, Reinhard()], ids=["macenko", "reinhard"])
@pytest.mark.parametrize(
    "image",
    [
        np.full((400, 3), 255),
        np.zeros((400, 3)),
        np.full((400, 3), [200, 120, 160]),
        np.repeat(np.arange(400) % 200, 3).reshape(400, 3),
    ],
    ids=["white", "black", "one colour", "gray"],
)
def test_images_without_stains_have_no_profile(method, image):
    profile, usable = method.measure(as_planes(image[np.newaxis].astype(np.uint8)))
    assert not usable.any()
    assert all(np.isfinite(part).all() for part in profile)


def test_one_stain_has_no_profile():
    amounts = np.stack([np.linspace(0.3, 2, 400), np.zeros(400)], axis=1)
    assert not MACENKO.measure(as_planes(mixture(amounts)[np.newaxis]))[1].any()


def test_pale_eosin_below_the_threshold_is_not_bleached():
    """Both stains would come from the nuclei, and the pale rest would turn white."""
    rng = np.random.default_rng(0)
    nuclei = np.stack([rng.uniform(1, 2, 60), rng.uniform(0, 0.5, 60)], axis=1)
    eosin = np.stack([np.zeros(2400), rng.uniform(0.3, 1.2, 2400)], axis=1)
    image = mixture(np.concatenate([nuclei, eosin]))
    assert not MACENKO.measure(as_planes(image[np.newaxis]))[1].any()


@pytest.mark.parametrize("share", [0, 1, 37.5, 99, 100])
def test_percentiles_of_the_first_values(share):
    values = np.sort(np.random.default_rng(0).random((3, 50)), axis=1)
    counts = np.array([50, 7, 1])
    expected = [np.percentile(row[:count], share) for row, count in zip(values, counts, strict=True)]
    np.testing.assert_allclose(_percentile(values, counts, share), expected)


def test_every_level_comes_back_from_cielab():
    levels = np.random.default_rng(0).integers(0, 256, (1, 3, 5000), dtype=np.uint8)
    np.testing.assert_array_equal(np.rint(_from_lab(_to_lab(levels))), levels)


def test_cielab_of_known_colours():
    colours = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], dtype=np.uint8).T[np.newaxis]
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]
    np.testing.assert_allclose(_to_lab(colours)[0].T, expected, atol=0.05)
