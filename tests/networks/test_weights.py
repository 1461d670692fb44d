"""What is told of weights by themselves; `test_backbones` shows the rest."""

from pathlib import Path

import pytest

from histoclf.networks._weights import needs_rescaling, quote


@pytest.mark.parametrize(
    ("factory", "weights", "expected"),
    [
        ("EfficientNetB0", "imagenet", True),
        ("EfficientNetB3", Path("some", "efficientnetb3_notop.h5"), True),
        ("EfficientNetB3", "some/mine.h5", False),
        ("EfficientNetB3", "efficientnetb3_notop.h5.weights.h5", False),
        ("EfficientNetB3", None, False),
        ("EfficientNetV2B0", "imagenet", False),
        ("MobileNet", "imagenet", False),
        ("MobileNet", "efficientnetb3_notop.h5", False),
    ],
)
def test_only_what_keras_published_for_efficientnet_lacks_a_factor(factory, weights, expected):
    assert needs_rescaling(factory, weights) is expected


def test_a_long_message_is_cut():
    assert quote(ValueError("a\n  b")) == "a b"
    assert len(quote(ValueError("word " * 1000))) <= 400
