"""The steps of learning that need a network."""

import numpy as np
import pytest

from histoclf.classifiers._stages import initial_head, make_variation, resolve_layers
from histoclf.networks._backbones import resolve_backbone
from histoclf.networks._tuning import Head, HeadSpec
from histoclf.preprocessing._augmentation import augmentation_fields
from tests.tiny import textures, tiny_backbone

X, y = textures(8)


@pytest.fixture(scope="module")
def backbone():
    return resolve_backbone(tiny_backbone, None, "imagenet", 0)[0]


@pytest.mark.parametrize(
    ("asked", "expected"), [("all", 2), (1, 1), (2, 2), (0.1, 1), (0.5, 1), (0.99, 2), (np.int64(1), 1)]
)
def test_layers_may_be_a_number_a_share_or_all(backbone, asked, expected):
    assert resolve_layers(asked, backbone) == expected


def test_more_layers_than_there_are_is_an_error(backbone):
    with pytest.raises(ValueError, match=r"fine_tune_layers=3, but backbone tiny has 2 layers.*or 'all'"):
        resolve_layers(3, backbone)


def test_a_head_starts_standardised_and_otherwise_by_chance():
    spec, mean, scale = HeadSpec(4, Head(2, 3, 0.0)), np.arange(4.0), np.arange(1.0, 5.0)
    first, again, other = (initial_head(spec, mean, scale, np.random.default_rng(n)) for n in (0, 0, 1))
    np.testing.assert_allclose(first[0], mean, rtol=1e-6)
    np.testing.assert_allclose(first[1], scale, rtol=1e-6)
    assert [array.shape for array in first[2:]] == [(4, 3), (3,), (3, 2), (2,)]
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first[2], other[2])


def test_a_variation_is_drawn_by_content_seed_and_number():
    fields, keys = augmentation_fields("standard"), [bytes([n]) * 16 for n in range(8)]
    name, vary = make_variation(fields, 1, 0)
    changed = vary(X, keys)
    assert changed.shape == X.shape
    np.testing.assert_array_equal(vary(X[::-1], keys[::-1])[::-1], changed)
    others = [make_variation(fields, 1, 1), make_variation(fields, 9, 0)]
    assert len({name, *(other_name for other_name, _ in others)}) == 3
    assert not any(np.array_equal(other(X, keys), changed) for _, other in others)
