"""Networks in ONNX files, against numpy."""

from dataclasses import replace

import numpy as np
import pytest

from histoclf.exceptions import MissingDependencyError
from histoclf.networks import _optional
from histoclf.networks._backbones import resolve_backbone
from histoclf.networks._embedding import EmbeddingSpec, make_runner
from histoclf.networks._layers import Haematoxylin, preprocess

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 6, 8, 3)).astype("uint8")
MIXING = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")
_TYPES = {"float32": 1, "float16": 10, "uint8": 2, "int64": 7}  # what ONNX calls them


def save(path, layout="NCHW", batch="n", sides=("h", "w"), dtype="float32", output="maps", inputs=1):
    """Write a network that mixes the channels of each place, and nothing more."""
    helper = onnx.helper
    shape = [batch, 3, *sides] if layout == "NCHW" else [batch, *sides, 3]
    entry = [helper.make_tensor_value_info(f"images{i}", _TYPES[dtype], shape) for i in range(inputs)]
    nodes = [helper.make_node("Cast", ["images0"], ["cast"], to=1)]
    last = "cast"
    if layout == "NCHW":
        nodes.append(helper.make_node("Transpose", ["cast"], ["turned"], perm=[0, 2, 3, 1]))
        last = "turned"
    nodes.append(helper.make_node("MatMul", [last, "mixing"], ["mixed"]))
    last = "mixed"
    stored = [onnx.numpy_helper.from_array(MIXING, "mixing")]
    if output == "maps" and layout == "NCHW":
        nodes.append(helper.make_node("Transpose", ["mixed"], ["features"], perm=[0, 3, 1, 2]))
    elif output == "maps":
        nodes.append(helper.make_node("Identity", ["mixed"], ["features"]))
    elif output == "tokens":
        stored.append(onnx.numpy_helper.from_array(np.array([0, -1, 4]), "shape"))
        nodes.append(helper.make_node("Reshape", ["mixed", "shape"], ["features"]))
    else:
        nodes.append(helper.make_node("ReduceMean", ["mixed"], ["features"], axes=[1, 2], keepdims=0))
    ranks = {"maps": 4, "tokens": 3, "vector": 2}
    leave = [helper.make_tensor_value_info("features", 1, [f"d{i}" for i in range(ranks[output])])]
    graph = helper.make_graph(nodes, "tiny", entry, leave, stored)
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def embed(path, images=IMAGES, params=None, channels="rgb"):
    backbone, weights = resolve_backbone(path, params, "imagenet", 0)
    backbone = replace(backbone, channels=channels)
    spec = EmbeddingSpec(backbone, images.shape[1:], str(images.dtype))
    return make_runner(spec, weights, "onnxruntime", 4)(images)


def expected(images=IMAGES, mode="none"):
    mixed = preprocess(images.astype("float32"), mode) @ MIXING
    return np.stack([mixed.mean(axis=(1, 2)), mixed.max(axis=(1, 2))], axis=1)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["n", 1, 4])
@pytest.mark.parametrize("output", ["maps", "tokens", "vector"])
def test_every_layout_is_understood(tmp_path, layout, batch, output):
    found = embed(save(tmp_path / "net.onnx", layout, batch, output=output))
    answer = expected() if output != "vector" else expected()[:, :1]
    assert found.dtype == np.float32
    assert found.shape == answer.shape
    np.testing.assert_allclose(found, answer, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("mode", ["none", "tf", "torch", "caffe"])
def test_images_are_preprocessed_once(tmp_path, mode):
    found = embed(save(tmp_path / "net.onnx"), params={"preprocessing": mode})
    np.testing.assert_allclose(found, expected(mode=mode), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("uint8", 1e-6)])
def test_images_are_fed_in_the_type_that_is_wanted(tmp_path, dtype, tolerance):
    found = embed(save(tmp_path / "net.onnx", dtype=dtype))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(), rtol=tolerance, atol=tolerance * 255)


def test_what_is_shown_in_turn_is_put_side_by_side(tmp_path):
    path, params = save(tmp_path / "net.onnx"), {"preprocessing": "caffe"}
    gray = np.repeat(np.asarray(Haematoxylin()(IMAGES.astype("float32"))), 3, axis=-1)
    found = embed(path, params=params, channels="rgb+haematoxylin")
    both = np.concatenate([expected(mode="caffe"), expected(gray, "caffe")], axis=-1)
    np.testing.assert_allclose(found, both, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        embed(path, params=params, channels="haematoxylin"), expected(gray, "caffe"), rtol=1e-4, atol=1e-3
    )


