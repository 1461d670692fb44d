"""What more patients would bring."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from histoclf import PatientLearningCurveDisplay

SCORES = np.array([[0.8, 0.9], [0.6, np.nan]])


def test_means_lie_by_size_and_single_repeats_around_them():
    ax = Figure().subplots()
    display = PatientLearningCurveDisplay([9, 3], SCORES, train_scores=1 - SCORES).plot(ax, linewidth=3)
    test, train = display.ax_.lines
    assert test.get_xdata().tolist() == train.get_xdata().tolist() == [3, 9]
    np.testing.assert_allclose(test.get_ydata(), [0.6, 0.85])
    np.testing.assert_allclose(train.get_ydata(), [0.4, 0.15])
    dots = display.ax_.collections[0].get_offsets()
    assert sorted(map(tuple, dots.tolist())) == [(3, 0.6), (9, 0.8), (9, 0.9)]
    assert test.get_linewidth() == 3
    assert display.figure_ is ax.figure


def test_patches_are_written_above_and_the_reference_is_named():
    display = PatientLearningCurveDisplay(
        [3, 9], [0.6, 0.8], n_patches=[1200, 3600.4], reference=0.5, reference_name="chance"
    ).plot()
    (above,) = display.ax_.child_axes
    assert [tick.get_text() for tick in above.get_xticklabels()] == ["1,200", "3,600"]
    assert display.ax_.get_legend_handles_labels()[1] == ["unseen patients", "chance"]
    assert not display.ax_.collections  # a single repeat has no spread


def test_scores_must_fit_the_sizes():
    with pytest.raises(ValueError, match="train_scores has 3 rows, but n_patients has 2"):
        PatientLearningCurveDisplay([3, 9], SCORES, train_scores=[1, 1, 1]).plot()
