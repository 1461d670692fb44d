"""Keys say what is in an image; every change changes them, and an unchanged file is not read again."""

import os
import shutil

import numpy as np
import pytest

from histoclf.io import _fingerprint
from histoclf.io._fingerprint import array_keys, file_keys


@pytest.fixture(autouse=True)
def empty_memo():
    _fingerprint._memo.clear()
    yield
    _fingerprint._memo.clear()


@pytest.fixture
def later(monkeypatch):
    """Ten seconds from now, when files just written have settled."""
    monkeypatch.setattr(_fingerprint, "time_ns", lambda: _real_time_ns() + 10 * 10**9)


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The files opened."""
    names = []

    def counted(path, *args, **kwargs):
        names.append(path)
        return open(path, *args, **kwargs)

    monkeypatch.setattr(_fingerprint, "open", counted, raising=False)
    return names


_real_time_ns = _fingerprint.time_ns


def _write(path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


# --- files -------------------------------------------------------------------------------------------------


def test_a_file_key_is_its_content_not_its_name(tmp_path):
    one, copy, other = (_write(tmp_path / name, name[:1].encode()) for name in ("a1", "a2", "b"))
    keys = file_keys([one, copy, other])
    assert [len(key) for key in keys] == [16, 16, 16]
    assert keys[0] == keys[1] != keys[2]
    assert file_keys(np.array([other, one], dtype=object)) == [keys[2], keys[0]]


def test_what_cannot_be_read_has_no_key(tmp_path, later):
    good = _write(tmp_path / "good", b"a")
    paths = [str(tmp_path / "missing"), good, str(tmp_path), "nul\0in it"]
    first = file_keys(paths)
    assert first == [None, file_keys([good])[0], None, None]
    _write(tmp_path / "missing", b"a")
    assert file_keys(paths)[0] == first[1]


def test_a_repeated_path_is_read_once_and_empty_lists_are_fine(tmp_path, opened):
    path = _write(tmp_path / "a", b"a")
    keys = file_keys([path, path, path])
    assert keys[0] == keys[1] == keys[2]
    assert opened == [path]
    assert file_keys([]) == []


def test_unchanged_files_are_not_read_again(tmp_path, opened, later):
    paths = [_write(tmp_path / str(number), bytes([number])) for number in range(5)]
    keys = file_keys(paths)
    assert file_keys(paths[::-1]) == keys[::-1]
    assert opened == paths


@pytest.mark.parametrize("age", [0, 10**18], ids=["new", "with an old time of writing, as copies have"])
def test_a_file_just_written_is_read_again(tmp_path, opened, age):
    path = _write(tmp_path / "a", b"one")
    written = os.stat(path).st_mtime_ns - age
    os.utime(path, ns=(written, written))
    first = file_keys([path])
    with open(path, "r+b") as file:  # in the same tick of the clock, at the same size
        file.write(b"two")
    os.utime(path, ns=(written, written))
    assert file_keys([path]) != first
    assert opened == [path, path]
    if os.name != "nt":  # Windows keeps no time of change
        assert _fingerprint._memo == {}


def test_a_time_in_the_future_is_never_trusted(tmp_path, opened, later):
    path = _write(tmp_path / "a", b"a")
    ahead = _real_time_ns() + 3600 * 10**9
    os.utime(path, ns=(ahead, ahead))
    file_keys([path])
    file_keys([path])
    assert len(opened) == 2


@pytest.mark.parametrize("how", ["other size", "later", "another file", "in place, with its old time"])
def test_a_changed_file_gets_another_key(tmp_path, later, how):
    path = tmp_path / "a"
    _write(path, b"one")
    old = 10**18
    os.utime(path, ns=(old, old))
    (first,) = file_keys([str(path)])
    if how == "other size":
        _write(path, b"longer")
        os.utime(path, ns=(old, old))
    elif how == "later":
        _write(path, b"two")
        os.utime(path, ns=(old, old + 1))
    elif how == "another file":
        _write(tmp_path / "b", b"two")
        os.utime(tmp_path / "b", ns=(old, old))
        os.replace(tmp_path / "b", path)
    else:
        if os.name == "nt":
            pytest.skip("Windows keeps no time of change")
        while os.stat(path).st_ctime_ns == _tick(tmp_path):
            pass
        _write(path, b"two")
        os.utime(path, ns=(old, old))
    (second,) = file_keys([str(path)])
    assert second != first
    assert file_keys([str(path)]) == [second]


def _tick(folder) -> int:
    """The time that the file system's clock gives now."""
    probe = folder / "probe"
    probe.write_bytes(b"")
    return os.stat(probe).st_ctime_ns


