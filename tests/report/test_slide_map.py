"""Patches laid back on their slide."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.dummy import DummyClassifier

from histoclf import SlideMapDisplay

SIDE = 6
COLUMNS, ROWS = np.tile(np.arange(SIDE), SIDE), np.repeat(np.arange(SIDE), SIDE)
COORDS = np.stack([COLUMNS, ROWS], axis=1) * 50.0 + [1, 101]
P = np.linspace(0, 1, SIDE**2)
TWO = {"coords": np.tile(COORDS, (2, 1)), "groups": np.repeat(["s1", "s2"], SIDE**2)}


def picture(ax):
    return ax.images[0].get_array()


def test_patches_lie_where_they_were_cut():
    display = SlideMapDisplay.from_predictions(P, COORDS, patch_size=50)
    shown = picture(display.axes_[0, 0])
    np.testing.assert_allclose(shown, P.reshape(SIDE, SIDE))
    assert display.axes_[0, 0].images[0].get_extent() == [1, 301, 401, 101]
    bottom, top = display.axes_[0, 0].get_ylim()
    assert bottom > top  # y grows downwards, as in images
    assert display.axes_[0, 0].get_aspect() == 1.0


@pytest.mark.parametrize("order", [np.arange(SIDE**2), np.random.default_rng(0).permutation(SIDE**2)])
def test_the_order_of_rows_does_not_matter(order):
    display = SlideMapDisplay.from_predictions(P[order], COORDS[order])
    np.testing.assert_allclose(picture(display.axes_[0, 0]), P.reshape(SIDE, SIDE))


def test_places_without_a_patch_stay_empty():
    kept = np.arange(SIDE**2) != 8
    shown = picture(SlideMapDisplay.from_predictions(P[kept], COORDS[kept]).axes_[0, 0])
    assert shown.mask.ravel().nonzero()[0].tolist() == [8]


def test_the_truth_is_beside_the_answer_of_each_slide():
    truth = np.where(P > 0.7, "malignant", "benign")
    display = SlideMapDisplay.from_predictions(np.tile(P, 2), **TWO, y_true=np.tile(truth, 2))
    titles = [ax.get_title() for ax in display.axes_.ravel()]
    assert titles == ["s1: answer", "s1: truth", "s2: answer", "s2: truth"]
    np.testing.assert_array_equal(picture(display.axes_.ravel()[1]), (P > 0.7).reshape(SIDE, SIDE))
    bar = display.figure_.axes[-1]
    assert bar.get_ylabel() == "probability of malignant"
    assert [tick.get_text() for tick in bar.get_yticklabels()] == ["0: benign", "0.5", "1: malignant"]


def test_slides_are_chosen():
    display = SlideMapDisplay.from_predictions(np.tile(P, 2), **TWO, slides=["s2"])
    assert [ax.get_title() for ax in display.axes_.ravel()] == ["s2: answer"]
    with pytest.raises(ValueError, match=r"slides has \['s3'\].*\['s1', 's2'\]"):
        display.plot(slides=["s1", "s3"])
    many = np.repeat(np.arange(30), 2)
    with pytest.raises(ValueError, match=r"30 slides to draw.*slides=\["):
        SlideMapDisplay.from_predictions(P[:1].repeat(60), np.tile([[0, 0], [1, 0]], (30, 1)), groups=many)


def test_of_several_classes_the_answer_is_shown_or_one_of_them():
    table = np.eye(3)[np.arange(SIDE**2) % 3] * 0.7 + 0.1
    names = np.array(["a", "b", "c"])
    settings = {"classes": names, "y_true": names[np.arange(SIDE**2) % 3]}
    display = SlideMapDisplay.from_predictions(table, COORDS, **settings)
    expected = (np.arange(SIDE**2) % 3).reshape(SIDE, SIDE)
    np.testing.assert_array_equal(picture(display.axes_[0, 0]), expected)
    np.testing.assert_array_equal(picture(display.axes_[0, 1]), expected)
    assert [tick.get_text() for tick in display.figure_.axes[-1].get_yticklabels()] == ["a", "b", "c"]
    one = SlideMapDisplay.from_predictions(table, COORDS, **settings, target="c")
    np.testing.assert_allclose(picture(one.axes_[0, 0]), np.where(expected == 2, 0.8, 0.1))
    np.testing.assert_array_equal(picture(one.axes_[0, 1]), expected == 2)
    assert one.figure_.axes[-1].get_yticklabels()[0].get_text() == "0: not c"
    with pytest.raises(ValueError, match="target='d' is no class"):
        SlideMapDisplay.from_predictions(table, COORDS, **settings, target="d")


def test_names_tell_slides_and_places():
    paths = [
        f"P{x % 2}_idx5_x{x * 50 + 1}_y{y * 50 + 1}_class0.png" for x, y in zip(COLUMNS, ROWS, strict=True)
    ]
    clf = DummyClassifier().fit(np.zeros((4, 1)), [0, 1, 1, 1])
    display = SlideMapDisplay.from_estimator(clf, paths)
    assert [ax.get_title() for ax in display.axes_.ravel()] == ["P0: answer", "P1: answer"]
    assert (picture(display.axes_[0, 0]) == 0.75).all()
    with pytest.raises(ValueError, match="coords=None: the positions are unknown"):
        SlideMapDisplay.from_predictions(P, None)
    with pytest.raises(ValueError, match="groups and coords are unknown"):
        SlideMapDisplay.from_estimator(clf, np.zeros((3, 1)))


def test_it_is_drawn_where_it_is_told_to():
    ax = Figure().subplots(1, 2)
    display = SlideMapDisplay.from_predictions(np.tile(P, 2), **TWO, ax=ax)
    assert display.axes_.ravel().tolist() == ax.tolist()
    recoloured = display.plot(Figure().subplots(1, 2), cmap="cividis").axes_[0, 0]
    assert recoloured.images[0].get_cmap().name == "cividis"


@pytest.mark.parametrize("size", [0, -1, (50, 0)])
def test_a_patch_has_a_size(size):
    with pytest.raises(ValueError, match="expected a positive width"):
        SlideMapDisplay.from_predictions(P, COORDS, patch_size=size)
