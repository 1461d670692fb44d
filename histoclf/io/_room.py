"""Room for a large array: in memory within a budget, else in a temporary file."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from typing import Any

import numpy as np
import sklearn


def memory_budget(share: float = 1.0) -> int:
    """Count the bytes that are such a share of ``working_memory`` of `sklearn.set_config`."""
    return int(sklearn.get_config()["working_memory"] * 2**20 * share)


def make_room(shape: tuple[int, ...], dtype: Any, max_bytes: int | None = None) -> np.ndarray:
    """Make an array whose values are yet to be written.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Its type.
    max_bytes : int, default=None
        Bytes that it may take in memory; larger ones lie in a temporary file, removed together with the
        array. None takes ``working_memory`` of `sklearn.set_config`.

    Returns
    -------
    array : ndarray or memmap
        With arbitrary values.

    Raises
    ------
    OSError
        If the disk for temporary files has too little room.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.io._room import make_room
    >>> type(make_room((2, 3), np.float32)).__name__
    'ndarray'
    >>> type(make_room((2, 3), np.float32, max_bytes=23)).__name__
    'memmap'
    """
    n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    budget = memory_budget() if max_bytes is None else max_bytes
    if n_bytes <= budget:
        return np.empty(shape, dtype=dtype)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if n_bytes > free:
        size = " x ".join(map(str, shape[1:]))
        raise OSError(
            errno.ENOSPC,
            f"{shape[0]:,} samples of {size} numbers take {n_bytes / 2**30:.1f} GiB, above the memory budget "
            f"of {budget / 2**30:.1f} GiB, and the folder for temporary files has only {free / 2**30:.1f} "
            "GiB free. Use a smaller image_size, raise sklearn.set_config(working_memory=...), or point the "
            "environment variable TMPDIR to a larger disk",
            tempfile.gettempdir(),
        )
    return _memory_map(shape, dtype)


def _memory_map(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    handle, path = tempfile.mkstemp(prefix="histoclf-", suffix=f".{np.dtype(dtype).name}")
    os.close(handle)
    array = np.memmap(path, dtype=dtype, mode="w+", shape=shape)
    # Bound to the mapping, not to the array: Windows only removes a file that is no longer mapped. It is not
    # unlinked at once because joblib passes a memory map to its workers by file name.
    weakref.finalize(array.base, _remove, path, os.getpid())
    return array


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child must not take the file from its parent
        with suppress(OSError):
            os.unlink(path)
