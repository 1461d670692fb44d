"""The numbers by which early stopping decides."""

import numpy as np
import pytest

from histoclf.classifiers._base import TrainingData
from histoclf.classifiers._held_out import make_evaluator


class FixedLogits:
    """An engine that answers class 0, twice as likely as class 1, whatever it sees."""

    def predict(self, images, rows):
        return np.tile(np.log([2.0, 1.0]), (len(rows), 1))


def data(weights, validation=(1, 2, 3)):
    codes = np.array([1, 0, 0, 1])
    rows = np.array(validation, dtype=int)
    return TrainingData(np.zeros((4, 2, 2, 3)), codes, np.asarray(weights), np.array([0]), rows, None)


def test_without_a_held_out_part_there_is_nothing_to_compute():
    assert make_evaluator(FixedLogits(), data(np.ones(4), validation=())) is None


def test_the_loss_is_weighted_and_the_score_is_balanced():
    found = make_evaluator(FixedLogits(), data([9.0, 1.0, 1.0, 2.0]))()
    assert found["val_loss"] == pytest.approx((2 * np.log(3 / 2) + 2 * np.log(3)) / 4)
    assert found["val_score"] == pytest.approx(0.5)


def test_without_any_weight_every_row_counts_the_same():
    found = make_evaluator(FixedLogits(), data([1.0, 0.0, 0.0, 0.0]))()
    assert found["val_loss"] == pytest.approx((2 * np.log(3 / 2) + np.log(3)) / 3)
