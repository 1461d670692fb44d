"""From what a user calls a backbone to a network with weights."""

import json
import os
import random
import subprocess
import sys
import urllib.error

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from keras.src.utils import file_utils

from histoclf.exceptions import MissingDependencyError
from histoclf.networks import _backbones, _optional
from histoclf.networks._backbones import build_features, load_into, resolve_backbone
from histoclf.networks._recent import Recent
from tests.networks.tiny_networks import IMAGES, tiny_network, trained_network

PICTURE = IMAGES.astype("float32")


@pytest.fixture(autouse=True)
def nothing_resolved(monkeypatch):
    monkeypatch.setattr(_backbones, "_resolved", Recent(4))


@pytest.fixture
def offline(monkeypatch):
    """Refuse every download, and count them."""
    asked = []

    def refuse(url, *args, **kwargs):
        asked.append(url)
        raise urllib.error.URLError(OSError("no route to host"))

    monkeypatch.setattr(file_utils, "urlretrieve", refuse)
    return asked


def features(backbone, weights, images=PICTURE):
    model = build_features(backbone, images.shape[1:3])
    load_into(model, weights)
    return model.predict_on_batch(images)


def save_as_keras_did(model, path):
    """Write the kind of file that Keras publishes; its `save_weights` no longer does."""
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


def equal(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# --- random weights ----------------------------------------------------------------------------------------


def test_random_weights_follow_the_seed_alone():
    found = []
    for seed, state in ((0, 1), (0, 2), (1, 1)):
        _backbones._resolved.clear()
        random.seed(state)
        found.append(resolve_backbone("mobilenet", {"alpha": 0.25}, None, seed))
    assert equal(found[0][1], found[1][1])
    assert found[0][0] == found[1][0]
    assert not equal(found[0][1], found[2][1])
    assert found[0][0].digest != found[2][0].digest


def test_random_weights_of_every_kind_follow_the_seed_alone():
    """What is no kernel is drawn by Keras, from Python's stream."""

    def tokens(input_shape):
        images = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(8, 8, strides=8)(images)
        x = keras.layers.Reshape((16, 8))(x)
        places = keras.layers.Embedding(16, 8)(keras.ops.arange(16))
        return keras.Model(images, keras.layers.SeparableConv1D(8, 3, depth_multiplier=2)(x + places))

    found = []
    for state in (1, 2):
        random.seed(state)
        found.append(resolve_backbone(tokens, None, None, 3))
    assert found[0][0] == found[1][0]
    assert equal(found[0][1], found[1][1])


@pytest.mark.parametrize("name", ["mobilenet", pytest.param("mobilenet_v2", marks=pytest.mark.slow)])
def test_random_features_are_neither_dead_nor_exploding(name):
    backbone, weights = resolve_backbone(name, {"alpha": 0.35 if name == "mobilenet_v2" else 0.25}, None, 0)
    found = features(backbone, weights, PICTURE / 127.5 - 1)
    assert np.isfinite(found).all()
    assert 1e-4 < found.std() < 1e4
    assert (found > 0).mean() > 0.1


def test_random_kernels_have_the_variance_of_he():
    _, weights = resolve_backbone("mobilenet", None, None, 0)
    model = build_features(resolve_backbone("mobilenet", None, None, 0)[0], (32, 32))
    drawn = {variable.path: array for variable, array in zip(model.weights, weights, strict=True)}
    assert drawn["conv_pw_13/kernel"].std() == pytest.approx(np.sqrt(2 / 1024), rel=0.02)
    assert drawn["conv_dw_13/kernel"].std() == pytest.approx(np.sqrt(2 / 9), rel=0.05)
    assert np.all(drawn["conv1_bn/gamma"] == 1)
    assert np.all(drawn["conv1_bn/moving_mean"] == 0)


def test_no_global_stream_is_touched():
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0)
    resolve_backbone(tiny_network, None, None, 0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


# --- the memory of what was resolved -----------------------------------------------------------------------


def test_the_same_again_is_not_built_again(monkeypatch):
    first = resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0)
    monkeypatch.setattr(_backbones, "_resolve", None)
    assert resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0) is first


