"""Learning rates, step by step."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from histoclf.networks._callbacks import CosineSchedule, RateLog, Validation, learning_rate_callbacks


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def plan(schedule, early_stopping=False):
    return SimpleNamespace(
        schedule=schedule, learning_rate=0.1, early_stopping=early_stopping, patience=8, min_delta=1e-4
    )


def rates(callback, model, n_steps):
    callback.set_model(model)
    found = []
    for step in range(n_steps):
        callback.on_train_batch_begin(step)
        found.append(float(model.optimizer.learning_rate.numpy()))
    return np.array(found)


def test_cosine_warms_up_and_falls_to_zero(model):
    found = rates(CosineSchedule(0.1, 100), model, 100)
    np.testing.assert_allclose(found[:5], 0.1 * np.arange(1, 6) / 5, rtol=1e-5)
    done = np.arange(1, 96) / 95
    np.testing.assert_allclose(found[5:], 0.05 * (1 + np.cos(np.pi * done)), atol=1e-7)
    assert found.argmax() == 4
    assert found[-1] == pytest.approx(0.0, abs=1e-7)


def test_cosine_stays_at_zero_past_its_end(model):
    assert rates(CosineSchedule(0.1, 4), model, 6)[-1] == pytest.approx(0.0, abs=1e-7)


def test_each_schedule_has_its_callback():
    assert learning_rate_callbacks(plan("constant"), 10) == []
    assert isinstance(learning_rate_callbacks(plan("cosine"), 10)[0], CosineSchedule)


@pytest.mark.parametrize(("early_stopping", "monitor"), [(True, "val_loss"), (False, "loss")])
def test_plateau_watches_what_there_is_and_loses_patience_first(early_stopping, monitor):
    (callback,) = learning_rate_callbacks(plan("plateau", early_stopping), 10)
    assert callback.monitor == monitor
    assert callback.patience == 4


def test_plateau_lowers_the_rate_when_the_loss_stands_still(model):
    (callback,) = learning_rate_callbacks(plan("plateau"), 10)
    callback.set_model(model)
    model.optimizer.learning_rate.assign(0.1)
    callback.on_train_begin()
    for epoch in range(6):
        callback.on_epoch_end(epoch, {"loss": 1.0})
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.01)


def test_logs_get_the_rate_and_the_held_out_part(model):
    logs = {}
    log = RateLog()
    log.set_model(model)
    log.on_epoch_end(0, logs)
    Validation(lambda: {"val_loss": 0.5}).on_epoch_end(0, logs)
    assert logs == {"learning_rate": pytest.approx(0.01), "val_loss": 0.5}