def test_a_gray_image_is_seen_as_three_equal_channels(tmp_path):
    gray = IMAGES[..., :1]
    found = embed(save(tmp_path / "net.onnx"), gray, {"preprocessing": "caffe"})
    np.testing.assert_allclose(found, expected(np.repeat(gray, 3, axis=-1), "caffe"), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("layout", "batch"), [("NCHW", "n"), ("NHWC", 4), ("NCHW", 1)])
def test_an_image_s_features_do_not_depend_on_its_company(tmp_path, layout, batch):
    path = save(tmp_path / "net.onnx", layout, batch)
    together = embed(path)
    order = np.random.default_rng(2).permutation(len(IMAGES))
    np.testing.assert_array_equal(embed(path, IMAGES[order]), together[order])
    for row in (0, 7, 8, 10):
        np.testing.assert_array_equal(embed(path, IMAGES[[row]])[0], together[row])


@pytest.mark.parametrize(
    ("options", "side"),
    [
        ({"sides": (6, 8)}, (6, 8)),
        ({"sides": (6, 8), "layout": "NHWC"}, (6, 8)),
        ({}, None),
        ({"sides": (6, "w")}, None),
    ],
)
def test_a_size_that_the_file_insists_on_is_known(tmp_path, options, side):
    backbone, _ = resolve_backbone(save(tmp_path / "net.onnx", **options), None, "imagenet", 0)
    assert backbone.side == side
    assert (backbone.kind, backbone.name, backbone.licence) == ("onnx", "net.onnx", "")


def test_the_digest_names_content_and_preprocessing(tmp_path):
    first = resolve_backbone(save(tmp_path / "a.onnx"), None, "imagenet", 0)[0].digest
    other = resolve_backbone(save(tmp_path / "a.onnx", "NHWC"), None, "imagenet", 0)[0].digest
    fed = resolve_backbone(save(tmp_path / "a.onnx"), {"preprocessing": "tf"}, "imagenet", 0)[0].digest
    assert len({first, other, fed}) == 3


def test_two_inputs_are_refused_and_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"'net\.onnx' has the inputs: images0 .*images1 .*Expected one input"
    ):
        resolve_backbone(save(tmp_path / "net.onnx", inputs=2), None, "imagenet", 0)


def test_an_input_that_is_no_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"images0 tensor\(int64\).*float32, float16 or uint8"):
        resolve_backbone(save(tmp_path / "net.onnx", dtype="int64"), None, "imagenet", 0)
    vector = onnx.helper.make_tensor_value_info("table", 1, ["n", 7])
    copied = onnx.helper.make_tensor_value_info("copied", 1, ["n", 7])
    node = onnx.helper.make_node("Identity", ["table"], ["copied"])
    graph = onnx.helper.make_graph([node], "table", [vector], [copied])
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(tmp_path / "table.onnx"))
    with pytest.raises(ValueError, match=r"table tensor\(float\) \['n', 7\]"):
        resolve_backbone(tmp_path / "table.onnx", None, "imagenet", 0)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"backbone 'net\.onnx' is not to be opened by ONNX Runtime"):
        resolve_backbone(tmp_path / "net.onnx", None, "imagenet", 0)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(
        FileNotFoundError, match=r"no backbone file 'nowhere\.onnx'. Expected an ONNX network"
    ):
        resolve_backbone("nowhere.onnx", None, "imagenet", 0)


@pytest.mark.parametrize("weights", [None, "other.h5"])
def test_other_weights_are_refused(tmp_path, weights):
    with pytest.raises(ValueError, match=r"holds its own weights\. Leave out `weights`"):
        resolve_backbone(save(tmp_path / "net.onnx"), None, weights, 0)


def test_without_the_package_the_cure_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "net.onnx")
    monkeypatch.setattr(_optional.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"net\.onnx' needs .*'onnxruntime'.*histoclf\[onnx\]"):
        resolve_backbone(path, None, "imagenet", 0)
