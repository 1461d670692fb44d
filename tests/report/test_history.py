"""How a training went."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError

from histoclf import HistoCNNClassifier, TrainingHistoryDisplay
from tests.tiny import textures, tiny_cnn, tiny_transfer

X, Y = textures()


@pytest.fixture(scope="module")
def fitted():
    return tiny_cnn(early_stopping=True).fit(X, Y)


def curves(ax):
    return {line.get_label(): line.get_ydata() for line in ax.lines}


def test_every_part_of_the_history_is_drawn(fitted):
    display = TrainingHistoryDisplay.from_estimator(fitted)
    loss, score, rate = display.axes_
    assert curves(loss)["training part"].tolist() == fitted.history_["loss"]
    assert curves(loss)["held-out part"].tolist() == fitted.history_["val_loss"]
    assert curves(score)["held-out part"].tolist() == fitted.history_["val_score"]
    assert curves(rate)["learning rate"].tolist() == fitted.history_["learning_rate"]
    assert curves(loss)["weights that are kept"][0] == 0
    assert loss.lines[-1].get_xdata()[0] == fitted.best_epoch_
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "balanced accuracy", "learning rate"]
    assert display.figure_ is loss.figure


def test_without_a_held_out_part_there_is_less_to_draw():
    display = TrainingHistoryDisplay.from_estimator(tiny_cnn().partial_fit(X, Y, np.unique(Y)))
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "learning rate"]
    assert display.axes_[0].lines[0].get_marker() == "o"  # a line of one point could not be seen
    assert display.axes_[0].get_legend() is None


def test_the_state_before_training_is_epoch_zero():
    history = {"loss": [0.5, 0.4], "val_loss": [0.6, 0.55]}
    display = TrainingHistoryDisplay(history, best_epoch=2, start={"val_loss": 0.7, "val_score": 0.8}).plot()
    held_out = display.axes_[0].lines[1]
    assert held_out.get_xdata().tolist() == [0, 1, 2]
    assert held_out.get_ydata().tolist() == [0.7, 0.6, 0.55]


def test_it_is_drawn_where_it_is_told_to(fitted):
    axes = Figure().subplots(3)
    display = TrainingHistoryDisplay.from_estimator(fitted, ax=axes)
    assert display.axes_.tolist() == axes.tolist()
    np.testing.assert_array_equal(display.plot(ax=axes[0], linewidth=7).axes_[0].lines[0].get_linewidth(), 7)


def test_what_was_not_trained_in_epochs_is_refused():
    with pytest.raises(NotFittedError):
        TrainingHistoryDisplay.from_estimator(HistoCNNClassifier())
    with pytest.raises(ValueError, match=r"no history_ of epochs.*head='mlp'"):
        TrainingHistoryDisplay.from_estimator(tiny_transfer().fit(X, Y))
    with pytest.raises(ValueError, match="DummyClassifier has no history_"):
        TrainingHistoryDisplay.from_estimator(DummyClassifier().fit(X, Y))
