"""Rows computed once: embeddings by the content of their images, in memory and in a folder.

Knows no network: whoever asks brings the function that computes what is missing. Importing this module loads
no TensorFlow.
"""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from histoclf.io._fingerprint import all_differ, are_named, pack_keys, sortable, unpack_keys
from histoclf.io._room import make_room, memory_budget
from histoclf.networks._key_table import KeyTable
from histoclf.networks._shards import ShardFolder, forget_shards

Compute = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

# Raise it when the layout of a shard changes: what lies under the old number is then left alone.
_FORMAT = "1"
_OVERHEAD = 48  # bytes that a row takes in memory besides its numbers: key and place, twice as tables merge
_MOST_ROWS = 2**32  # of a block, so that one number tells block and row
_SHARE_KEPT, _SHARE_HELD = 1 / 2, 1 / 8  # of working_memory: rows that are kept, and those of them in memory
_SMALLEST_SPILLED = 2**19  # bytes; each block in a file is a mapping, of which a process has 65,530
_TAKEN = 4096  # rows copied at a time


def cached_rows(
    keys: Sequence[bytes | None] | np.ndarray,
    compute: Compute,
    *,
    namespace: str,
    memory: Any = None,
    chunk: int = 512,
    verbose: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Look rows up by their keys, and compute those that are not known yet.

    Rows are kept by this process, up to half of ``working_memory`` of `sklearn.set_config`, and in a folder
    if one is given. Each chunk is kept as soon as it is computed, so an interrupted run goes on where it
    stopped. What is more than an eighth of ``working_memory``, of what is kept and of what is returned, lies
    in temporary files: memory does not grow with the number of rows.

    Parameters
    ----------
    keys : sequence of bytes or None, length n, or the same packed in an array
        16 bytes that stand for the content behind each row. Equal keys are computed once; None is computed
        each time and never kept.
    compute : callable
        Takes positions in `keys` (ndarray of int, ascending) and returns their rows, float32 of shape
        (n_kept, ...), and a mask over the positions that says which of them have a row. The others are left
        out of the result, and computed again the next time.
    namespace : str
        Hexadecimal digest of all else that the rows depend on (network, weights, scaling, engine, ...).
        Rows of different namespaces never mix.
    memory : str, path-like or joblib.Memory, default=None
        Folder that keeps rows beyond this process. Any number of processes may use it at once.
    chunk : int, default=512
        Rows computed, and written into one file, at a time.
    verbose : int, default=0
        1 shows a progress bar over the rows to compute.

    Returns
    -------
    rows : ndarray of shape (n_kept, ...), dtype float32
        The rows in the order of their keys, of shape (0, 0) if there are none; a memory map if they are many.
        They are the caller's: changing them changes nothing that is kept.
    kept : ndarray of shape (n,), dtype bool
        Which keys have a row.

    Raises
    ------
    TypeError
        If `memory` names no folder.
    ValueError
        If the rows of one namespace have different shapes.

    Warns
    -----
    UserWarning
        Once, if the folder cannot be written. The rows are returned all the same.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.networks._cache import cached_rows
    >>> def double(positions):
    ...     print("computing", positions.tolist())
    ...     return 2.0 * positions[:, None], np.ones(len(positions), dtype=bool)
    >>> keys = [bytes([number]) * 16 for number in (1, 2, 1)]
    >>> rows, kept = cached_rows(keys, double, namespace="5c")
    computing [0, 1]
    >>> rows, kept = cached_rows(keys[1:], double, namespace="5c")
    >>> rows.tolist(), kept.tolist()
    ([[2.0], [0.0]], [True, True])
    """
    wanted = _Wanted(pack_keys(keys))
    for slots, rows in _memory.find(namespace, wanted.keys):
        wanted.fill(slots, rows)
    shards = _open(memory, namespace, chunk)
    _look_up(wanted, namespace, shards)
    if len(wanted.missing()):
        _compute_missing(wanted, compute, namespace, shards, chunk, verbose)
    return wanted.result()


def clear_memory() -> None:
    """Forget the rows kept in this process. Those in folders stay."""
    _memory.clear()
    forget_shards()


def _open(memory: Any, namespace: str, chunk: int) -> ShardFolder | None:
    location = getattr(memory, "location", memory)
    if location is None:
        return None
    if not isinstance(location, str | os.PathLike):
        raise TypeError(f"memory must be a folder, a joblib.Memory or None, got {memory!r}.")
    return ShardFolder(os.path.join(location, "histoclf-embeddings", _FORMAT, namespace), chunk)


def _look_up(wanted: _Wanted, namespace: str, shards: ShardFolder | None) -> None:
    """Take what the folder has of the missing rows."""
    if shards is not None:
        for found, rows in shards.find(wanted.missing_keys()):
            keys = pack_keys(found)
            wanted.fill(wanted.slots_of(keys), rows)
            _memory.keep(namespace, keys, rows)


def _compute_missing(
    wanted: _Wanted, compute: Compute, namespace: str, shards: ShardFolder | None, chunk: int, verbose: int
) -> None:
    missing = wanted.missing()
    with tqdm(total=len(missing), desc="Embedding", unit="patch", disable=verbose < 1) as bar:
        while n_missing := len(missing):
            slots, missing = missing[:chunk], missing[chunk:]
            rows, kept = compute(wanted.positions[slots])
            rows = np.array(rows, dtype=np.float32)  # a copy: `compute` may use its array again
            wanted.settle(slots, kept, rows)
            _keep(wanted.keys[slots[kept]], rows, namespace, shards)
            if shards is not None and shards.has_news():  # another process may be computing the same rows
                _look_up(wanted, namespace, shards)
                missing = wanted.missing()
            bar.update(n_missing - len(missing))


def _keep(keys: np.ndarray, rows: np.ndarray, namespace: str, shards: ShardFolder | None) -> None:
    named = are_named(keys)
    if not named.all():
        keys, rows = keys[named], rows[named]
    if len(keys):
        _memory.keep(namespace, keys, rows)
        _write(keys.tolist(), rows, shards)


def _write(keys: list[bytes], rows: np.ndarray, shards: ShardFolder | None) -> None:
    if shards is None or not shards.writable:
        return
    try:
        shards.add(keys, rows)
    except OSError as error:  # a full disk must not cost the hour that the rows took
        shards.writable = False
        warnings.warn(
            f"Embeddings cannot be kept in {shards.path!r}: {error.strerror or error}. They are used all the "
            "same, but will be computed again in the next process. Free some room, make the folder writable, "
            "or give another folder as memory.",
            UserWarning,
            stacklevel=5,
        )


class _Wanted:
    """The rows asked for, each distinct one once, and those found so far.

    Attributes
    ----------
    positions : ndarray of shape (n_distinct,), dtype int
        Where each distinct row is asked for first.
    keys : ndarray of shape (n_distinct,)
        The key of each, packed; every None is distinct.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self.positions, self._slots = _distinct(keys)
        self.keys = keys if len(self.positions) == len(keys) else keys[self.positions]
        self._rows: np.ndarray | None = None
        self._kept = np.zeros(len(self.keys), dtype=bool)
        self._settled = np.zeros(len(self.keys), dtype=bool)

    def missing(self) -> np.ndarray:
        """Slots of which nothing is known yet."""
        return np.flatnonzero(~self._settled)

    def missing_keys(self) -> set[bytes]:
        return {key for key in unpack_keys(self.keys[self.missing()]) if key is not None}

    def slots_of(self, keys: np.ndarray) -> np.ndarray:
        """Return the slots of keys that are wanted."""
        return self._table.find(keys)

    @cached_property
    def _table(self) -> KeyTable:
        table = KeyTable()
        table.add(self.keys, np.arange(len(self.keys)))
        return table

    def fill(self, slots: np.ndarray, rows: Iterable[np.ndarray]) -> None:
        """Take rows that were found."""
        self.settle(slots, np.ones(len(slots), dtype=bool), rows)

    def settle(self, slots: np.ndarray, kept: np.ndarray, rows: Iterable[np.ndarray]) -> None:
        """Take the rows of those slots that have one, and ask for none of the slots again."""
        for slot, row in zip(slots[kept], rows, strict=True):
            self._room_for(row)[slot] = row
        self._kept[slots] = kept
        self._settled[slots] = True

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """All rows in the order asked for, and which positions have one."""
        rows = np.empty((len(self.keys), 0), dtype=np.float32) if self._rows is None else self._rows
        kept = self._kept[self._slots]
        if len(self.keys) < len(kept) or not kept.all():
            rows = _take(rows, self._slots[kept])
        return rows, kept

    def _room_for(self, row: np.ndarray) -> np.ndarray:
        if self._rows is None:
            self._rows = _room(len(self.keys), row.shape)
        if self._rows.shape[1:] != row.shape:
            raise ValueError(
                f"Rows of shape {self._rows.shape[1:]} and {row.shape} in one namespace: it must name all "
                "that the rows depend on."
            )
        return self._rows


def _distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each distinct key is first, and which of these every key is; every None is distinct."""
    everyone = np.arange(len(keys))
    if all_differ(sortable(keys)):  # as mostly: the tables below would take several times the memory
        return everyone, everyone
    _, first, same = np.unique(sortable(keys), return_index=True, return_inverse=True)
    first = first[same]
    unnamed = np.flatnonzero(~are_named(keys))
    first[unnamed] = unnamed
    is_first = first == everyone
    return np.flatnonzero(is_first), (np.cumsum(is_first) - 1)[first]


def _room(n_rows: int, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return make_room((n_rows, *shape), np.float32, memory_budget(_SHARE_HELD))
    except OSError:  # the disk is too small: memory may do
        return np.empty((n_rows, *shape), dtype=np.float32)


def _take(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Copy some rows, so many at a time that it does not matter how many there are."""
    taken = _room(len(places), rows.shape[1:])
    for start in range(0, len(places), _TAKEN):
        part = slice(start, start + _TAKEN)
        taken[part] = rows[places[part]]
    return taken


@dataclass
class _Namespace:
    """Rows in blocks, and the place of each key's row: a number, for an array takes more than a short row."""

    places: KeyTable = field(default_factory=KeyTable)
    blocks: list[np.ndarray] = field(default_factory=list)
    n_bytes: int = 0
    n_spilled: int = 0
    file: Any = None

    def add(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Keep a block of rows."""
        self.places.add(keys, len(self.blocks) * _MOST_ROWS + np.arange(len(rows)))
        self.blocks.append(rows)
        self.n_bytes += rows.nbytes + len(rows) * _OVERHEAD

    def spill(self, rows: np.ndarray) -> np.ndarray:
        """Move rows into a temporary file without a name, which is gone with the namespace."""
        try:
            if self.file is None:
                self.file = tempfile.TemporaryFile(prefix="histoclf-", buffering=0)  # noqa: SIM115  (kept)
                weakref.finalize(self, self.file.close)
            offset = self.file.seek(0, os.SEEK_END)
            if self.file.write(np.ascontiguousarray(rows).data) < rows.nbytes:
                return rows
            mapped = np.memmap(self.file, rows.dtype, "r", offset, rows.shape).view(np.ndarray)
        except OSError:  # the disk is full: they stay where they are
            return rows
        self.n_spilled += rows.nbytes
        return mapped


class _RowMemory:
    """The rows kept in this process, by namespace, the one used last at the end."""

    def __init__(self) -> None:
        self._namespaces: OrderedDict[str, _Namespace] = OrderedDict()
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):  # no fork may happen while another thread is in the middle
            os.register_at_fork(
                before=self._lock.acquire,
                after_in_parent=self._lock.release,
                after_in_child=self._start_child,
            )

    def find(self, namespace: str, keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through the blocks that have rows of some keys: which of the keys, and their rows."""
        with self._lock:
            if namespace not in self._namespaces:
                return
            self._namespaces.move_to_end(namespace)
            known = self._namespaces[namespace]
            places, blocks = known.places.find(keys), list(known.blocks)
        found = np.flatnonzero(places >= 0)
        found = found[np.argsort(places[found])]
        numbers = places[found] // _MOST_ROWS
        for part in np.split(found, 1 + np.flatnonzero(np.diff(numbers))) if len(found) else ():
            yield part, blocks[places[part[0]] // _MOST_ROWS][places[part] % _MOST_ROWS]

    def keep(self, namespace: str, keys: np.ndarray, rows: np.ndarray) -> None:
        """Keep as many rows as the budget has room for; `rows` must not be changed by anyone any more."""
        row_bytes = rows[0].nbytes + _OVERHEAD
        budget = memory_budget(_SHARE_KEPT)
        with self._lock:
            current = self._namespaces.setdefault(namespace, _Namespace())
            self._namespaces.move_to_end(namespace)
            new = np.flatnonzero(current.places.find(keys) < 0)
            room = self._make_room(budget, len(new) * row_bytes)
            # What does not fit beside the namespace's own rows is not kept. Pushing out the row used longest
            # ago would help nobody: cross-validation goes through all rows in order, again and again, and
            # each would be pushed out shortly before its turn.
            new = new[: max(0, int(room // row_bytes))]
            if not len(new):
                return
            block = rows if len(new) == len(rows) else rows[new]
            if block.nbytes >= _SMALLEST_SPILLED and self._n_held() + block.nbytes > memory_budget(
                _SHARE_HELD
            ):
                block = current.spill(block)
            current.add(keys[new], block)

    def clear(self) -> None:
        with self._lock:
            self._namespaces.clear()

    def _make_room(self, budget: float, n_bytes: int) -> float:
        """Drop other namespaces, those used longest ago first, until so many bytes are free; what is free."""
        while (room := budget - self._n_bytes()) < n_bytes and len(self._namespaces) > 1:
            self._namespaces.popitem(last=False)
        return room

    def _n_bytes(self) -> int:
        return sum(namespace.n_bytes for namespace in self._namespaces.values())

    def _n_held(self) -> int:
        """Bytes in memory, and not in files."""
        return self._n_bytes() - sum(namespace.n_spilled for namespace in self._namespaces.values())

    def _start_child(self) -> None:
        """Let a forked child go on with files of its own: at the end of the parent's both would write."""
        for namespace in self._namespaces.values():
            namespace.file = None
        self._lock.release()


_memory = _RowMemory()
