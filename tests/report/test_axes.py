"""Where displays draw: a new figure, or what they are given; and nothing global changes."""

import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from histoclf import PatientLearningCurveDisplay, PatientScoresDisplay
from histoclf.exceptions import MissingDependencyError
from histoclf.report._axes import hide_unused, make_axes, show_image


def test_none_is_a_new_figure_that_pyplot_knows():
    axes = make_axes(None, (2, 3), (1.0, 2.0))
    assert axes.shape == (2, 3)
    assert axes[0, 0].figure is pyplot.gcf()
    assert axes[0, 0].figure.get_size_inches().tolist() == [3.0, 4.0]


def test_one_axes_is_used_for_one_panel_and_pyplot_is_left_alone():
    ax = Figure().subplots()
    assert make_axes(ax, (1, 1), (1, 1))[0, 0] is ax
    assert pyplot.get_fignums() == []


def test_one_axes_makes_room_for_many():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    axes = make_axes(right, (2, 2), (1, 1))
    assert len(figure.axes) == 6
    assert not right.axison
    middle = left.get_position().x1
    assert all(ax.get_position().x0 > middle for ax in axes.ravel())


def test_an_array_of_axes_is_used_as_it_is():
    given = Figure().subplots(2, 2)
    assert make_axes(given, (1, 4), (1, 1))[0].tolist() == given.ravel().tolist()
    with pytest.raises(ValueError, match=r"ax holds 4 axes; expected 2 x 3, or one"):
        make_axes(given, (2, 3), (1, 1))


def test_axes_without_a_place_in_a_grid_cannot_be_divided():
    with pytest.raises(ValueError, match="no place in a grid that could be divided into 2 x 1"):
        make_axes(Figure().add_axes((0, 0, 1, 1)), (2, 1), (1, 1))


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    display = PatientLearningCurveDisplay([1, 2], [0.5, 0.6])
    with pytest.raises(MissingDependencyError, match=r"'matplotlib'.*pip install 'histoclf\[report\]'"):
        display.plot()
    with pytest.raises(MissingDependencyError, match="'matplotlib'"):
        PatientScoresDisplay.from_predictions([0, 1], [0.1, 0.9], ["a", "b"])


def test_no_global_setting_is_changed():
    before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    PatientLearningCurveDisplay([1, 2], [0.5, 0.6]).plot()
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.get_backend() == backend


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_shown_as_they_are(channels):
    ax = Figure().subplots()
    image = np.linspace(-3, 260, 4 * 5 * channels).reshape(4, 5, channels)
    show_image(ax, image, "title")
    (shown,) = ax.images
    expected = np.clip(np.rint(image), 0, 255)
    np.testing.assert_array_equal(shown.get_array(), np.broadcast_to(expected, (4, 5, 3)))
    assert ax.get_title() == "title"


def test_panels_that_are_too_many_stay_blank():
    axes = make_axes(None, (2, 2), (1, 1))
    hide_unused(axes, 3)
    assert [ax.axison for ax in axes.ravel()] == [True, True, True, False]