def test_few_are_kept(monkeypatch):
    monkeypatch.setattr(_backbones, "_resolve", lambda *args: (args, []))
    for seed in range(6):
        resolve_backbone("mobilenet", None, None, seed)
    assert [found[0][3] for found in _backbones._resolved.values()] == [2, 3, 4, 5]


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "net.keras"
    digests = []
    for seed in (0, 1):
        trained_network(seed).save(path)
        os.utime(path, ns=(seed, seed))
        digests.append(resolve_backbone(path, None, "imagenet", 0)[0].digest)
    assert digests[0] != digests[1]


# --- files of weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["new", "old"])
def test_weights_come_back_from_a_file(tmp_path, kind):
    backbone, weights = resolve_backbone("mobilenet", {"alpha": 0.25}, None, 3)
    model = build_features(backbone, (64, 64))
    load_into(model, weights)
    path = tmp_path / ("net.weights.h5" if kind == "new" else "net.h5")
    model.save_weights(path) if kind == "new" else save_as_keras_did(model, path)
    again, found = resolve_backbone("mobilenet", {"alpha": 0.25}, path, 0)
    assert equal(found, weights)
    assert again.digest == backbone.digest
    assert resolve_backbone("mobilenet", {"alpha": 0.25}, str(path), 0)[0] == again


@pytest.mark.parametrize("kind", ["new", "old"])
def test_weights_of_another_width_are_refused_naming_the_first_layer_that_differs(tmp_path, kind):
    model = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(64, 64, 3))
    path = tmp_path / ("net.weights.h5" if kind == "new" else "net.h5")
    model.save_weights(path) if kind == "new" else save_as_keras_did(model, path)
    with pytest.raises(ValueError, match=r"do not fit backbone mobilenet\(alpha=0\.5\).*conv1") as error:
        resolve_backbone("mobilenet", {"alpha": 0.5}, path, 0)
    message = str(error.value)
    assert path.name in message
    assert "(3, 3, 3, 16)" in message
    assert "(3, 3, 3, 8)" in message
    assert "check backbone_params (alpha)" in message
    assert len(message) < 1000


def test_weights_of_another_network_are_refused_naming_the_first_layer_that_differs(tmp_path):
    path = tmp_path / "net.h5"
    save_as_keras_did(tiny_network(width=8), path)  # fewer layers
    with pytest.raises(ValueError, match=r"first that differs is layer 'conv1' .*in the file 'normalise'"):
        resolve_backbone("mobilenet", {"alpha": 0.25}, path, 0)


def test_weights_with_the_classification_layer_are_refused_by_its_name(tmp_path):
    path = tmp_path / "net.h5"
    model = keras.applications.MobileNet(alpha=0.25, weights=None, classes=3)
    save_as_keras_did(model, path)
    with pytest.raises(
        ValueError, match=r"layer missing, in the file 'conv_preds'.*without its classification"
    ):
        resolve_backbone("mobilenet", {"alpha": 0.25}, path, 0)


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not weights")
    with pytest.raises(ValueError, match=r"notes\.txt' do not fit backbone mobilenet.*not supported"):
        resolve_backbone("mobilenet", None, path, 0)
    path = tmp_path / "net.weights.h5"
    path.write_text("not weights")
    with pytest.raises(ValueError, match=r"net\.weights\.h5' do not fit"):
        resolve_backbone("mobilenet", None, path, 0)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(
        FileNotFoundError, match=r"weights='nowhere\.h5': there is no such file. Expected 'auto'"
    ):
        resolve_backbone("mobilenet", None, "nowhere.h5", 0)


@pytest.mark.parametrize("weights", [3, [np.zeros(2)], np.zeros(2)])
def test_weights_of_a_wrong_kind_are_refused(weights):
    with pytest.raises(TypeError, match="expected 'auto', 'histology', 'imagenet', the path"):
        resolve_backbone("mobilenet", None, weights, 0)


