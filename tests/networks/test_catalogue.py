"""What there is to choose from."""

import dataclasses
import pickle

import pytest

from histoclf.networks._catalogue import (
    APPLICATIONS,
    DEFAULT_BACKBONE,
    PREPROCESSING,
    SMALLEST_SIDE,
    WEIGHTS,
    Application,
    Backbone,
    choose_channels,
    choose_weights,
    find_application,
    smallest_side,
)


def test_every_entry_says_all_that_must_be_known():
    for name, entry in APPLICATIONS.items():
        assert name == name.lower()
        assert entry.preprocessing in PREPROCESSING
        assert 1 < entry.megabytes < 200
        assert entry.licence in {"Apache-2.0", "MIT", "BSD-3-Clause"}
        assert entry.weights in WEIGHTS
        assert bool(entry.factory) == (entry.weights == "imagenet")
    assert SMALLEST_SIDE == 32
    assert DEFAULT_BACKBONE in APPLICATIONS


def test_the_networks_that_must_be_there_are_there():
    assert APPLICATIONS.keys() >= {
        *("mobilenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
        *("resnet50", "resnet50_v2", "densenet121", "convnext_tiny"),
        *(f"efficientnet_b{n}" for n in range(4)),
        *(f"efficientnet_v2_b{n}" for n in range(4)),
    }


def test_a_name_is_found():
    assert find_application("mobilenet") == Application(
        "MobileNet", "tf", 13.1, "Apache-2.0", multiplier=True, layers=("conv_pw_5_relu", "conv_pw_11_relu")
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MobileNetV2", "mobilenet_v2"),
        ("EfficientNet-B0", "efficientnet_b0"),
        ("resnet-50", "resnet50"),
        ("mobilnet", "mobilenet"),
        ("densenet_121", "densenet121"),
    ],
)
def test_a_name_that_is_nearly_right_is_recognised(name, meant):
    with pytest.raises(ValueError, match=f"There is no backbone '{name}'. Did you mean '{meant}'"):
        find_application(name)


def test_another_name_gets_the_whole_list_and_no_guess():
    with pytest.raises(
        ValueError, match=r"Expected one of convnext_tiny, densenet121.*'\.onnx'.*'hub:NAME'"
    ) as e:
        find_application("qqqq")
    assert "Did you mean" not in str(e.value)


def make_backbone(kind, name="mobilenet"):
    return Backbone(kind, name, (), "", (), "none", "", None, "ab")


@pytest.mark.parametrize(
    ("channels", "kind", "n_channels", "chosen"),
    [
        ("auto", "application", 3, "rgb+haematoxylin"),
        ("auto", "application", 1, "rgb"),
        ("auto", "keras", 3, "rgb"),
        ("auto", "onnx", 3, "rgb"),
        ("haematoxylin", "onnx", 3, "haematoxylin"),
        ("rgb", "application", 3, "rgb"),
        ("rgb", "application", 1, "rgb"),
    ],
)
def test_channels_are_chosen_by_network_and_image(channels, kind, n_channels, chosen):
    assert choose_channels(channels, make_backbone(kind), n_channels) == chosen


def test_images_are_enlarged_to_what_a_backbone_is_used_to():
    assert smallest_side(make_backbone("application", "histology")) == 64
    assert smallest_side(make_backbone("application")) == smallest_side(make_backbone("onnx", "net")) == 96


def test_each_backbone_has_weights_of_one_name():
    assert choose_weights("auto", "histology") == choose_weights("histology", "histology") == "histology"
    assert choose_weights("auto", "mobilenet") == choose_weights("imagenet", "mobilenet") == "imagenet"
    assert choose_weights(None, "mobilenet") is None
    assert choose_weights("file.h5", "mobilenet") == "file.h5"


@pytest.mark.parametrize("channels", ["haematoxylin", "rgb+haematoxylin"])
def test_gray_images_have_no_haematoxylin(channels):
    with pytest.raises(ValueError, match=rf"channels='{channels.replace('+', '.')}' needs colours.*'auto'"):
        choose_channels(channels, make_backbone("application"), 1)


def test_a_backbone_is_a_key_and_names_itself():
    parts = ("application", "mobilenet_v2", (("alpha", 0.35),), "", (), "tf", "", None, "ab")
    backbone = Backbone(*parts)
    assert hash(backbone) == hash(Backbone(*parts))
    assert backbone == pickle.loads(pickle.dumps(backbone))
    assert backbone.describe() == "mobilenet_v2(alpha=0.35)"
    middle = dataclasses.replace(backbone, layers=("block_6_expand_relu",))
    assert middle.describe() == "mobilenet_v2(alpha=0.35) at block_6_expand_relu"
    assert Backbone("onnx", "vit.onnx", (), "", (), "none", "", None, "ab").describe() == "vit.onnx"
