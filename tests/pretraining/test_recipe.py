"""The recipe of the histology backbone, on a few synthetic crops."""

import sys
from pathlib import Path

import numpy as np
import pytest

from histoclf.datasets import make_patches
from tests.conftest import REPO

TINY = {"widths": (8, 8, 8, 8, 16), "repeats": (0, 0, 1)}
N_TARGETS = 4


@pytest.fixture(scope="module", autouse=True)
def recipe_on_the_path():
    sys.path.insert(0, str(REPO / "pretraining"))
    yield
    sys.path.remove(str(REPO / "pretraining"))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return make_patches(n_patients=2, patches_per_patient=20, image_size=32, random_state=0).images


@pytest.fixture(scope="module")
def targets(images) -> np.ndarray:
    colours = images.mean(axis=(1, 2)) / 255
    own = np.concatenate([colours, colours[:, :1]], axis=1)
    facts = np.concatenate([np.ones((40, 1)), np.arange(40)[:, None] % 2, np.ones((40, 2))], axis=1)
    return np.concatenate([own, own, facts], axis=1).astype("float32")


def settings(**changes):
    from settings import Settings

    return Settings(n_targets=N_TARGETS, epochs=2, batch_size=16).replace(**changes)


def test_an_interrupted_training_goes_on_to_the_same_weights(images, targets, tmp_path: Path):
    from training import pretrain

    whole = pretrain(images, targets, settings(), **TINY)
    checkpoint = tmp_path / "checkpoint.npz"
    half = pretrain(images, targets, settings(), checkpoint, stop_after=1, **TINY)
    resumed = pretrain(images, targets, settings(), checkpoint, **TINY)
    apart = [
        max(np.abs(a - b).max() for a, b in zip(x.get_weights(), whole.backbone.get_weights(), strict=True))
        for x in (half.backbone, resumed.backbone)
    ]
    assert apart[0] > 1e-3
    assert apart[1] < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


@pytest.mark.parametrize("loss", ["distil", "context", "consistency", "labels"])
def test_every_loss_trains_the_backbone(images, targets, loss):
    from training import pretrain

    only = dict.fromkeys(("distil", "context", "consistency", "labels"), 0.0) | {loss: 1.0}
    student = pretrain(images, targets, settings(**only, epochs=1, weight_decay=0.0), **TINY)
    start = pretrain(images, targets, settings(**only, epochs=1, rate=0.0, weight_decay=0.0), **TINY)
    kernels = [model.backbone.get_layer("top_conv").get_weights()[0] for model in (student, start)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-5
    assert all(np.isfinite(array).all() for array in student.get_weights())


def test_vicreg_is_small_for_equal_views_that_differ_between_images():
    from student import vicreg

    spread = 2 * np.linalg.qr(np.random.default_rng(0).standard_normal((64, 8)))[0].astype("float32") * 8
    assert float(vicreg(spread, spread)) < 0.6
    assert float(vicreg(np.zeros_like(spread), np.zeros_like(spread))) > 0.9
    assert float(vicreg(spread, -spread)) > 1.0


def test_some_crops_are_blurred_without_a_change_of_their_light(images):
    from student import Degrade

    floats = images.astype("float32")
    blurred = np.asarray(Degrade(0.0, 0.5, seed=0)(floats, training=True))
    apart = np.abs(blurred - floats).max(axis=(1, 2, 3))
    assert 8 < (apart > 1e-3).sum() < 32
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), floats.mean(axis=(1, 2)), atol=1.0)
    rough = [np.abs(np.diff(batch, axis=1)).mean(axis=(1, 2, 3)) for batch in (blurred, floats)]
    assert (rough[0][apart > 1] < rough[1][apart > 1]).all()
    np.testing.assert_array_equal(Degrade(1.0, 1.0, seed=0)(floats), floats)


def test_some_crops_are_shown_as_their_haematoxylin(images):
    from student import Degrade

    floats = images.astype("float32")
    shown = np.asarray(Degrade(0.5, 0.0, seed=0)(floats, training=True))
    gray = np.ptp(shown, axis=-1).max(axis=(1, 2)) == 0
    assert 8 < gray.sum() < 32
    np.testing.assert_array_equal(shown[~gray], floats[~gray])


def test_targets_are_standardised_components_and_the_neighbours_mean():
    from crops import Crops
    from targets import compress, neighbourhood

    draw = np.random.default_rng(0)
    features = [(draw.standard_normal((30, 6)) * 100 + 5).astype("float16")]
    rows = np.arange(30)
    own = compress(features, rows, 4)
    assert own.shape == (30, 4)
    assert np.mean(own**2) == pytest.approx(1.0, abs=1e-5)
    coords = np.array([[x, y] for x in range(0, 300, 50) for y in range(0, 250, 50)], dtype=float)
    crops = Crops(
        images=np.zeros((30, 1, 1, 3)),
        sharp=np.zeros((30, 1, 1, 3)),
        source=np.array(["idc"] * 30),
        group=np.array(["a"] * 30),
        number=rows,
        whole=np.ones(30, dtype=bool),
        positive=np.zeros(30),
        coords=coords,
    )
    around, known = neighbourhood(crops, rows, own)
    near = (np.abs(coords - coords[7]).max(axis=1) <= 100) & (rows != 7)
    np.testing.assert_allclose(around[7], own[near].mean(axis=0), atol=1e-6)
    assert known.all()


def test_patterns_choose_columns():
    from teachers import choose

    features = {"mobilenet": np.zeros((2, 3584)), "mobilenet_v2": np.ones((2, 4000))}
    found = choose(features, ("*/haematoxylin/last", "mobilenet/rgb/conv_pw_5_relu"))
    assert [part.shape[1] for part in found] == [256, 1024, 1280]
    with pytest.raises(ValueError, match="fit no network"):
        choose(features, ("resnet",))


def test_only_sets_that_may_be_passed_on_are_read():
    text = "".join(path.read_text(encoding="utf-8") for path in (REPO / "pretraining").glob("*.py"))
    for name in ("crc_val", "kather", "osteosarcoma"):
        assert name not in text
