"""Where networks see evidence: laid out over the image, it adds up to what they answer."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.special import logsumexp

from histoclf.networks._architectures import CNNSpec
from histoclf.networks._backbones import resolve_backbone
from histoclf.networks._engine import borrow_engine
from histoclf.networks._saliency import SaliencySpec
from histoclf.networks._tuning import Head, TunedSpec
from tests.tiny import tiny_backbone

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 3)).astype("uint8")
CNN = CNNSpec((16, 24, 3), 3, (8, 16), "group", 0.1, None, "uint8")
BACKBONE, _ = resolve_backbone(tiny_backbone, None, None, 0)
TUNED = TunedSpec(BACKBONE, Head(3, 0, 0.0), (16, 24, 3), "uint8", "avg", 0, None)


def drawn(spec, seed=0):
    generator = np.random.default_rng(seed)
    with borrow_engine(spec) as engine:
        shapes = [weight.shape for weight in engine.model.weights]
    return [
        generator.normal(0, 0.3, shape) if len(shape) > 1 else generator.uniform(0.5, 1.5, shape)
        for shape in shapes
    ]


def run(spec, weights):
    with borrow_engine(spec, weights) as engine:
        return engine.predict(IMAGES)


def log_odds(logits):
    rest = [logsumexp(np.delete(logits, code, axis=1), axis=1) for code in range(logits.shape[1])]
    return logits - np.stack(rest, axis=1)


FIXED = replace(TUNED, backbone=replace(BACKBONE, side=(16, 24)))  # no margin fits around it


@pytest.mark.parametrize(
    "spec",
    [CNN, replace(CNN, normalization="batch"), FIXED, replace(FIXED, pooling="max")],
    ids=["cnn", "cnn-batch", "tuned", "max"],
)
def test_the_mean_of_a_map_is_the_log_odds_but_for_the_intercept(spec):
    spec = replace(spec, n_classes=2) if spec.__class__ is CNNSpec else replace(spec, head=Head(2, 0, 0.0))
    weights = drawn(spec)
    evidence = run(SaliencySpec(spec), weights)
    assert evidence.shape == (5, 16, 24, 2)
    left = log_odds(run(spec, weights)) - evidence.mean(axis=(1, 2))
    np.testing.assert_allclose(left, np.broadcast_to(left[0], left.shape), atol=2e-3)
    assert evidence.std(axis=(1, 2)).min() > 1e-3


@pytest.mark.parametrize(
    "spec",
    [
        replace(TUNED, pooling="avg+max", head=Head(3, 4, 0.0)),
        replace(TUNED, backbone=replace(BACKBONE, channels="rgb+haematoxylin")),
        CNN,
    ],
    ids=["mlp-both", "haematoxylin", "cnn"],
)
def test_every_class_has_a_map_and_what_is_for_all_classes_is_for_none(spec):
    evidence = run(SaliencySpec(spec), drawn(spec))
    assert evidence.shape == (5, 16, 24, 3)
    assert np.isfinite(evidence).all()
    assert evidence.std(axis=(1, 2)).min() > 1e-3
    assert not np.allclose(evidence[..., 0], evidence[..., 1])


def test_a_border_of_zeros_leaves_no_mark_on_the_map_of_a_backbone():
    plain, weights = np.full((1, 16, 24, 3), 200, dtype="uint8"), drawn(TUNED)
    assert (SaliencySpec(TUNED).margin, SaliencySpec(FIXED).margin, SaliencySpec(CNN).margin) == (16, 0, 0)
    with borrow_engine(SaliencySpec(TUNED), weights) as engine:
        assert engine.predict(plain).std(axis=(1, 2)).max() < 1e-4
    with borrow_engine(SaliencySpec(FIXED), weights) as engine:
        assert engine.predict(plain).std(axis=(1, 2)).max() > 1e-2


def test_a_backbone_with_a_margin_sees_the_same_places():
    """Away from the border nothing changes, so the maps are aligned."""
    specs = [replace(spec, head=Head(2, 0, 0.0)) for spec in (TUNED, FIXED)]
    maps = [run(SaliencySpec(spec), drawn(specs[0])) for spec in specs]
    inner = [each[:, 6:10, 6:18] for each in maps]
    np.testing.assert_allclose(inner[0], inner[1], atol=1e-3)


def test_of_two_classes_one_map_is_the_negative_of_the_other():
    spec = replace(CNN, n_classes=2)
    evidence = run(SaliencySpec(spec), drawn(spec))
    np.testing.assert_allclose(evidence[..., 0], -evidence[..., 1], atol=1e-5)


def test_with_average_pooling_a_place_has_the_log_odds_of_an_image_that_looks_like_it_everywhere():
    """What class activation maps promise; the middle of the image, where no border is near."""
    whole = replace(CNN, n_classes=2, filters=(8,), normalization="batch")  # a place sees 5 x 5 pixels
    weights = drawn(whole)
    striped = np.tile(np.array([0, 255], dtype="uint8")[:, None, None], (8, 24, 3))[None]
    halves = striped.copy()
    halves[:, :, 12:] = 128
    with borrow_engine(SaliencySpec(whole), weights) as engine:
        of_stripes, of_halves = engine.predict(striped), engine.predict(halves)
    np.testing.assert_allclose(of_halves[0, 6:10, 4:7], of_stripes[0, 6:10, 4:7], atol=1e-4)
    assert np.abs(of_halves[0, 6:10, 17:20] - of_stripes[0, 6:10, 17:20]).min() > 1e-2


def test_one_graph_serves_all_fits_of_an_architecture():
    spec = SaliencySpec(CNN)
    with borrow_engine(spec, drawn(CNN)) as engine:
        first = engine.predict(IMAGES)
    with borrow_engine(SaliencySpec(CNN), drawn(CNN, seed=1)) as again:
        assert again is engine
        assert np.abs(again.predict(IMAGES) - first).max() > 0.1


def test_maps_do_not_depend_on_the_company():
    weights = drawn(CNN)
    with borrow_engine(SaliencySpec(CNN), weights) as engine:
        np.testing.assert_array_equal(engine.predict(IMAGES[:1]), engine.predict(IMAGES)[:1])


def one_vector(input_shape=(None, None, 3)):
    images = keras.Input(input_shape)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))


def test_a_network_that_gives_one_vector_has_no_map():
    backbone, _ = resolve_backbone(one_vector, None, None, 0)
    with pytest.raises(ValueError, match=r"still has places.* \(None, 3\).*layers="):
        SaliencySpec(replace(TUNED, backbone=backbone)).build()
