"""Labels and weights on their way into a fit."""

import numpy as np
import pytest

from histoclf.classifiers._labels import check_labels, combine_weights, encode_labels
from histoclf.exceptions import LabelError


@pytest.mark.parametrize("y", [["a", "b"], [True, False], [3, 1], np.array(["a", "b"], dtype=object)])
def test_every_kind_of_label_passes(y):
    assert check_labels(y).tolist() == list(y)


def test_none_is_no_labels():
    with pytest.raises(ValueError, match="requires y to be passed"):
        check_labels(None)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels_are_counted_and_located(missing):
    y = np.array(["a", missing, "b", missing], dtype=object)
    with pytest.raises(LabelError, match=r"2 labels are missing \(rows \[1, 3\]\).*on_unknown='drop'"):
        check_labels(y)


def test_nan_among_numbers_is_missing():
    with pytest.raises(ValueError, match="Input y contains NaN"):
        check_labels([0.0, np.nan, 1.0])


def test_numbers_that_are_no_classes_are_refused():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        check_labels([0.5, 0.7])


def test_labels_become_class_numbers():
    assert encode_labels(np.array(["b", "a"]), np.array(["a", "b"])).tolist() == [1, 0]


def test_unknown_labels_are_listed_beside_the_known():
    with pytest.raises(LabelError, match=r"did not see: \['Benign', 'M'\].*only \['benign'\].*spelling"):
        encode_labels(np.array(["Benign", "M", "benign"]), np.array(["benign"]))


def test_class_weights_come_from_the_training_part_only():
    y = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1])
    weights = combine_weights("balanced", y, np.array([0, 1]), np.ones(9), rows=np.arange(4))
    np.testing.assert_allclose(weights[:4].sum(), 4)
    assert weights[0] * 3 == pytest.approx(weights[3])  # 3 of class 0 and 1 of class 1 in the training part
    assert np.unique(weights[y == 1]).size == 1


def test_balance_is_between_sums_of_sample_weights():
    y = np.array(["a", "b", "b"])
    given = np.array([6.0, 1.0, 2.0])
    weights = combine_weights("balanced", y, np.array(["a", "b"]), given, np.arange(3))
    assert weights[y == "a"].sum() == pytest.approx(weights[y == "b"].sum())
    assert weights[2] == pytest.approx(2 * weights[1])


def test_sample_and_class_weights_multiply():
    given = np.array([1.0, 2.0, 3.0])
    y, classes = np.array(["a", "a", "b"]), np.array(["a", "b"])
    weights = combine_weights({"a": 2.0, "b": 1.0}, y, classes, given, np.arange(3))
    assert weights.tolist() == [2.0, 4.0, 3.0]
    assert given.tolist() == [1.0, 2.0, 3.0]


def test_weights_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="no training sample with a positive weight"):
        combine_weights(None, np.array([0, 1]), np.array([0, 1]), np.zeros(2), np.arange(2))


def test_labels_that_look_like_numbers_have_weights_of_their_own():
    y = np.array(["0", "1", "1"])
    weights = combine_weights({"0": 4.0}, y, np.unique(y), np.ones(3), np.arange(3))
    assert weights.tolist() == [4.0, 1.0, 1.0]


def test_a_weight_for_a_label_that_does_not_occur_is_refused():
    y = np.array(["0", "1"])
    with pytest.raises(LabelError, match=r"weights for \[0\], which are no labels.*numbers or strings"):
        combine_weights({0: 2.0}, y, y, np.ones(2), np.arange(2))
