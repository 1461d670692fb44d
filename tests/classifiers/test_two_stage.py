"""The stages that train: the head with a hidden layer, and the last layers of the backbone."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.metrics import balanced_accuracy_score, log_loss

from histoclf.classifiers._two_stage import Embedded
from histoclf.networks._cache import clear_memory
from histoclf.networks._layers import ToPixels
from tests.tiny import textures, tiny_backbone, tiny_embedder, tiny_transfer

X, y = textures()
X_NEW, Y_NEW = textures(seed=1)
PATIENTS = np.arange(64) // 8

short = pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")

MLP = {"head": "mlp", "epochs": 20, "batch_size": 8, "hidden_units": 64, "tol": 0.0}
TUNED = {"fine_tune_layers": 2, "epochs": 6, "learning_rate": 0.003, "batch_size": 16}
TOO_FAST = TUNED | {"epochs": 2, "learning_rate": 10.0}


@pytest.fixture(scope="module")
def mlp():
    return tiny_transfer(**MLP).fit(X, y, groups=PATIENTS)


@pytest.fixture(scope="module")
def tuned():
    clf = tiny_transfer(**TUNED).fit(X, y, groups=PATIENTS)
    assert clf.fine_tuned_
    return clf


def check_held_out(clf):
    """Whole patients, and both classes on either side."""
    held_out = clf.validation_indices_
    assert 0 < len(held_out) < 32
    assert not set(PATIENTS[held_out]) & set(np.delete(PATIENTS, held_out))


# --- many embeddings ---------------------------------------------------------------------------------------


def test_embeddings_that_lie_in_files_give_the_same_head():
    answers = []
    for budget in (1024, 0):
        clear_memory()
        with config_context(working_memory=budget):
            clf = tiny_transfer().fit(X, y)
            answers.append(clf.predict_proba(X_NEW))
            assert isinstance(
                clf._take_in(clf._open(X, resume=False)[1], "raise").pixels.embeddings, np.memmap
            ) == (budget == 0)
    np.testing.assert_array_equal(*answers)


def test_all_embeddings_are_not_copied():
    embedded = Embedded(np.zeros((4, 3), dtype="float32"), None, np.arange(4))
    assert embedded.some(np.arange(4)) is embedded.embeddings
    embedded.embeddings[:, 0] = range(4)
    for rows in ([1, 2], [3, 2, 1, 0]):
        assert embedded.some(np.array(rows))[:, 0].tolist() == rows


# --- a hidden layer ----------------------------------------------------------------------------------------


def test_a_hidden_layer_learns(mlp):
    assert mlp.score(X_NEW, Y_NEW) > 0.85
    assert mlp.history_["val_loss"][-1] < mlp.history_["val_loss"][0]
    assert mlp.history_.keys() == {"loss", "learning_rate", "val_loss", "val_score"}
    with pytest.raises(AttributeError, match="coef_ is there for a logistic regression on a frozen backbone"):
        mlp.coef_  # noqa: B018


def test_a_hidden_layer_stops_early_by_patient(mlp):
    check_held_out(mlp)
    assert mlp.groups_source_ == "groups"
    rows, losses = mlp.validation_indices_, mlp.history_["val_loss"]
    assert mlp.best_epoch_ == np.argmin(losses) + 1
    found = log_loss(y[rows], mlp.predict_proba(X[rows]))
    assert found == pytest.approx(losses[mlp.best_epoch_ - 1], rel=1e-4)
    score = balanced_accuracy_score(y[rows], mlp.predict(X[rows]))
    assert score == pytest.approx(mlp.history_["val_score"][mlp.best_epoch_ - 1])


@short
def test_without_early_stopping_nothing_is_held_out():
    clf = tiny_transfer(**MLP | {"epochs": 3}, early_stopping=False).fit(X, y, groups=PATIENTS)
    assert clf.validation_indices_.size == 0
    assert clf.n_iter_ == clf.best_epoch_ == 3
    assert clf.history_.keys() == {"loss", "learning_rate"}


@short
def test_ready_made_embeddings_are_the_same_to_a_hidden_layer():
    embeddings, params = tiny_embedder().fit_transform(X), MLP | {"epochs": 3}
    found = tiny_transfer(**params).fit(embeddings, y).predict_proba(embeddings)
    np.testing.assert_array_equal(found, tiny_transfer(**params).fit(X, y).predict_proba(X))


@short
def test_a_hidden_layer_is_seeded():
    params = MLP | {"epochs": 3}
    first, again, other = (
        tiny_transfer(**params, random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@short
def test_weights_push_the_answers_of_a_hidden_layer():
    params = MLP | {"epochs": 5}
    means = [
        tiny_transfer(**params, class_weight={"fine": weight}).fit(X, y).predict_proba(X)[:, 1].mean()
        for weight in (0.1, 1.0, 10.0)
    ]
    assert means == sorted(means)


@short
def test_a_warm_start_may_change_the_head():
    clf = tiny_transfer(warm_start=True).fit(X, y)
    expected = tiny_transfer(**MLP | {"epochs": 3}).fit(X, y)
    clf.set_params(**MLP | {"epochs": 3}).fit(X, y)
    assert clf.history_["loss"]
    assert not hasattr(clf, "coef_")
    assert clf.predict_proba(X).shape == expected.predict_proba(X).shape
    clf.set_params(head="logistic").fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), tiny_transfer().fit(X, y).predict_proba(X))


# --- fine-tuning -------------------------------------------------------------------------------------------


def test_fine_tuning_starts_exactly_at_the_frozen_solution(tuned):
    check_held_out(tuned)
    rows = tuned.validation_indices_
    frozen = tiny_transfer().fit(np.delete(X, rows, axis=0), np.delete(y, rows))
    expected = log_loss(y[rows], frozen.predict_proba(X[rows]))
    assert tuned.start_score_["val_loss"] == pytest.approx(expected, rel=1e-4)
    score = balanced_accuracy_score(y[rows], frozen.predict(X[rows]))
    assert tuned.start_score_["val_score"] == pytest.approx(score)


def test_fine_tuning_keeps_the_best_epoch_which_is_better_than_frozen(tuned):
    rows, losses = tuned.validation_indices_, tuned.history_["val_loss"]
    assert tuned.best_epoch_ >= 1
    assert losses[tuned.best_epoch_ - 1] < tuned.start_score_["val_loss"]
    found = log_loss(y[rows], tuned.predict_proba(X[rows]))
    assert found == pytest.approx(losses[tuned.best_epoch_ - 1], rel=1e-4)
    assert tuned.n_iter_ == len(losses)
    assert tuned.score(X_NEW, Y_NEW) > 0.9
    with pytest.raises(AttributeError, match="intercept_"):
        tuned.intercept_  # noqa: B018


def changed_parts(clf):
    """Which variables of the backbone differ from where they started."""
    network = clf.model_.get_layer("backbone").network
    pairs = zip(network.weights, tiny_backbone().get_weights(), strict=True)
    return [after.path.rpartition("/")[2] for after, before in pairs if not np.array_equal(after, before)]


@short
@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (1, ["kernel", "bias"]),
        (0.5, ["kernel", "bias"]),
        (2, ["kernel", "bias", "gamma", "beta", "kernel", "bias"]),
        ("all", ["kernel", "bias", "gamma", "beta", "kernel", "bias"]),
    ],
)
def test_the_last_layers_learn_and_batch_statistics_stay(layers, expected):
    params = TUNED | {"fine_tune_layers": layers, "epochs": 2}
    clf = tiny_transfer(**params, early_stopping=False).fit(X, y)
    assert changed_parts(clf) == expected


def test_more_layers_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="fine_tune_layers=3, but backbone tiny has 2 layers"):
        tiny_transfer(fine_tune_layers=3).fit(X, y)


def test_fine_tuning_needs_images():
    with pytest.raises(ValueError, match="fine_tune_layers='all' needs images and a Keras backbone"):
        tiny_transfer(fine_tune_layers="all").fit(tiny_embedder().fit_transform(X), y)


def test_what_did_not_help_is_dropped_and_the_head_solved_on_all_data(capsys):
    clf = tiny_transfer(**TOO_FAST, verbose=1).fit(X, y, groups=PATIENTS)
    assert not clf.fine_tuned_
    assert clf.best_epoch_ == 0
    check_held_out(clf)
    assert min(clf.history_["val_loss"]) > clf.start_score_["val_loss"]
    assert "fine-tuning did not improve the held-out loss: the backbone stays" in capsys.readouterr().out
    frozen = tiny_transfer().fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), frozen.predict_proba(X))
    np.testing.assert_array_equal(clf.coef_, frozen.coef_)


@short
def test_a_hidden_layer_that_was_not_improved_stays_too():
    clf = tiny_transfer(**MLP | TOO_FAST).fit(X, y, groups=PATIENTS)
    assert not clf.fine_tuned_
    rows = clf.validation_indices_
    found = log_loss(y[rows], clf.predict_proba(X[rows]))
    assert found == pytest.approx(clf.start_score_["val_loss"], rel=1e-4)


def test_without_early_stopping_the_last_epoch_is_kept():
    clf = tiny_transfer(**TUNED, early_stopping=False).fit(X, y)
    assert clf.fine_tuned_
    assert clf.validation_indices_.size == 0
    assert not hasattr(clf, "start_score_")
    assert clf.best_epoch_ == clf.n_iter_ == 6


def test_fine_tuning_from_files_is_the_same(tuned, tmp_path):
    from histoclf.io import save_patches

    paths = save_patches(X, y, np.array([f"P{patient}" for patient in PATIENTS]), None, tmp_path)
    clf = tiny_transfer(**TUNED).fit(paths, y)
    assert clf.groups_source_ == "IDC file names"
    np.testing.assert_array_equal(clf.predict_proba(paths), tuned.predict_proba(X))


def test_fine_tuning_is_seeded_augmentation_and_dropout_too(tuned):
    params = TUNED | {"augmentation": "standard", "dropout": 0.5, "epochs": 2, "early_stopping": False}
    first, again, other = (
        tiny_transfer(**params, random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(
        tiny_transfer(**TUNED).fit(X, y, groups=PATIENTS).predict_proba(X), tuned.predict_proba(X)
    )


def test_the_tuned_model_works_by_itself(tuned):
    found = tuned.model_.predict_on_batch(X.astype("float32"))
    np.testing.assert_allclose(found, tuned.predict_proba(X), atol=1e-4)


def test_test_time_augmentation_of_a_tuned_network_is_a_mean_over_views(tuned):
    clf = tiny_transfer(**TUNED).fit(X, y, groups=PATIENTS).set_params(test_time_augmentation=True)
    found = clf.predict_proba(X_NEW)
    np.testing.assert_allclose(clf.predict_proba(X_NEW[:, ::-1]), found, atol=1e-5)
    assert np.abs(found - tuned.predict_proba(X_NEW)).max() > 1e-3


def test_set_params_after_fit_does_not_change_predictions():
    clf = tiny_transfer(**TUNED).fit(X, y, groups=PATIENTS)
    before = clf.predict_proba(X)
    clf.set_params(fine_tune_layers=0, pooling="max", hidden_units=5, head="mlp", dropout=0.9, C=7.0)
    clf.set_params(augmentation="strong", weights=None, backbone="resnet50", image_size=99, engine="auto")
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_a_warm_start_goes_on_from_the_tuned_weights():
    params = TUNED | {"epochs": 2, "early_stopping": False}
    cold = tiny_transfer(**params).fit(X, y)
    clf = tiny_transfer(**params, warm_start=True).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), cold.predict_proba(X))
    for _ in range(3):
        clf.fit(X, y)
    assert clf.fine_tuned_
    assert clf.history_["loss"][-1] < 0.7 * cold.history_["loss"][-1]
    assert log_loss(Y_NEW, clf.predict_proba(X_NEW)) < log_loss(Y_NEW, cold.predict_proba(X_NEW))


def test_a_warm_start_that_does_not_help_changes_nothing(tuned):
    clf = tiny_transfer(**TUNED, warm_start=True).fit(X, y, groups=PATIENTS)
    clf.set_params(learning_rate=10.0, epochs=2).fit(X, y, groups=PATIENTS)
    np.testing.assert_array_equal(clf.predict_proba(X), tuned.predict_proba(X))
    assert clf.fine_tuned_


def test_a_frozen_start_may_be_fine_tuned_later(tuned):
    clf = tiny_transfer(warm_start=True).fit(X, y, groups=PATIENTS)
    clf.set_params(**TUNED).fit(X, y, groups=PATIENTS)
    assert clf.fine_tuned_
    assert clf.score(X_NEW, Y_NEW) > 0.9


def test_a_fit_after_another_is_the_fit_alone(tuned):
    """What an earlier fit learned is gone, tuned weights first of all."""
    clf = tiny_transfer(**TUNED).fit(X[:, ::-1], y, groups=PATIENTS)
    clf.fit(X, y, groups=PATIENTS)
    np.testing.assert_array_equal(clf.predict_proba(X), tuned.predict_proba(X))
    clf.set_params(fine_tune_layers=0).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), tiny_transfer().fit(X, y).predict_proba(X))


def test_a_diverging_fit_is_an_error():
    with pytest.raises(FloatingPointError, match=r"training diverged.*now 1e\+30"):
        tiny_transfer(**TUNED | {"learning_rate": 1e30}).fit(X, y)


def test_a_second_fit_builds_and_traces_nothing(monkeypatch):
    params = TUNED | {"epochs": 2, "augmentation": "flips"}
    tiny_transfer(**params).fit(X, y).predict(X)
    clear_memory()  # so that the frozen backbone runs again as well
    traces, original = [], ToPixels.call

    def counting(layer, images):
        traces.append(layer.name)
        return original(layer, images)

    monkeypatch.setattr(ToPixels, "call", counting)
    tiny_transfer(**params, random_state=1, weight_decay=0.01, C=0.5).fit(X, y).predict(X)
    assert traces == []
    tiny_transfer(**params | {"image_size": 17}).fit(X, y)
    assert traces
