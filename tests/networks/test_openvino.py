"""OpenVINO gives the numbers of Keras."""

import subprocess
import sys

import numpy as np
import pytest

from histoclf.networks._backbones import resolve_backbone
from histoclf.networks._embedding import EmbeddingSpec, engine_version, make_runner
from histoclf.networks._recent import Recent
from tests.networks.tiny_networks import IMAGES, tiny_network, trained_network

_openvino = pytest.importorskip("histoclf.networks._openvino", exc_type=ImportError)


def embed(resolved, images=IMAGES, engine="openvino"):
    backbone, weights = resolved
    spec = EmbeddingSpec(backbone, images.shape[1:], str(images.dtype))
    return make_runner(spec, weights, engine, 4)(images)


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.fixture(scope="module")
def tiny():
    return resolve_backbone(trained_network(), {"preprocessing": "caffe"}, "imagenet", 0)


@pytest.fixture(scope="module")
def mobilenet():
    return resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0)


@pytest.mark.parametrize(
    "name",
    ["mobilenet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenet_v2", "resnet50"))],
)
def test_features_are_those_of_keras(name):
    resolved = resolve_backbone(name, None, None, 0)
    found, expected = embed(resolved), embed(resolved, engine="keras")
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert relative_error(found, expected) < 1e-5
    assert np.abs(found - expected).max() / expected.std() < 1e-4


@pytest.mark.parametrize("mode", ["none", "tf", "torch", "caffe"])
@pytest.mark.parametrize("images", [IMAGES, IMAGES.astype("float32"), IMAGES[..., :1], IMAGES[:, :24]])
def test_images_are_preprocessed_once(mode, images):
    resolved = resolve_backbone(trained_network(), {"preprocessing": mode}, "imagenet", 0)
    assert relative_error(embed(resolved, images), embed(resolved, images, "keras")) < 1e-5


def test_vectors_pass_as_they_are():
    from keras.layers import GlobalAveragePooling2D

    resolved = resolve_backbone(tiny_network(last=GlobalAveragePooling2D()), None, None, 0)
    assert embed(resolved).shape == (5, 1, 8)
    assert relative_error(embed(resolved), embed(resolved, engine="keras")) < 1e-5


def test_an_image_s_features_do_not_depend_on_its_company(mobilenet):
    images = np.random.default_rng(1).integers(0, 256, (19, 32, 32, 3)).astype("uint8")
    together = embed(mobilenet, images)
    order = np.random.default_rng(2).permutation(19)
    np.testing.assert_array_equal(embed(mobilenet, images[order]), together[order])
    for row in (0, 8, 18):
        np.testing.assert_array_equal(embed(mobilenet, images[[row]])[0], together[row])


def test_two_sets_of_weights_are_not_mixed_up(tiny):
    other = resolve_backbone(trained_network(seed=1), {"preprocessing": "caffe"}, "imagenet", 0)
    first = embed(tiny)
    assert relative_error(embed(other), first) > 0.1
    np.testing.assert_array_equal(embed(tiny), first)


def test_a_view_is_read_as_it_looks(tiny):
    """Turned images are views with strides of their own."""
    turned = IMAGES.transpose(0, 2, 1, 3)[:, ::-1]
    np.testing.assert_array_equal(embed(tiny, turned), embed(tiny, turned.copy()))


def test_a_network_is_compiled_once(tiny, monkeypatch):
    embed(tiny)
    monkeypatch.setattr(_openvino, "_convert", None)
    embed(tiny)


def test_few_compiled_networks_are_kept(monkeypatch):
    monkeypatch.setattr(_openvino, "_compiled", Recent(2))
    for seed in range(3):
        embed(resolve_backbone(tiny_network, None, None, seed))
    assert len(_openvino._compiled) == 2


@pytest.fixture
def settings(monkeypatch):
    """What OpenVINO is asked for."""
    asked = []
    monkeypatch.setattr(_openvino, "_compiled", Recent(4))
    compile_model = _openvino.openvino.Core.compile_model

    def spy(self, model, device, config):
        asked.append((device, config))
        return compile_model(self, model, device, config)

    monkeypatch.setattr(_openvino.openvino.Core, "compile_model", spy)
    return asked


@pytest.mark.parametrize(("engine", "precision"), [("openvino", "f32"), ("openvino-bf16", "bf16")])
def test_bfloat16_is_used_only_by_name(tiny, settings, engine, precision):
    embed(tiny, engine=engine)
    [(device, config)] = settings
    assert device == "CPU"
    assert config["INFERENCE_PRECISION_HINT"] == precision


def test_what_openvino_says_it_computes_in_is_float32(tiny, monkeypatch):
    monkeypatch.setattr(_openvino, "_compiled", Recent(4))
    embed(tiny)
    [model] = _openvino._compiled.values()
    assert str(model.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


def test_bfloat16_is_another_engine_with_answers_of_its_own(tiny):
    assert engine_version("openvino-bf16") != engine_version("openvino")
    assert relative_error(embed(tiny, engine="openvino-bf16"), embed(tiny)) < 0.1


@pytest.mark.parametrize(("budget", "expected"), [("1", "1"), ("", None)])
def test_the_thread_budget_is_kept(tiny, settings, monkeypatch, budget, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", budget)
    embed(tiny)
    assert settings[0][1].get("INFERENCE_NUM_THREADS") == expected


def test_many_networks_come_and_go_without_waiting_for_ever(tiny, monkeypatch):
    """Threads that call back into Python hang now and then when their network is let go."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    first = embed(tiny)
    for _ in range(20):
        _openvino._compiled.clear()
        np.testing.assert_array_equal(embed(tiny), first)


_CHILD = """
import sys
from tests.networks.test_openvino import IMAGES, embed, resolve_backbone, trained_network
embed(resolve_backbone(trained_network(), None, "imagenet", 0))
print([name for name in sys.modules if name.startswith("openvino_telemetry")])
import openvino
print(callable(openvino.convert_model))
"""


@pytest.mark.slow
def test_nothing_is_reported_over_the_network(child_env, tmp_path):
    """Importing OpenVINO alone sends an event and writes an identity into the user's home."""
    command, home = [sys.executable, "-c", _CHILD], {"HOME": str(tmp_path), "CI": "false"}
    done = subprocess.run(
        command, env=child_env | home, check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["[]", "True"]
    assert not (tmp_path / "intel").exists()
