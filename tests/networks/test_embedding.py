"""From pictures to embeddings: every network is fed what it was trained on, once."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from histoclf.exceptions import MissingDependencyError
from histoclf.networks import _embedding, _engine, _optional
from histoclf.networks._backbones import load_into, resolve_backbone
from histoclf.networks._catalogue import APPLICATIONS, Backbone
from histoclf.networks._embedding import (
    AtRest,
    EmbeddingSpec,
    choose_batch_size,
    choose_engine,
    engine_version,
    make_runner,
)
from histoclf.networks._layers import Haematoxylin
from tests.networks.tiny_networks import IMAGES, tiny_network, trained_network

QUICK = {"mobilenet"}  # the others take 3 to 40 s each; every convention has a quick test below
# Where Keras keeps what each network's pictures go through.
MODULES = {
    "mobilenet": "mobilenet",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_small": "mobilenet_v3",
    "mobilenet_v3_large": "mobilenet_v3",
    "resnet50": "resnet50",
    "resnet50_v2": "resnet_v2",
    **{f"efficientnet_b{n}": "efficientnet" for n in range(4)},
    **{f"efficientnet_v2_{n}": "efficientnet_v2" for n in ("b0", "b1", "b2", "b3", "s")},
    "densenet121": "densenet",
    "convnext_tiny": "convnext",
}


def embed(backbone, weights, images=IMAGES, engine="keras", batch_size=4):
    spec = EmbeddingSpec(backbone, images.shape[1:], str(images.dtype))
    return make_runner(spec, weights, engine, batch_size)(images)


def pooled(maps):
    return np.stack([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2))], axis=1)


def error_of(found, expected):
    """Largest difference, in units of what tells one feature from another."""
    return np.abs(found - expected).max() / expected.std()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in MODULES]
)
def test_a_picture_goes_through_the_network_s_own_preprocessing_exactly_once(name):
    module = getattr(keras.applications, MODULES[name])
    backbone, weights = resolve_backbone(name, None, None, 0)
    images = IMAGES[:2]
    found = embed(backbone, weights, images, batch_size=2)
    official = getattr(keras.applications, APPLICATIONS[name].factory)(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    official.set_weights(weights)

    def expected(fed):
        # Each in front: at the end of a batch numbers may be rounded otherwise, which deep networks with
        # random weights make large.
        pairs = (np.stack([image, image]) for image in fed)
        return pooled(np.concatenate([official.predict_on_batch(pair)[:1] for pair in pairs]))

    fed = module.preprocess_input(images.astype("float32"))
    assert found.shape == (2, 2, official.output.shape[-1])
    assert found.dtype == np.float32
    assert error_of(found, expected(fed)) < 1e-3
    for wrong in (
        images / np.float32(255),
        images / np.float32(127.5) - 1,
        images[..., ::-1].astype("float32"),
    ):
        if not np.allclose(wrong, fed):
            assert error_of(found, expected(wrong)) > 0.02  # it can tell
    if fed.min() < 0:  # an identity may be applied as often as one likes
        assert error_of(found, expected(module.preprocess_input(fed.copy()))) > 0.02
        assert error_of(found, expected(images.astype("float32"))) > 0.02


def test_features_are_the_same_for_each_type_of_image():
    backbone, weights = resolve_backbone(trained_network(), {"preprocessing": "torch"}, "imagenet", 0)
    np.testing.assert_array_equal(
        embed(backbone, weights, IMAGES), embed(backbone, weights, IMAGES.astype("float32"))
    )


@pytest.mark.parametrize("mode", ["none", "tf", "torch", "caffe"])
def test_a_network_of_the_user_s_own_is_fed_what_the_parameter_says(mode):
    model = trained_network()
    backbone, weights = resolve_backbone(model, {"preprocessing": mode}, "imagenet", 0)
    fed = IMAGES.astype("float32")
    if mode != "none":
        fed = keras.applications.imagenet_utils.preprocess_input(fed, mode=mode)
    assert error_of(embed(backbone, weights), pooled(model.predict_on_batch(fed))) < 1e-4


@pytest.mark.parametrize("layers", [None, ["re_lu", "conv2d_1"]])
def test_what_is_shown_in_turn_is_put_side_by_side(layers):
    plain, weights = resolve_backbone(tiny_network, {"preprocessing": "tf"}, "imagenet", 0, layers)
    dark = replace(plain, channels="haematoxylin")
    both = embed(replace(plain, channels="rgb+haematoxylin"), weights)
    np.testing.assert_allclose(
        both, np.concatenate([embed(plain, weights), embed(dark, weights)], axis=-1), rtol=1e-4, atol=1e-5
    )
    gray = keras.ops.convert_to_numpy(Haematoxylin()(IMAGES.astype("float32")))
    np.testing.assert_allclose(embed(dark, weights), embed(plain, weights, gray), rtol=1e-4, atol=1e-5)


def test_a_gray_image_is_seen_as_three_equal_channels():
    backbone, weights = resolve_backbone(trained_network(), {"preprocessing": "caffe"}, "imagenet", 0)
    gray = IMAGES[..., :1]
    expected = embed(backbone, weights, np.repeat(gray, 3, axis=-1))
    np.testing.assert_allclose(embed(backbone, weights, gray), expected, rtol=1e-5)


def test_a_network_that_gives_vectors_has_nothing_to_pool():
    model = tiny_network(last=keras.layers.GlobalAveragePooling2D())
    backbone, weights = resolve_backbone(model, None, "imagenet", 0)
    found = embed(backbone, weights)
    assert found.shape == (5, 1, 8)
    np.testing.assert_allclose(found[:, 0], model.predict_on_batch(IMAGES), rtol=1e-5, atol=1e-6)


def test_batch_statistics_are_the_learned_ones():
    model = trained_network()
    backbone, weights = resolve_backbone(model, None, "imagenet", 0)
    network = EmbeddingSpec(backbone, (32, 32, 3), "uint8").build()
    load_into(network, weights)
    resting = keras.ops.convert_to_numpy(network(IMAGES, training=False))
    np.testing.assert_array_equal(network(IMAGES, training=True), resting)


def test_an_image_s_features_do_not_depend_on_its_company():
    backbone, weights = resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0)
    images = np.random.default_rng(1).integers(0, 256, (19, 32, 32, 3)).astype("uint8")
    together = embed(backbone, weights, images, batch_size=8)
    order = np.random.default_rng(2).permutation(19)
    np.testing.assert_array_equal(embed(backbone, weights, images[order], batch_size=8), together[order])
    for row in (0, 7, 8, 18):
        np.testing.assert_array_equal(embed(backbone, weights, images[[row]], batch_size=8)[0], together[row])


def test_the_last_place_of_a_pass_is_as_good_as_the_first():
    """Copies of one patch: products of matrices may sum the end of a pass in another order."""
    backbone, weights = resolve_backbone("histology", None, "auto", 0)
    patch = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3)).astype("uint8")
    found = embed(backbone, weights, np.repeat(patch, 64, axis=0), batch_size=64)
    np.testing.assert_array_equal(found, np.repeat(found[:1], 64, axis=0))
    np.testing.assert_array_equal(embed(backbone, weights, patch, batch_size=64), found[:1])


def test_two_sets_of_weights_are_not_mixed_up():
    found = []
    for seed in (0, 1, 0):
        backbone, weights = resolve_backbone(trained_network(seed), None, "imagenet", 0)
        found.append(embed(backbone, weights))
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.allclose(found[0], found[1])


# --- the choice of an engine -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backbone():
    return resolve_backbone(tiny_network, None, None, 0)[0]


def onnx(backbone):
    return _embedding.Backbone("onnx", "vit.onnx", (), "", (), "none", "", None, backbone.digest)


def test_auto_is_the_fastest_that_is_installed(backbone, monkeypatch):
    monkeypatch.setattr(_embedding, "is_installed", lambda package: True)
    monkeypatch.setattr(_embedding, "require", lambda *args: None)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [])
    assert choose_engine("auto", backbone) == "openvino"
    assert choose_engine("auto", onnx(backbone)) == "onnxruntime"
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: ["gpu:0"])
    assert choose_engine("auto", backbone) == "keras"
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [])
    monkeypatch.setattr(_embedding, "is_installed", lambda package: False)
    assert choose_engine("auto", backbone) == "keras"


def test_bfloat16_is_never_chosen_unasked(backbone, monkeypatch):
    monkeypatch.setattr(_embedding, "require", lambda *args: None)
    assert choose_engine("openvino-bf16", backbone) == "openvino-bf16"
    assert choose_engine("auto", backbone) in ("openvino", "keras")


@pytest.mark.parametrize(
    ("engine", "package", "extra"),
    [("openvino", "openvino", "openvino"), ("onnxruntime", "onnxruntime", "onnx")],
)
def test_an_engine_that_is_missing_is_named_with_the_cure(backbone, monkeypatch, engine, package, extra):
    monkeypatch.setattr(_optional.importlib.util, "find_spec", lambda name: None)
    asked = onnx(backbone) if engine == "onnxruntime" else backbone
    with pytest.raises(
        MissingDependencyError, match=rf"engine='{engine}' needs .*'{package}'.*histoclf\[{extra}\]"
    ):
        choose_engine(engine, asked)


def test_an_engine_that_cannot_run_a_network_is_refused(backbone):
    with pytest.raises(
        ValueError, match=r"engine='onnxruntime' cannot run .*'onnxruntime' runs ONNX files only"
    ):
        choose_engine("onnxruntime", backbone)
    for engine in ("keras", "openvino"):
        with pytest.raises(
            ValueError, match=r"cannot run backbone 'vit\.onnx': ONNX files run on 'onnxruntime'"
        ):
            choose_engine(engine, onnx(backbone))


def test_an_engine_is_named_with_its_version():
    name, version = engine_version("keras").split()
    assert name == "keras"
    assert version[0].isdigit()


@pytest.mark.parametrize(
    ("name", "on_gpu", "expected"),
    [("histology", False, 64), ("mobilenet", False, 16), ("mobilenet", True, 64)],
)
def test_auto_is_a_batch_that_suits_backbone_and_machine(monkeypatch, name, on_gpu, expected):
    monkeypatch.setattr(_engine, "on_gpu", lambda: on_gpu)
    backbone = Backbone("application", name, (), "", (), "none", "", None, digest="")
    assert choose_batch_size("auto", backbone) == expected
    assert choose_batch_size(5, backbone) == 5
    own = replace(backbone, kind="keras", name="histology")  # of the user's, by that name
    assert choose_batch_size("auto", own) == (64 if on_gpu else 16)


def test_a_backbone_at_rest_tells_its_shapes():
    images = keras.Input((16, 16, 3))
    network = tiny_network()
    expected = network.compute_output_spec(images)
    assert AtRest(network)(images).shape == expected.shape
