import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from histoclf.classifiers._places import Places, canonical_order, find_places
from histoclf.exceptions import SplitError

NAMES = ["9176_idx5_x1_y51_class0.png", "8863_idx5_x51_y1251_class1.png"]
ROWS = np.zeros((2, 3))


def test_names_tell_what_is_not_given():
    places = find_places(NAMES, None, None)
    assert places.groups.tolist() == ["9176", "8863"]
    assert places.coords.tolist() == [[1, 51], [51, 1251]]
    assert find_places(NAMES, ["a", "b"], None).groups.tolist() == ["a", "b"]
    assert find_places(NAMES, None, [[0, 0], [1, 1]]).coords.tolist() == [[0, 0], [1, 1]]


def test_what_is_given_may_be_of_pandas():
    places = find_places(ROWS, pd.Series(["a", "b"], index=[7, 8]), pd.DataFrame({"x": [1, 2], "y": [3, 4]}))
    assert places.coords.tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("X", "groups", "coords", "error", "message"),
    [
        (ROWS, None, None, ValueError, r"groups and coords are unknown\. Expected groups=slides, coords="),
        (ROWS, ["a", "b"], None, ValueError, r"but coords are unknown.*set_predict_proba_request"),
        ([NAMES[0], "b.png"], None, [[0, 0], [1, 1]], ValueError, "but groups are unknown.*or X as paths"),
        (["TCGA-AA-1234.png"], None, None, ValueError, "but coords are unknown"),
        (ROWS, ["a", "b"], [1, 2], ValueError, r"coords has shape \(2,\); expected x and y .* \(2, 2\)"),
        (ROWS, ["a", "b"], [[0, np.nan], [1, 1]], ValueError, "Input coords contains NaN"),
        (ROWS, ["a", None], [[0, 0], [1, 1]], SplitError, r"groups has no patient in 1 rows \(\[1\]\)"),
        (ROWS, ["a"], [[0, 0], [1, 1]], ValueError, "inconsistent numbers of samples"),
    ],
)
def test_what_is_missing_is_said_with_the_ways_out(X, groups, coords, error, message):
    with pytest.raises(error, match=message):
        find_places(X, groups, coords)


def test_slides_stand_together_in_the_canonical_order():
    groups, coords = np.array([2, 10, 2, 10, 2]), np.array([[5, 0], [0, 0], [1, 9], [0, -1], [1, 2]], float)
    places = Places(groups, coords)
    order = canonical_order(np.zeros((5, 1)), places)
    assert order.tolist() == [4, 2, 0, 3, 1]
    assert list(places.take(order).slides()) == [slice(0, 3), slice(3, 5)]


CONTENT = np.array([[3.0, 1.0], [2.0, 9.0], [3.0, 0.0], [2.0, 9.0], [0.0, 0.0], [7.0, 7.0]])


@pytest.mark.parametrize(
    "wrap",
    [
        np.asarray,
        np.ndarray.tolist,
        pd.DataFrame,
        csr_array,
        lambda X: X.astype(np.uint8).reshape(-1, 1, 2, 1),
        lambda X: [f"{row}.png" for row in X],
        lambda X: pd.DataFrame(X).astype(object),
    ],
    ids=["array", "list", "frame", "sparse", "images", "paths", "objects"],
)
def test_patches_at_one_position_are_sorted_by_what_they_hold(wrap):
    coords = np.array([[0, 0]] * 4 + [[0, 1], [0, 0]], float)
    groups = np.array(["a"] * 5 + ["b"])
    sorted_contents = []
    for seed in range(4):
        rows = np.random.default_rng(seed).permutation(6)
        order = canonical_order(wrap(CONTENT[rows]), Places(groups[rows], coords[rows]))
        sorted_contents.append(CONTENT[rows][order].tolist())
    assert sorted_contents == [sorted_contents[0]] * 4
    assert sorted_contents[0][4:] == [[0, 0], [7, 7]]
