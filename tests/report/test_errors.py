"""The surest mistakes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from histoclf import ErrorsDisplay
from histoclf.exceptions import InputContractError
from histoclf.io import save_patches
from tests.tiny import textures, tiny_transfer

X, Y = textures(8)
P = np.array([0.9, 0.6, 0.7, 0.1, 0.2, 0.8, 0.3, 0.45])  # of "fine", every second patch's label
WRONG = [3, 0, 2, 7]  # surest first: 0.9, 0.9, 0.7, 0.55


def test_errors_are_sorted_by_how_sure_they_were():
    display = ErrorsDisplay.from_predictions(X, Y, P, groups=np.arange(8))
    assert sorted(display.rows[:2]) == [0, 3]
    assert display.rows[2:].tolist() == [2, 7]
    assert display.confidences.tolist() == pytest.approx([0.9, 0.9, 0.7, 0.55])
    assert (display.y_true != display.y_pred).all()
    np.testing.assert_array_equal(display.y_true, Y[display.rows])
    np.testing.assert_array_equal(display.images, X[display.rows])
    first = display.axes_.ravel()[2]
    assert first.get_title() == "fine, 0.70\ntruth: coarse\n2, row 2"
    assert display.figure_.get_suptitle() == "4 of 8 patches were misread"


def test_fewer_are_shown_if_fewer_are_wanted():
    display = ErrorsDisplay.from_predictions(X, Y, P, n_errors=3)
    assert len(display.rows) == 3
    assert display.n_wrong == 4
    drawn = display.plot(Figure().subplots(2, 2), n_columns=2)
    assert [ax.axison for ax in drawn.axes_.ravel()] == [True, True, True, False]
    assert drawn.axes_[1, 0].get_title().endswith(f"row {display.rows[2]}")


def test_no_errors_are_said_to_be_none():
    display = ErrorsDisplay.from_predictions(X, Y, (Y == "fine").astype(float))
    assert display.figure_.get_suptitle() == "0 of 8 patches were misread"
    assert display.axes_.shape == (1, 1)
    assert display.plot(Figure().subplots()).axes_[0, 0].get_title() == "nothing was misread"


def test_flattened_images_and_other_units_are_shown_as_images():
    rows = X.reshape(8, -1) / 255.0
    display = ErrorsDisplay.from_predictions(rows, Y, P, image_shape=(16, 16, 3))
    np.testing.assert_array_equal(display.images, X[display.rows])
    with pytest.raises(InputContractError, match="image_shape="):
        ErrorsDisplay.from_predictions(rows, Y, P)


def test_files_are_read_and_their_names_tell_patients(tmp_path):
    patients = ["A", "B"] * 4
    coords = np.arange(16).reshape(8, 2) * 16
    paths = save_patches(X, Y, patients, coords, tmp_path)
    display = ErrorsDisplay.from_predictions(paths, Y, P)
    np.testing.assert_array_equal(display.images, X[display.rows])
    assert display.groups.tolist() == [patients[row] for row in display.rows]


def test_a_classifier_is_asked():
    flipped = np.where(Y == "fine", "coarse", "fine")
    clf = tiny_transfer(image_shape=(16, 16, 3)).fit(X.reshape(8, -1), Y)
    display = ErrorsDisplay.from_estimator(clf, X.reshape(8, -1), flipped)
    assert display.n_wrong == 8
    np.testing.assert_array_equal(display.images, X[display.rows])
    assert (np.diff(display.confidences) <= 0).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="inconsistent numbers"):
        ErrorsDisplay.from_predictions(X[:3], Y, P)
    with pytest.raises(ValueError, match="one patient per sample"):
        ErrorsDisplay.from_predictions(X, Y, P, groups=["A"])
