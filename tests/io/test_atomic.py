"""A name never stands for half a file."""

import os
import stat

import pytest

from histoclf.io._atomic import write_atomically


def test_writing_replaces_the_file_and_leaves_no_draft(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch, step):
    def fail(*args):
        raise OSError("disk full")

    path = tmp_path / "model"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


def test_others_may_read_the_file_as_far_as_the_umask_lets_them(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    write_atomically(tmp_path / "model", b"new")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "model")]
    assert modes[0] == modes[1]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "v1", tmp_path / "latest"
    target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this file system has no links")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
