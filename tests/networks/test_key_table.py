"""A table finds what was added to it, however it was added."""

import numpy as np
import pytest

from histoclf.io._fingerprint import pack_keys
from histoclf.networks._key_table import KeyTable


def packed(numbers):
    """Keys that begin and end with zeros, the hard cases for NumPy."""
    return pack_keys([b"\0" + int(number).to_bytes(14, "little") + b"\0" for number in numbers])


@pytest.mark.parametrize("sizes", [[300], [1] * 300, [100, 1, 1, 50, 148], [1, 9, 90, 200]])
def test_all_that_was_added_is_found_and_nothing_else(sizes):
    numbers = np.random.RandomState(0).permutation(600)
    added, others = numbers[:300], numbers[300:]
    table = KeyTable()
    for part in np.split(added, np.cumsum(sizes)[:-1]):
        table.add(packed(part), 2**32 * part)
    assert len(table) == 300
    assert table.find(packed(added)).tolist() == (2**32 * added).tolist()
    assert set(table.find(packed(others)).tolist()) == {-1}


def test_few_parts_have_to_be_searched():
    table = KeyTable()
    for number in range(1000):
        table.add(packed([number]), np.array([number]))
        assert len(table._parts) <= 1 + np.log2(len(table))


def test_an_empty_table_and_empty_questions_are_fine():
    table = KeyTable()
    assert len(table) == 0
    assert table.find(packed([1])).tolist() == [-1]
    assert table.find(packed([])).tolist() == []
    table.add(packed([]), np.arange(0))
    table.add(packed([1]), np.array([7]))
    assert table.find(packed([1, 2])).tolist() == [7, -1]