def test_relative_paths_follow_the_working_folder(tmp_path, later, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _write(tmp_path / name / "a", name.encode())
    shutil.copystat(tmp_path / "one" / "a", tmp_path / "two" / "a")
    monkeypatch.chdir(tmp_path / "one")
    one = file_keys(["a"])
    monkeypatch.chdir(tmp_path / "two")
    assert file_keys(["a"]) != one


def test_the_memo_is_bounded_and_serves_scans_over_more_files_than_fit(tmp_path, opened, later, monkeypatch):
    monkeypatch.setattr(_fingerprint, "_MEMO_SIZE", 6)
    paths = [_write(tmp_path / str(number), bytes([number])) for number in range(10)]
    file_keys(paths[:6])
    assert list(_fingerprint._memo) == paths[:6]
    file_keys(paths[4:])  # does not fit beside the others, which nobody asked for now
    assert list(_fingerprint._memo) == paths[4:]
    file_keys(paths)
    opened.clear()
    file_keys(paths)
    assert len(_fingerprint._memo) == 6
    assert len(opened) == 4


# --- arrays ------------------------------------------------------------------------------------------------


@pytest.fixture
def images() -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (6, 5, 4, 3)).astype(np.uint8)


def test_an_array_key_is_the_content_of_the_image(images):
    keys = array_keys(images)
    assert len(set(keys)) == 6
    assert {len(key) for key in keys} == {16}
    assert array_keys(images[[3, 3, 0]]) == [keys[3], keys[3], keys[0]]
    changed = images.copy()
    changed[2, 4, 3, 2] ^= 1
    assert [row for row, key in enumerate(array_keys(changed)) if key != keys[row]] == [2]
    assert array_keys(images[:0]) == []


def test_the_memory_layout_does_not_matter(images, tmp_path):
    keys = array_keys(images)
    assert array_keys(np.asfortranarray(images)) == keys
    assert array_keys(np.repeat(images, 2, axis=2)[:, :, ::2]) == keys
    assert array_keys(images[::-1])[::-1] == keys
    mapped = np.memmap(tmp_path / "images", dtype=np.uint8, mode="w+", shape=images.shape)
    mapped[:] = images
    assert array_keys(mapped) == keys


@pytest.mark.parametrize(
    "view",
    [
        lambda images: images.view(np.int8),
        lambda images: images.view("<u4"),
        lambda images: images.view(">u4"),
        lambda images: images.reshape(6, 3, 5, 4),
        lambda images: images.reshape(6, 60),
    ],
)
def test_the_same_bytes_in_another_shape_or_type_are_another_image(images, view):
    images = images.reshape(6, 5, 3, 4)
    assert view(images).tobytes() == images.tobytes()
    assert set(array_keys(view(images))).isdisjoint(array_keys(images))


def test_a_file_and_an_array_of_the_same_bytes_differ(tmp_path, images):
    row = images[0]
    described = f"{row.dtype.str} {row.shape}\0".encode()
    paths = [_write(tmp_path / "bare", row.tobytes()), _write(tmp_path / "whole", described + row.tobytes())]
    assert set(file_keys(paths)).isdisjoint(array_keys(images))


def test_objects_have_no_content():
    with pytest.raises(TypeError, match="Expected an array of numbers, got object; convert it with astype"):
        array_keys(np.array([[1, "a"]], dtype=object))


@pytest.mark.real_data
def test_real_patches_have_a_key_each(real_data):
    paths = sorted((real_data / "idc_breast").glob("*/*.png"))[:200]
    keys = file_keys([str(path) for path in paths])
    assert None not in keys
    assert len(set(keys)) == len({path.read_bytes() for path in paths})


def test_the_memo_stays_small_while_many_files_are_looked_at(tmp_path, later, monkeypatch):
    monkeypatch.setattr(_fingerprint, "_MEMO_SIZE", 6)
    monkeypatch.setattr(_fingerprint, "_MEMO_SLACK", 2)
    sizes = []
    file_key = _fingerprint._file_key
    monkeypatch.setattr(
        _fingerprint, "_file_key", lambda *args: sizes.append(len(_fingerprint._memo)) or file_key(*args)
    )
    names = [tmp_path / f"{number}" for number in range(30)]
    for name in names:
        name.write_bytes(name.name.encode())
    file_keys([str(name) for name in names])
    assert max(sizes) == 8
    assert list(_fingerprint._memo) == [str(name) for name in names[:6]]
