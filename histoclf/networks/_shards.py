"""A folder of rows that many processes may read and write at once, without locks.

Rows lie in shards: files that never change, each named by the digest of its bytes. So a name proves the
content, the same rows written twice are one file, and a file that is cut short or altered is recognised. A
shard appears under its name only when it is complete, and disappears only after its rows lie in another one.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b

import numpy as np

from histoclf.io._atomic import write_atomically

_KEY = np.dtype("V16")  # not S16, which drops trailing zeros
_SHARD = re.compile(r"[0-9a-f]{32}\.npy")
_DRAFT = re.compile(r"\.[0-9a-f]{32}\.npy\.[0-9a-f]{8}\.tmp")
_ABANDONED = 3600  # seconds after which a draft was left behind by a process that was killed
_MANY_SMALL = 64  # small shards that a folder may hold before some are merged
_TRIES = 2

# The keys in each shard of each folder seen by this process, so that a look-up opens only what it needs.
_known: dict[str, dict[str, frozenset[bytes]]] = {}


def forget_shards() -> None:
    """Forget what is in which shard; the folders stay as they are."""
    _known.clear()


class ShardFolder:
    """Rows by key, in a folder.

    Parameters
    ----------
    path : str
        The folder; made when first written to.
    chunk : int
        Rows of a full shard. Where many have fewer (predictions of single patches), they are merged.

    Attributes
    ----------
    writable : bool
        Whether to write at all; for the caller, who may give up after an error.
    """

    def __init__(self, path: str, chunk: int) -> None:
        self.path = os.path.abspath(path)
        self.writable = True
        self._chunk = chunk
        self._known = _known.setdefault(self.path, {})
        self._seen: set[str] = set()  # shards that were there at the last look, and our own

    def find(self, keys: set[bytes]) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """Find rows.

        Parameters
        ----------
        keys : set of bytes
            16 bytes each.

        Yields
        ------
        found : list of bytes
            The keys found in one shard.
        rows : ndarray of shape (n_found, ...), dtype float32
            Their rows.
        """
        wanted = set(keys)
        for _ in range(_TRIES):  # again if a shard was gone: its rows may just have been merged into another
            gone = False
            names = self._names() if wanted else []
            self._seen.update(names)
            for name in names:
                if self._known.get(name, wanted).isdisjoint(wanted):
                    continue
                records = self._read(name)
                gone |= records is None
                if records is not None and (hits := _hits(records, wanted)):
                    wanted -= hits.keys()
                    yield list(hits), records["row"][list(hits.values())]
            if not gone:
                return

    def has_news(self) -> bool:
        """Tell whether others have written since `find` looked; that one costs more the more it looks for."""
        return not self._seen.issuperset(self._names())

    def add(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Write rows into a shard.

        Parameters
        ----------
        keys : sequence of bytes, length n_rows
            16 bytes each.
        rows : ndarray of shape (n_rows, ...), dtype float32
            The rows.

        Raises
        ------
        OSError
            If the disk is full or the folder cannot be written. No half file is left.
        """
        os.makedirs(self.path, exist_ok=True)
        self._write(keys, rows)
        small = sorted(
            (len(keys), name) for name, keys in list(self._known.items()) if len(keys) < self._chunk
        )
        if len(small) > _MANY_SMALL:
            self._merge([name for _, name in small])

    def _names(self) -> list[str]:
        """List the shards, and sweep up what killed processes left."""
        names = []
        with suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                if _SHARD.fullmatch(entry.name):
                    names.append(entry.name)
                elif _DRAFT.fullmatch(entry.name) and _is_abandoned(entry):
                    _remove(entry.path)
        for name in set(self._known) - set(names):
            self._known.pop(name, None)
        return sorted(names)

    def _read(self, name: str) -> np.ndarray | None:
        """Read a shard; None if it is gone, or no shard, which removes it."""
        # Read whole, not mapped: a mapped file that goes away on a network disk kills the process, each map
        # holds one of the process's files open, and the digest needs all bytes anyway.
        path = os.path.join(self.path, name)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        records = _decode(data) if _name(data) == name else None
        if records is None:
            _remove(path)
        else:
            self._known[name] = frozenset(records["key"].tolist())
        return records

    def _write(self, keys: Sequence[bytes], rows: np.ndarray) -> str:
        data = _encode(keys, rows)
        name = _name(data)
        write_atomically(os.path.join(self.path, name), data)
        self._known[name] = frozenset(keys)
        self._seen.add(name)
        return name

    def _merge(self, small: list[str]) -> None:
        """Merge small shards, the smallest first, until they fill one."""
        merged: dict[bytes, np.ndarray] = {}
        used = []
        for name in small:
            records = self._read(name)
            if records is not None:
                merged.update(zip(records["key"].tolist(), records["row"], strict=True))
                used.append(name)
            if len(merged) >= self._chunk:
                break
        if merged:
            new = self._write(list(merged), np.stack(list(merged.values())))
            for name in set(used) - {new}:
                _remove(os.path.join(self.path, name))


def _hits(records: np.ndarray, wanted: set[bytes]) -> dict[bytes, int]:
    """Where in a shard the wanted keys are."""
    return {key: row for row, key in enumerate(records["key"].tolist()) if key in wanted}


def _encode(keys: Sequence[bytes], rows: np.ndarray) -> memoryview:
    records = np.empty(len(keys), dtype=[("key", _KEY), ("row", "<f4", rows.shape[1:])])
    records["key"] = np.frombuffer(b"".join(keys), dtype=_KEY)
    records["row"] = rows
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, records, allow_pickle=False)
    return buffer.getbuffer()


def _decode(data: bytes) -> np.ndarray | None:
    try:
        records = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OverflowError, MemoryError):
        return None
    kind = records.dtype
    if kind.names != ("key", "row") or kind["key"] != _KEY or kind["row"].base != np.dtype("<f4"):
        return None
    return records if records.ndim == 1 else None


def _name(data: bytes | memoryview) -> str:
    return blake2b(data, digest_size=16).hexdigest() + ".npy"


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return time.time() - entry.stat().st_mtime > _ABANDONED
    return False


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