# --- ImageNet weights --------------------------------------------------------------------------------------


def test_without_a_network_the_error_says_what_where_and_the_ways_out(offline, monkeypatch, tmp_path):
    monkeypatch.setattr(_backbones, "_KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    with pytest.raises(
        OSError, match=r"weights of mobilenet\(alpha=0\.75\) are not on this machine"
    ) as error:
        resolve_backbone("mobilenet", {"alpha": 0.75}, "imagenet", 0)
    message = str(error.value)
    assert "Looked for 'mobilenet_7_5_224_tf_no_top.h5'" in message
    assert repr(str(tmp_path / "models")) in message
    for way in (
        "connect to the network",
        "copy that file",
        "KERAS_HOME",
        "weights=PATH",
        "choose a backbone",
    ):
        assert way in message
    assert len(offline) == 1


@pytest.mark.slow
def test_a_fresh_process_without_a_network_says_the_same(child_env, tmp_path):
    script = (
        "import urllib.error, urllib.request\n"
        "def refuse(*args, **kwargs): raise urllib.error.URLError(OSError('no route'))\n"
        "urllib.request.OpenerDirector.open = refuse\n"
        "from histoclf.networks._backbones import resolve_backbone\n"
        "try: resolve_backbone('efficientnet_b0', None, 'imagenet', 0)\n"
        "except OSError as error: print(error)\n"
    )
    env = child_env | {"KERAS_HOME": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True
    )
    assert f"Looked for 'efficientnetb0_notop.h5' in {str(tmp_path / 'models')!r}" in shown.stdout


def test_nothing_is_fetched_for_random_weights(offline):
    resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0)
    assert offline == []


def test_an_alpha_without_a_checkpoint_is_refused():
    with pytest.raises(ValueError, match=r"backbone_params=\{'alpha': 0\.3\}.*alpha can be one of"):
        resolve_backbone("mobilenet", {"alpha": 0.3}, "imagenet", 0)


def published(factory, monkeypatch, path):
    """Let Keras find its file at `path`; it is filled with what a network of that kind may hold."""
    model = getattr(keras.applications, factory)(include_top=False, weights=None, input_shape=(224, 224, 3))
    generator = np.random.default_rng(1)
    arrays = []
    for variable in model.weights:
        drawn = variable.numpy()
        if variable.path.endswith("/mean"):
            drawn = np.array([0.485, 0.456, 0.406], dtype="float32")
        elif variable.path.endswith("/variance"):
            drawn = np.array([0.229, 0.224, 0.225], dtype="float32")
        elif drawn.ndim == 4:
            fan_in = np.prod(drawn.shape[:2] if drawn.shape[-1] == 1 else drawn.shape[:-1])
            drawn = generator.normal(0, np.sqrt(2 / fan_in), drawn.shape).astype("float32")
        arrays.append(drawn)
    model.set_weights(arrays)
    save_as_keras_did(model, path)
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **kwargs: str(path))


