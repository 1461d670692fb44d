"""The network, and the file of its weights."""

import io
import os
import zipfile

import keras
import numpy as np
import pytest

from histoclf.networks._histology import OUTPUTS, build_histology, read_weights, write_weights

MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build_histology()


def noise(side: int, n: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (n, side, side, 3)).astype("float32")


def test_it_has_between_a_fifth_of_a_million_and_a_million_parameters(network):
    assert 200_000 <= network.count_params() <= 1_000_000


@pytest.mark.parametrize("side", [32, 50, 64, 96, 224])
def test_maps_are_an_eighth_and_a_sixteenth_of_any_side(network, side):
    middle, top = (np.asarray(maps) for maps in network(noise(side)))
    assert middle.shape == (2, -(-side // 8), -(-side // 8), 80)
    assert top.shape == (2, -(-side // 16), -(-side // 16), 256)
    assert middle.min() >= 0
    assert top.min() >= 0


def test_images_need_not_be_square(network):
    assert network(np.zeros((1, 42, 50, 3), "float32"))[1].shape == (1, 3, 4, 256)


def test_weights_fit_every_side_and_give_the_same(network):
    fixed = build_histology((64, 64, 3))
    fixed.set_weights(network.get_weights())
    images = noise(64)
    for free, bound in zip(network(images), fixed(images), strict=True):
        np.testing.assert_allclose(free, bound, atol=1e-5)


def test_outputs_are_named():
    assert [output.name for output in build_histology().layers if output.name in OUTPUTS] == [*OUTPUTS]


def test_images_are_scaled_inside_and_once(network):
    scaling = keras.Model(network.input, network.get_layer("scaling").output)
    found = scaling(np.array([0.0, 127.5, 255.0], "float32").reshape(1, 1, 3, 1).repeat(3, -1))
    np.testing.assert_allclose(np.asarray(found)[0, 0, :, 0], [-1, 0, 1], atol=1e-6)


def test_building_draws_from_no_random_stream_and_gives_the_same_twice():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first, second = build_histology(), build_histology()
    assert (np.random.get_state()[1] == before).all()
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(31, 64, 3), (64, 64, 1), (64, 64)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="at least 32 pixels"):
        build_histology(shape)


def test_weights_come_back_in_half_precision(network, tmp_path):
    file = tmp_path / "weights.npz"
    digest = write_weights(network, file)
    found = read_weights(build_histology((64, 64, 3)), file, digest)
    assert file.stat().st_size <= MOST_BYTES
    assert os.listdir(tmp_path) == ["weights.npz"]
    for before, after in zip(network.get_weights(), found, strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(after, before.astype("float16"))


def test_the_same_weights_make_the_same_file(network, tmp_path):
    other = build_histology((96, 96, 3))
    other.set_weights(network.get_weights())
    assert write_weights(network, tmp_path / "a.npz") == write_weights(other, tmp_path / "b.npz")


def test_a_changed_byte_is_noticed(network, tmp_path):
    file = tmp_path / "weights.npz"
    digest = write_weights(network, file)
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.npz' has the SHA-256 .* expected " + digest):
        read_weights(network, file, digest)


def test_a_file_of_something_else_is_refused(network, tmp_path):
    file = tmp_path / "weights.npz"
    file.write_bytes(b"something else")
    with pytest.raises(ValueError, match="no file of weights"):
        read_weights(network, file)


def test_objects_are_never_unpickled(network, tmp_path):
    file = tmp_path / "weights.npz"
    np.savez(file, **{"stem_conv.kernel": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="no file of weights"):
        read_weights(network, file)


def test_weights_of_another_network_are_refused(network, tmp_path):
    file = tmp_path / "weights.npz"
    write_weights(build_histology(widths=(16, 40, 80, 160, 128)), file)
    with pytest.raises(ValueError, match=r"does not fit the network 'histology'.*top"):
        read_weights(network, file)


def test_numbers_too_large_for_half_precision_are_refused(tmp_path):
    model = build_histology()
    model.get_layer("top_norm").set_weights([np.full(256, 1e6)] * 4)
    with pytest.raises(ValueError, match=r"top_norm\.gamma"):
        write_weights(model, tmp_path / "weights.npz")
    assert not os.listdir(tmp_path)


def test_the_file_is_a_plain_archive_of_arrays(network, tmp_path):
    write_weights(network, tmp_path / "weights.npz")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "weights.npz").read_bytes())) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
