"""The feed and the loop."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from histoclf.networks._engine import Engine
from histoclf.networks._training import PatchFeed, TrainingPlan, train
from tests.networks.test_architectures import SPEC
from tests.tiny import textures

IMAGES, LABELS = textures()
CODES = (LABELS == "fine").astype(int)
PLAN = TrainingPlan(
    epochs=3,
    batch_size=8,
    optimizer="adam",
    learning_rate=0.01,
    weight_decay=0.0,
    schedule="constant",
    early_stopping=False,
    patience=1,
    min_delta=0.0,
    verbose=0,
)


@pytest.fixture(scope="module")
def engine():
    engine = Engine(SPEC)
    engine.compile("adam", 0.0)
    return engine


def feed(rows, batch_size=8, seed=0):
    weights = np.arange(len(IMAGES), dtype="float32")
    return PatchFeed(IMAGES, CODES, weights, np.asarray(rows), batch_size, np.random.default_rng(seed))


def run(engine, plan=PLAN, evaluate=None, rows=range(64)):
    engine.model.set_weights(engine.initial_weights(np.random.default_rng(0)))
    engine.reset_training(np.random.default_rng(0), None)
    return train(engine, feed(rows), plan, evaluate)


def test_images_targets_and_weights_of_a_batch_belong_together():
    for batch in (feed([3, 10, 40, 41, 62], batch_size=2)[i] for i in range(3)):
        images, targets, weights = batch
        rows = weights.astype(int)
        np.testing.assert_array_equal(images, IMAGES[rows])
        np.testing.assert_array_equal(targets, CODES[rows])


@pytest.mark.parametrize(("n", "sizes"), [(16, [8, 8]), (17, [6, 6, 5]), (3, [3]), (8, [8])])
def test_batches_are_of_even_size(n, sizes):
    made = feed(range(n))
    assert [len(made[batch][1]) for batch in range(len(made))] == sizes


def test_an_epoch_has_every_row_once_in_an_order_of_its_own():
    made = feed(range(20, 60))
    epochs = []
    for _ in range(2):
        epochs.append(np.concatenate([made[batch][2] for batch in range(len(made))]).astype(int))
        made.shuffle()
    for epoch in epochs:
        assert sorted(epoch) == list(range(20, 60))
    assert not np.array_equal(*epochs)


def test_the_data_set_has_the_batches_of_the_feed_in_their_order():
    made = feed(range(20, 41))
    batches = made.to_dataset()
    assert [tuple(kind.shape) for kind in batches.element_spec] == [(None, 16, 16, 3), (None,), (None,)]
    for _ in range(2):
        found = list(batches.as_numpy_iterator())
        assert len(found) == len(made)
        for batch, arrays in enumerate(found):
            for a, b in zip(arrays, made[batch], strict=True):
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype
        made.shuffle()


def test_training_goes_through_every_row_once_an_epoch(engine, monkeypatch):
    read, seen = PatchFeed.__getitem__, []

    def remember(self, batch):
        arrays = read(self, batch)
        seen.append(arrays[2].astype(int))
        return arrays

    monkeypatch.setattr(PatchFeed, "__getitem__", remember)
    run(engine, rows=range(24))
    epochs = np.concatenate(seen).reshape(3, 24)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), [range(24)] * 3)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_history_has_one_entry_an_epoch(engine):
    result = run(engine)
    assert result.history.keys() == {"loss", "learning_rate"}
    assert [len(values) for values in result.history.values()] == [3, 3]
    assert result.history["learning_rate"] == pytest.approx([0.01] * 3)
    assert result.best_epoch == 3


def test_the_last_weights_are_returned(engine):
    result = run(engine)
    for a, b in zip(result.weights, engine.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("losses", "n_epochs", "best"),
    [([3.0, 1.0, 2.0, 2.0], 3, 2), ([3.0, 2.0, 1.0], 3, 3), ([1.0, 2.0, 3.0], 2, 1)],
    ids=["stopped early", "to the end", "the first is the best"],
)
def test_early_stopping_returns_the_best_weights(engine, losses, n_epochs, best):
    seen = []

    def evaluate():
        seen.append(engine.model.get_weights())
        return {"val_loss": losses[len(seen) - 1]}

    result = run(engine, replace(PLAN, early_stopping=True), evaluate)
    assert len(seen) == n_epochs
    assert result.best_epoch == best
    assert result.history["val_loss"] == losses[:n_epochs]
    for a, b in zip(result.weights, seen[best - 1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_nan_is_an_error_that_names_the_rate(engine):
    with pytest.raises(
        FloatingPointError, match=r"became nan in epoch 1.*lower learning_rate \(now 1e\+30\)"
    ):
        run(engine, replace(PLAN, learning_rate=1e30))


def test_a_run_leaves_keras_classes_as_they_were(engine):
    run(engine)
    for cls in (keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer):
        assert "scikeras" not in (getattr(cls.__reduce__, "__module__", None) or "")
        assert "__deepcopy__" not in vars(cls)


def test_progress_is_shown_on_request_only(engine, capsys):
    run(engine)
    assert capsys.readouterr() == ("", "")
    run(engine, replace(PLAN, verbose=1))
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "loss" in shown