@pytest.mark.parametrize(
    ("name", "alpha", "licence"),
    [
        ("mobilenet", 0.25, "Apache-2.0"),
        pytest.param("mobilenet_v2", 0.35, "Apache-2.0", marks=pytest.mark.slow),
    ],
)
def test_published_weights_serve_every_size(monkeypatch, tmp_path, name, alpha, licence):
    factory = {"mobilenet": "MobileNet", "mobilenet_v2": "MobileNetV2"}[name]
    model = getattr(keras.applications, factory)(
        alpha=alpha, include_top=False, weights=None, input_shape=(224, 224, 3)
    )
    path = tmp_path / "net.h5"
    save_as_keras_did(model, path)
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **kwargs: str(path))
    backbone, weights = resolve_backbone(name, {"alpha": alpha}, "imagenet", 0)
    assert backbone.licence == licence
    official = getattr(keras.applications, factory)(
        alpha=alpha, include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    official.set_weights(model.get_weights())
    np.testing.assert_array_equal(features(backbone, weights), official.predict_on_batch(PICTURE))


@pytest.mark.slow
@pytest.mark.parametrize("given", ["imagenet", "its file"])
def test_efficientnet_is_what_keras_makes_of_its_own_file(monkeypatch, tmp_path, given):
    """Keras divides by one more standard deviation with these weights, and only then."""
    path = tmp_path / "efficientnetb0_notop.h5"
    published("EfficientNetB0", monkeypatch, path)
    official = keras.applications.EfficientNetB0(
        include_top=False, weights="imagenet", input_shape=(32, 32, 3)
    )
    first = keras.Model(official.inputs, official.get_layer("block1a_project_conv").output)
    backbone, weights = resolve_backbone(
        "efficientnet_b0", None, "imagenet" if given == "imagenet" else path, 0
    )
    ours = build_features(backbone, (32, 32))
    load_into(ours, weights)
    found = keras.Model(ours.inputs, ours.get_layer("block1a_project_conv").output).predict_on_batch(PICTURE)
    expected = first.predict_on_batch(PICTURE)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    expected = official.predict_on_batch(PICTURE)
    np.testing.assert_allclose(ours.predict_on_batch(PICTURE), expected, atol=1e-5 * np.abs(expected).max())


def test_a_file_of_another_name_holds_efficientnet_as_it_was_saved(monkeypatch, tmp_path):
    path = tmp_path / "mine.h5"
    published("EfficientNetB0", monkeypatch, path)
    _, found = resolve_backbone("efficientnet_b0", None, path, 0)
    _, folded = resolve_backbone("efficientnet_b0", None, "imagenet", 0)
    np.testing.assert_allclose(found[1], [0.229, 0.224, 0.225], rtol=1e-6)
    np.testing.assert_allclose(folded[1], np.square([0.229, 0.224, 0.225]), rtol=1e-6)


# --- networks of the user's own ----------------------------------------------------------------------------


def test_a_network_keeps_its_weights_and_is_not_changed():
    model = trained_network()
    before = [array.copy() for array in model.get_weights()]
    backbone, weights = resolve_backbone(model, None, "imagenet", 0)
    assert (backbone.kind, backbone.name, backbone.preprocessing) == ("keras", "tiny", "none")
    assert (backbone.params, backbone.licence, backbone.side) == ((), "", None)
    np.testing.assert_array_equal(features(backbone, weights), model.predict_on_batch(PICTURE))
    assert equal(model.get_weights(), before)
    assert model.name == "tiny"


def test_normalisation_follows_the_weights_that_are_set():
    """Keras' layer computes with a copy that `set_weights` leaves as it was."""
    outer = keras.Sequential([keras.Input((None, None, 3)), tiny_network()])
    expected = trained_network().predict_on_batch(PICTURE)
    load_into(outer, trained_network().get_weights())
    np.testing.assert_allclose(outer.predict_on_batch(PICTURE), expected, rtol=1e-6)
    outer.set_weights(trained_network(seed=1).get_weights())
    assert not np.allclose(outer(PICTURE), trained_network(seed=1)(PICTURE), rtol=0.1)  # why it is needed


def test_a_network_of_one_size_says_so():
    model = trained_network(input_shape=(32, 48, 3))
    assert resolve_backbone(model, None, "imagenet", 0)[0].side == (32, 48)


def test_a_network_with_random_weights_follows_the_seed():
    model = trained_network()
    found = [resolve_backbone(model, None, None, seed)[1] for seed in (0, 0, 1)]
    assert equal(found[0], found[1])
    assert not equal(found[0], found[2])
    assert not equal(found[0], model.get_weights())


def test_a_network_takes_weights_from_a_file(tmp_path):
    trained_network(seed=4).save_weights(tmp_path / "net.weights.h5")
    _, weights = resolve_backbone(trained_network(), None, tmp_path / "net.weights.h5", 0)
    assert equal(weights, trained_network(seed=4).get_weights())


def test_a_saved_network_is_the_same_backbone(tmp_path):
    model = trained_network()
    model.save(tmp_path / "net.keras")
    backbone, weights = resolve_backbone(
        str(tmp_path / "net.keras"), {"preprocessing": "caffe"}, "imagenet", 0
    )
    assert (backbone.name, backbone.preprocessing) == ("net.keras", "caffe")
    assert equal(weights, model.get_weights())
    np.testing.assert_array_equal(features(backbone, weights), model.predict_on_batch(PICTURE))


def test_a_saved_network_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no backbone file '.*none\.keras'"):
        resolve_backbone(tmp_path / "none.keras", None, "imagenet", 0)


def with_code():
    images = keras.Input((None, None, 3))
    return keras.Model(images, keras.layers.Lambda(lambda x: x * 2)(images))


def test_a_file_with_code_in_it_is_refused(tmp_path):
    with_code().save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"Lambda.*unsafe|unsafe.*Lambda"):
        resolve_backbone(tmp_path / "net.keras", None, "imagenet", 0)


