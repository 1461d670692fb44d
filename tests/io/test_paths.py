"""Paths are told from pixels, and a mixed bag from both."""

from pathlib import Path

import numpy as np
import pytest

from histoclf.exceptions import InputContractError
from histoclf.io import as_paths

AB = ["a.png", "b.png"]


@pytest.mark.parametrize(
    "X",
    [
        AB,
        tuple(AB),
        [Path("a.png"), "b.png"],
        np.array(AB),
        np.array(AB, dtype=object),
        np.array(AB, dtype=np.dtypes.StringDType()),
        np.array(AB)[:, np.newaxis],
        [["a.png"], ["b.png"]],
        np.array([Path("a.png"), Path("b.png")]),
    ],
)
def test_columns_of_paths_are_recognised(X):
    paths = as_paths(X)
    assert paths.shape == (2,)
    assert paths.dtype == object
    assert paths.tolist() == AB
    assert all(type(path) is str for path in paths.tolist())


def test_pandas_columns_are_recognised():
    pandas = pytest.importorskip("pandas")
    assert as_paths(pandas.Series(AB, index=[7, 3])).tolist() == AB
    assert as_paths(pandas.Series(AB, dtype="category")).tolist() == AB
    assert as_paths(pandas.DataFrame({"path": AB})).tolist() == AB
    assert as_paths(pandas.DataFrame({"x": [1.0, 2.0]})) is None


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((2, 4)),
        np.zeros((2, 8, 8, 3), dtype=np.uint8),
        np.array([[0.1, 0.2]], dtype=object),
        [[1, 2], [3, 4]],
        [[1], [2, 3]],
        [np.zeros((4, 4, 3)), np.zeros((5, 5, 3))],
        [np.zeros(3), np.zeros(3)],
        [1, 2],
        [],
        None,
        7,
        np.array(3.0),
    ],
)
def test_other_things_are_no_paths(X):
    assert as_paths(X) is None


@pytest.mark.parametrize("X", ["a.png", Path("a.png")])
def test_a_single_path_gets_the_cure(X):
    with pytest.raises(
        InputContractError, match=r"single path 'a\.png', expected a list of paths: pass \[path\]"
    ):
        as_paths(X)


def test_a_mixture_is_named_row_by_row():
    with pytest.raises(
        InputContractError, match=r"mixes image paths with 2 other values \(row 1: 3, row 2: nan\)"
    ):
        as_paths(["a.png", 3, float("nan")])
    with pytest.raises(InputContractError, match=r"12 other values .*row 10: 10, \.\.\.\)"):
        as_paths(["a.png", *range(1, 13)])


def test_several_columns_are_refused():
    with pytest.raises(InputContractError, match=r"shape \(2, 2\); expected one column"):
        as_paths(np.array([AB, AB]))
