"""Arrays beyond a budget lie in temporary files, which go with them."""

import errno
import gc
import os
import tempfile

import numpy as np
import pytest
import sklearn

from histoclf.io._room import make_room


@pytest.fixture
def temp_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("max_bytes", "kind"), [(240, np.ndarray), (239, np.memmap)])
def test_the_budget_decides_where_it_lies(temp_dir, max_bytes, kind):
    room = make_room((3, 4, 5), np.float32, max_bytes)
    assert type(room) is kind
    assert (room.shape, room.dtype) == ((3, 4, 5), np.float32)
    room[:] = 7
    assert len(os.listdir(temp_dir)) == (kind is np.memmap)
    del room
    gc.collect()
    assert os.listdir(temp_dir) == []


def test_the_default_budget_is_scikit_learns(temp_dir):
    with sklearn.config_context(working_memory=0.001):
        assert isinstance(make_room((2000,), np.uint8), np.memmap)
    assert not isinstance(make_room((2000,), np.uint8), np.memmap)


def test_nothing_needs_no_file(temp_dir):
    assert make_room((0, 3), np.float32, 0).shape == (0, 3)


def test_a_view_keeps_the_file(temp_dir):
    view = make_room((3, 4), np.uint8, 0)[1:]
    gc.collect()
    assert len(os.listdir(temp_dir)) == 1
    view[:] = 1


def test_too_little_room_is_said_beforehand(temp_dir):
    with pytest.raises(OSError, match=r"70 samples of 9000000 x 3 numbers .* raise sklearn") as caught:
        make_room((70, 9_000_000, 3), "V1000000", 0)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(temp_dir) == []