def test_a_network_with_code_in_it_is_refused():
    backbone, _ = resolve_backbone(with_code(), None, "imagenet", 0)
    with pytest.raises(ValueError, match=r"cannot be built again.*A Lambda layer holds code, and is refused"):
        build_features(backbone, (32, 32))


def test_a_function_is_called_with_an_open_shape_and_the_parameters():
    calls = []

    def build(**arguments):
        calls.append(arguments)
        return tiny_network(**arguments)

    backbone, weights = resolve_backbone(build, {"width": 3, "preprocessing": "tf"}, None, 0)
    assert calls == [{"input_shape": (None, None, 3), "width": 3}]
    assert (backbone.kind, backbone.preprocessing, backbone.side) == ("keras", "tf", None)
    assert features(backbone, weights).shape == (5, 16, 16, 6)


def test_a_function_gives_the_same_backbone_each_time():
    """Keras numbers its layers through: a network built again has other names."""
    first = resolve_backbone(tiny_network, None, None, 0)[0]
    assert resolve_backbone(tiny_network, None, None, 0)[0] == first
    assert keras.layers.ReLU().name != keras.layers.ReLU().name


def test_the_description_of_a_network_is_plain_text():
    backbone, _ = resolve_backbone(tiny_network, None, None, 0)
    assert json.loads(backbone.config)["class_name"] == "Functional"


# --- errors ------------------------------------------------------------------------------------------------


def two_inputs(input_shape):
    images, more = keras.Input(input_shape), keras.Input(input_shape)
    return keras.Model([images, more], keras.layers.add([images, more]))


def four_channels(input_shape):
    images = keras.Input((None, None, 4))
    return keras.Model(images, keras.layers.Conv2D(2, 3)(images))


