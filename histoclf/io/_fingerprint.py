"""Names for images that say what is in them: 16 bytes from their content, never from their path or place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from time import time_ns

import numpy as np

_N_BYTES = 16
# Part of the hash, so that a file and an array never share a key, whatever their bytes.
_FILE, _ARRAY = b"histoclf file", b"histoclf array"
_SETTLED = 2 * 10**9  # nanoseconds; the coarsest clock of a file system (FAT) ticks every two seconds
_MEMO_SIZE, _MEMO_SLACK = 2**16, 2**14  # files, about 10 MB; and so many more while files are looked at
_PACKED = np.dtype(f"V{_N_BYTES}")  # not S16, which drops trailing zeros on the way to bytes
_UNNAMED = b"\xff" * _N_BYTES

# The stamp of a file and then its key, in one bytes object: a third of what tuples of numbers take.
_memo: dict[str, bytes] = {}


def file_keys(paths: Sequence[str] | np.ndarray) -> list[bytes | None]:
    """Hash the content of files.

    Files that have not changed since they were last hashed in this process cost one ``os.stat`` each. They
    are told by size, inode, and times of writing and of change. As in git's index, a file changed within the
    two seconds before it was hashed is hashed again the next time: it could change once more at the same size
    and within the same tick of the clock.

    Parameters
    ----------
    paths : sequence of str, length n_files
        Files. One that occurs several times is read once.

    Returns
    -------
    keys : list of bytes or None, length n_files
        BLAKE2b of each file in 16 bytes; None for a file that cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> from histoclf.io._fingerprint import file_keys
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = os.path.join(folder, "one"), os.path.join(folder, "other")
    ...     for path in (one, other):
    ...         with open(path, "wb") as file:
    ...             _ = file.write(b"the same")
    ...     keys = file_keys([one, other, os.path.join(folder, "missing")])
    >>> len(keys[0]), keys[0] == keys[1], keys[2]
    (16, True, None)
    """
    return unpack_keys(packed_file_keys(paths))


def packed_file_keys(paths: Sequence[str] | np.ndarray) -> np.ndarray:
    """Do as `file_keys`, and pack the keys: objects for each would take five times as much on the way."""
    now = time_ns()  # before any file is looked at: what changes from here on bears a later time
    packed = np.empty(len(paths), dtype=_PACKED)
    rows, repeats = first_rows(paths)
    # Threads would not pay: for files of 6 and 23 kB two of them took longer than this loop.
    for row in rows:
        packed[row] = _file_key(paths[row], now) or _UNNAMED
        if len(_memo) > _MEMO_SIZE + _MEMO_SLACK:
            _forget_all_but(paths)
    if len(_memo) > _MEMO_SIZE:
        _forget_all_but(paths)
    for row, first in repeats:
        packed[row] = packed[first]
    return packed


def first_rows(paths: Sequence[str] | np.ndarray) -> tuple[Sequence[int], list[tuple[int, int]]]:
    """Return the rows where each path is first, and every other row with the first one of its path.

    Examples
    --------
    >>> from histoclf.io._fingerprint import first_rows
    >>> first_rows(["a", "b", "a"])
    ([0, 1], [(2, 0)])
    """
    hashes = np.fromiter(map(hash, paths), dtype=np.int64, count=len(paths))
    if all_differ(hashes):  # as mostly: a dict would take 80 bytes a path
        return range(len(paths)), []
    first: dict[str, int] = {}
    repeats = [(row, first[path]) for row, path in enumerate(paths) if first.setdefault(path, row) < row]
    return list(first.values()), repeats


def array_keys(images: np.ndarray) -> list[bytes]:
    """Hash each image of an array, its shape and type included.

    Parameters
    ----------
    images : ndarray of shape (n_images, ...)
        Any numbers, in any memory layout; a memory map is read image by image.

    Returns
    -------
    keys : list of bytes, length n_images
        BLAKE2b of each image in 16 bytes.

    Raises
    ------
    TypeError
        If `images` holds Python objects, whose bytes are addresses.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.io._fingerprint import array_keys
    >>> first, second, third = array_keys(np.array([[0, 1], [0, 1], [1, 0]]))
    >>> len(first), first == second, first == third
    (16, True, False)
    """
    if images.dtype.hasobject:
        raise TypeError(f"Expected an array of numbers, got {images.dtype}; convert it with astype.")
    # The NUL ends the description, so that no description can run on into pixels.
    described = f"{images.dtype.str} {images.shape[1:]}\0".encode("ascii")
    start = blake2b(described, digest_size=_N_BYTES, person=_ARRAY)
    keys = []
    for image in images:
        state = start.copy()
        state.update(image.tobytes())  # in C order, whatever the layout
        keys.append(state.digest())
    return keys


def pack_keys(keys: Sequence[bytes | None] | np.ndarray) -> np.ndarray:
    """Put keys into one array, 16 bytes each, where objects take 72; an array is returned as it is.

    Examples
    --------
    >>> from histoclf.io._fingerprint import pack_keys, unpack_keys
    >>> packed = pack_keys([b"sixteen bytes, 1", None])
    >>> packed.nbytes, unpack_keys(packed)
    (32, [b'sixteen bytes, 1', None])
    """
    if isinstance(keys, np.ndarray):
        return keys
    return np.frombuffer(b"".join(_UNNAMED if key is None else key for key in keys), dtype=_PACKED)


def unpack_keys(packed: np.ndarray) -> list[bytes | None]:
    """Undo `pack_keys`."""
    return [None if key == _UNNAMED else key for key in packed.tolist()]


def are_named(packed: np.ndarray) -> np.ndarray:
    """Tell which of packed keys are not None."""
    named: np.ndarray = sortable(packed) != _UNNAMED
    return named


def sortable(packed: np.ndarray) -> np.ndarray:
    """View packed keys as what NumPy sorts and compares; do not make bytes of these, trailing zeros go."""
    return packed.view(f"S{_N_BYTES}")


def all_differ(values: np.ndarray) -> bool:
    """Tell whether no value occurs twice, in the memory of one sorted copy."""
    ordered = np.sort(values)
    return not (ordered[1:] == ordered[:-1]).any()


def read_stamp(path: str | os.PathLike[str], now: int) -> tuple[bytes, bool]:
    """Tell this state of a file from others, and whether it is old enough to be told from later ones."""
    status = os.stat(path)
    # With the time of change (POSIX) because copying and unpacking set the time of writing to the past.
    times = status.st_mtime_ns, status.st_ctime_ns
    stamp = b"%d %d %d %d %d " % (status.st_size, *times, status.st_ino, status.st_dev)
    return stamp, now - max(times) > _SETTLED


def _file_key(path: str, now: int) -> bytes | None:
    try:
        stamp, settled = read_stamp(path, now)
        known = _memo.get(path, b"")
        if known.startswith(stamp):
            return known[len(stamp) :]
        with open(path, "rb", buffering=0) as file:
            key = blake2b(file.read(), digest_size=_N_BYTES, person=_FILE).digest()
    except (OSError, ValueError):  # ValueError: a path with a NUL in it
        return None
    if settled:
        _memo[path] = stamp + key
    return key


def _forget_all_but(paths: Iterable[str]) -> None:
    # The first ones of this call stay, not the last ones used: under a scan over more files than fit, each
    # would be pushed out shortly before its turn.
    kept: dict[str, bytes] = {}
    for path in paths:
        if path in _memo:
            kept[path] = _memo[path]
        if len(kept) == _MEMO_SIZE:
            break
    _memo.clear()
    _memo.update(kept)
