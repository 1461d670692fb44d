"""Numbers by key, in few bytes: sorted arrays instead of a dict of Python objects."""

from __future__ import annotations

import numpy as np

from histoclf.io._fingerprint import sortable


class KeyTable:
    """A number for each of many keys, at 24 bytes a key where a dict takes 140.

    The keys lie in sorted parts, each more than twice as long as the next one: what is added is merged with
    the short ones, so that few parts have to be searched and each key is moved seldom.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.io._fingerprint import pack_keys
    >>> from histoclf.networks._key_table import KeyTable
    >>> one, two, three = (bytes([number]) * 16 for number in (1, 2, 3))
    >>> table = KeyTable()
    >>> table.add(pack_keys([three, one]), np.array([30, 10]))
    >>> len(table), table.find(pack_keys([one, two, three])).tolist()
    (2, [10, -1, 30])
    """

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._parts)

    def add(self, keys: np.ndarray, numbers: np.ndarray) -> None:
        """Add packed keys that are not in the table yet, with numbers from 0."""
        keys = sortable(keys)
        while self._parts and len(self._parts[-1][0]) <= 2 * len(keys):
            more_keys, more_numbers = self._parts.pop()
            keys, numbers = np.concatenate([more_keys, keys]), np.concatenate([more_numbers, numbers])
        order = np.argsort(keys, kind="stable")  # which is quick where parts of it are sorted
        self._parts.append((keys[order], numbers[order]))

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Look packed keys up: the number of each, or -1."""
        keys = sortable(keys)
        found = np.full(len(keys), -1, dtype=np.int64)
        for known, numbers in self._parts:
            at = np.searchsorted(known, keys).clip(max=len(known) - 1)
            hit = known[at] == keys
            found[hit] = numbers[at[hit]]
        return found