@pytest.mark.parametrize(
    ("backbone", "params", "kind", "match"),
    [
        (3, None, TypeError, r"backbone=3 is a int. Expected a name"),
        (lambda input_shape: "net", None, TypeError, r"returned a str. Expected a keras.Model"),
        (two_inputs, None, ValueError, r"has 2 input\(s\) and 1 output"),
        (four_channels, None, ValueError, r"takes images of shape \(None, None, None, 4\); expected RGB"),
        (tiny_network, {"preprocessing": "torhc"}, ValueError, r"preprocessing='torhc'.*'torch' \(0-1, less"),
        (
            "mobilenet",
            {"depth": 2},
            ValueError,
            r"has \['depth'\], but backbone 'mobilenet' takes only \['alpha'\]",
        ),
        ("resnet50", {"alpha": 0.5}, ValueError, r"has \['alpha'\], but backbone 'resnet50' takes none"),
        ("mobilenet", {"preprocessing": "tf"}, ValueError, r"has \['preprocessing'\]"),
        ("MobileNetV2", None, ValueError, r"Did you mean 'mobilenet_v2'"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused(backbone, params, kind, match):
    with pytest.raises(kind, match=match):
        resolve_backbone(backbone, params, "imagenet", 0)


# --- presets of KerasHub -----------------------------------------------------------------------------------


def test_a_preset_needs_its_package(monkeypatch):
    monkeypatch.setattr(_optional.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingDependencyError, match=r"backbone='hub:vit' needs .*'keras_hub'.*histoclf\[hub\]"
    ):
        resolve_backbone("hub:vit", None, "imagenet", 0)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A tiny backbone in a folder, with its own scaling and without."""
    hub = pytest.importorskip("keras_hub")
    network = hub.models.ViTBackbone((32, 32, 3), 8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16)
    folder = tmp_path_factory.mktemp("presets")
    network.save_to_preset(str(folder / "bare"))
    network.save_to_preset(str(folder / "scaled"))
    scale, offset = [0.01, 0.02, 0.03], [-1.0, -2.0, -3.0]
    converter = hub.layers.ViTImageConverter(image_size=(32, 32), scale=scale, offset=offset)
    converter.save_to_preset(str(folder / "scaled"))
    return network, folder, np.array(scale), np.array(offset)


@pytest.mark.slow
def test_a_preset_is_fed_what_its_own_preprocessing_makes(preset):
    network, folder, scale, offset = preset
    backbone, weights = resolve_backbone(f"hub:{folder / 'scaled'}", None, "imagenet", 0)
    assert (backbone.kind, backbone.preprocessing, backbone.side) == ("keras", "none", (32, 32))
    expected = network.predict_on_batch((PICTURE * scale + offset).astype("float32"))
    np.testing.assert_allclose(features(backbone, weights), expected, atol=1e-4)
    with pytest.raises(ValueError, match=r"takes none"):
        resolve_backbone(f"hub:{folder / 'scaled'}", {"preprocessing": "tf"}, "imagenet", 0)


@pytest.mark.slow
def test_a_preset_without_preprocessing_takes_that_of_the_user(preset):
    network, folder, *_ = preset
    backbone, weights = resolve_backbone(f"hub:{folder / 'bare'}", {"preprocessing": "tf"}, "imagenet", 0)
    assert backbone.preprocessing == "tf"
    np.testing.assert_allclose(features(backbone, weights), network.predict_on_batch(PICTURE), atol=1e-4)
    assert resolve_backbone(f"hub:{folder / 'bare'}", None, None, 0)[0].digest != backbone.digest
    with pytest.raises(ValueError, match="holds its own weights"):
        resolve_backbone(f"hub:{folder / 'bare'}", None, "net.h5", 0)


@pytest.mark.slow
def test_a_preset_that_there_is_not_is_named(preset):
    with pytest.raises(ValueError, match="Unknown preset"):
        resolve_backbone("hub:no_such_preset", None, "imagenet", 0)


# --- layers in the middle ----------------------------------------------------------------------------------


def test_a_network_can_end_in_the_middle():
    names = ("conv_pw_5_relu", "conv_pw_11_relu")
    whole, all_weights = resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0)
    middle, weights = resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0, list(names))
    auto, _ = resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0, "auto")
    assert middle == auto
    assert middle.layers == names
    assert middle.digest != whole.digest
    assert len(weights) < len(all_weights)
    for ours, theirs in zip(weights, all_weights, strict=False):
        np.testing.assert_array_equal(ours, theirs)
    network = build_features(middle, (64, 64))
    load_into(network, weights)
    official = build_features(whole, (64, 64))
    load_into(official, all_weights)
    reference = keras.Model(official.input, [official.get_layer(name).output for name in names])
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype("float32")
    for ours, theirs in zip(network(picture), reference(picture), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_auto_is_the_last_layer_of_a_network_of_ones_own():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, name="one")])
    assert resolve_backbone(model, None, "imagenet", 0, "auto")[0].layers == ()
    assert resolve_backbone(model, None, "imagenet", 0, "one")[0].layers == ("one",)


def test_a_layer_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no layer 'conv_pw5'.*Did you mean 'conv_pw_5'"):
        resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0, ["conv_pw_5_relu", "conv_pw5"])
