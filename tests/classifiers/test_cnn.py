"""What HistoCNNClassifier learns, and how."""

import copy
import os
import random
import subprocess
import sys
import warnings

import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import balanced_accuracy_score, log_loss
from tensorflow.python.framework import config as tf_config

from histoclf import Augmentation
from histoclf.exceptions import CollapsedModelWarning, LabelError, ModelFileError, SplitError
from tests.tiny import textures, tiny_cnn

X, y = textures()
X_NEW, Y_NEW = textures(seed=1)

short = pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")


@pytest.fixture(scope="module")
def fitted():
    return tiny_cnn().fit(X, y)


@pytest.fixture(scope="module")
def stopped():
    """With a validation part."""
    return tiny_cnn(early_stopping=True, epochs=6, random_state=1).fit(X, y)


# --- learning ----------------------------------------------------------------------------------------------


def test_it_learns_without_an_alarm(fitted):
    assert fitted.score(X_NEW, Y_NEW) > 0.95
    assert fitted.classes_.tolist() == ["coarse", "fine"]


def test_it_learns_with_a_validation_part_and_augmentation():
    augmentation = Augmentation(brightness=0.1, contrast=0.1, stain=0.05)
    clf = tiny_cnn(early_stopping=True, augmentation=augmentation, epochs=8).fit(X, y)
    assert clf.score(X_NEW, Y_NEW) > 0.9


@pytest.mark.parametrize("labels", [np.where(y == "fine", 7, -2), y == "fine", y.astype(object)])
def test_any_type_of_label_is_learned_and_predicted(labels):
    clf = tiny_cnn().fit(X, labels)
    assert clf.predict(X).dtype == labels.dtype
    assert np.mean(clf.predict(X) == labels) > 0.9


@short
def test_three_classes_have_three_columns():
    labels = np.where(np.arange(64) < 16, "other", y)
    probabilities = tiny_cnn().fit(X, labels).predict_proba(X)
    assert probabilities.shape == (64, 3)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam", "rmsprop"])
def test_every_optimizer_learns(optimizer):
    assert tiny_cnn(optimizer=optimizer).fit(X, y).score(X, y) > 0.7


@short
@pytest.mark.parametrize(("class_weight", "more"), [({"fine": 20.0}, True), ({"coarse": 20.0}, False)])
def test_class_weights_push_the_answers(class_weight, more):
    weighted = tiny_cnn(class_weight=class_weight, epochs=2).fit(X, y).predict_proba(X)[:, 1].mean()
    plain = tiny_cnn(epochs=2).fit(X, y).predict_proba(X)[:, 1].mean()
    assert (weighted > plain) == more


def test_a_sample_of_weight_zero_is_as_good_as_absent():
    weights = (np.arange(64) < 48).astype(float)
    clf = tiny_cnn().fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(clf.predict_proba(X), tiny_cnn().fit(X[:48], y[:48]).predict_proba(X))


def test_the_unit_of_sample_weights_does_not_matter():
    heavy = tiny_cnn().fit(X, y, sample_weight=np.full(64, 8.0))
    np.testing.assert_array_equal(heavy.predict_proba(X), tiny_cnn().fit(X, y).predict_proba(X))


# --- the course of training --------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_samples", "expected"), [(1, 150), (64 * 10, 100), (64 * 10 + 1, 91), (6400, 30)])
def test_by_default_few_images_are_shown_more_often(n_samples, expected):
    assert tiny_cnn(epochs="auto", batch_size=64)._n_epochs(n_samples) == expected


def test_history_has_one_entry_an_epoch(fitted, stopped):
    assert fitted.history_.keys() == {"loss", "learning_rate"}
    assert stopped.history_.keys() == {"loss", "learning_rate", "val_loss", "val_score"}
    for clf in (fitted, stopped):
        assert {len(values) for values in clf.history_.values()} == {clf.n_iter_}
    assert fitted.n_iter_ == fitted.best_epoch_ == 6
    assert fitted.validation_indices_.size == 0


def test_early_stopping_keeps_the_weights_of_the_best_epoch(stopped):
    rows = stopped.validation_indices_
    losses = stopped.history_["val_loss"]
    assert stopped.best_epoch_ == np.argmin(losses) + 1
    found = log_loss(y[rows], stopped.predict_proba(X[rows]))
    assert found == pytest.approx(losses[stopped.best_epoch_ - 1], rel=1e-4)
    score = balanced_accuracy_score(y[rows], stopped.predict(X[rows]))
    assert score == pytest.approx(stopped.history_["val_score"][stopped.best_epoch_ - 1])


@short
def test_training_stops_when_nothing_improves():
    clf = tiny_cnn(early_stopping=True, epochs=50, n_iter_no_change=2, tol=10.0).fit(X, y)
    assert clf.n_iter_ == 3
    assert clf.best_epoch_ == 1


@short
@pytest.mark.parametrize(
    ("schedule", "expected"), [("constant", [0.01] * 6), ("cosine", None), ("plateau", [0.01] * 6)]
)
def test_the_rate_follows_its_schedule(schedule, expected):
    rates = tiny_cnn(learning_rate_schedule=schedule).fit(X, y).history_["learning_rate"]
    if expected:
        assert rates == pytest.approx(expected)
    else:
        assert np.all(np.diff(rates) < 0)
        assert rates[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_diverging_fit_is_an_error():
    with pytest.raises(FloatingPointError, match=r"loss became .*lower learning_rate \(now 1e\+30\)"):
        tiny_cnn(learning_rate=1e30).fit(X, y)


def test_a_failing_fit_leaves_no_half_of_an_earlier_one():
    clf = tiny_cnn().fit(X, y)
    with pytest.raises(ValueError, match="only 1 class"):
        clf.fit(X, np.full(64, "fine"))
    assert not hasattr(clf, "classes_")
    assert not hasattr(clf, "history_")


# --- going on ----------------------------------------------------------------------------------------------


def test_warm_start_goes_on_from_the_last_weights():
    cold = tiny_cnn().fit(X, y)
    clf = tiny_cnn(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), cold.predict_proba(X))
    first = clf.history_["loss"]
    clf.fit(X, y)
    assert clf.history_["loss"][0] < first[0]
    assert clf.n_iter_ == 6
    assert not np.array_equal(clf.predict_proba(X), cold.predict_proba(X))


@short
def test_partial_fit_needs_the_classes_once_and_goes_on():
    clf = tiny_cnn()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clf.partial_fit(X, y)
    half = y == "coarse"
    clf.partial_fit(X[half], y[half], classes=["coarse", "fine"])
    assert clf.classes_.tolist() == ["coarse", "fine"]
    for _ in range(6):
        clf.partial_fit(X, y)
    assert clf.n_iter_ == len(clf.history_["loss"]) == 7
    assert clf.score(X_NEW, Y_NEW) > 0.9
    with pytest.raises(LabelError, match="did not see"):
        clf.partial_fit(X, np.full(64, "other"))


# --- prediction --------------------------------------------------------------------------------------------


def test_predictions_do_not_depend_on_company_or_order(fitted):
    together = fitted.predict_proba(X)
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_array_equal(fitted.predict_proba(X[order]), together[order])
    for row in (0, 31, 63):
        np.testing.assert_array_equal(fitted.predict_proba(X[row : row + 1]), together[row : row + 1])


def test_augmentation_and_dropout_are_off_in_prediction():
    clf = tiny_cnn(augmentation="strong", dropout=0.5, epochs=8, batch_size=2).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("wide", [False, True])
def test_test_time_augmentation_is_the_mean_over_all_flips_and_turns(wide):
    images, new = (X[:, :8], X_NEW[:, :8]) if wide else (X, X_NEW)
    clf = tiny_cnn().fit(images, y)
    turned = [new] if wide else [new, new.transpose(0, 2, 1, 3)]
    views = [view[:, ::i, ::j] for view in turned for i in (1, -1) for j in (1, -1)]
    logits = np.mean([np.log(clf.predict_proba(view)) for view in views], axis=0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = clf.set_params(test_time_augmentation=True).predict_proba(new)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    mirrored = clf.predict_proba(new[:, ::-1])
    np.testing.assert_allclose(mirrored, found, atol=1e-5)


@pytest.mark.parametrize("divisor", [1, 255])
def test_the_model_works_by_itself_in_the_units_of_fit(divisor):
    images = X.astype("float32") / divisor
    clf = tiny_cnn().fit(images, y)
    found = clf.model_.predict_on_batch(images)
    assert isinstance(clf.model_, keras.Model)
    assert clf.model_ is clf.model_
    np.testing.assert_allclose(found, clf.predict_proba(images), atol=1e-5)


def test_the_model_can_be_saved_by_keras(fitted, tmp_path):
    fitted.model_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict_on_batch(X.astype("float32")), fitted.predict_proba(X), atol=1e-5
    )


def test_changing_the_handed_out_model_does_not_change_the_classifier(fitted):
    before = fitted.predict_proba(X)
    model = copy.deepcopy(fitted).model_
    model.set_weights([weight * 0 for weight in model.get_weights()])
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


# --- seeds and the state of the process --------------------------------------------------------------------


def test_two_seeded_fits_are_bit_identical_even_with_others_in_between(fitted):
    tiny_cnn(filters=(4,), early_stopping=True, random_state=None, epochs=8).fit(X, y)
    again = tiny_cnn().fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.history_ == fitted.history_


@pytest.mark.parametrize("params", [{"augmentation": "standard", "epochs": 6}, {"dropout": 0.5, "epochs": 6}])
def test_augmentation_and_dropout_are_seeded_too(params):
    fits = [tiny_cnn(**params).fit(X, y).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(*fits)


def test_another_seed_gives_another_model(fitted):
    assert not np.array_equal(tiny_cnn(random_state=3).fit(X, y).predict_proba(X), fitted.predict_proba(X))


def test_an_unseeded_fit_works_after_a_seeded_one():
    fits = [tiny_cnn(random_state=None, epochs=6).fit(X, y).predict_proba(X) for _ in range(2)]
    assert not np.array_equal(*fits)


def test_a_random_state_instance_moves_on():
    random_state = np.random.RandomState(0)
    fits = [tiny_cnn(random_state=random_state, epochs=6).fit(X, y).predict_proba(X) for _ in range(2)]
    assert not np.array_equal(*fits)


def state_of_the_process():
    return {
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "tensorflow": tf.random.get_global_generator().state.numpy().tolist(),
        "seed of tensorflow": tf.compat.v1.get_default_graph().seed,
        "determinism": tf_config.is_op_determinism_enabled(),
        "float policy": keras.config.dtype_policy().name,
        "floatx": keras.config.floatx(),
        "pickling of keras": keras.Model.__reduce__,
        "deepcopy of keras": "__deepcopy__" in vars(keras.Model),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
    }


def test_a_fit_leaves_the_process_as_it_was():
    before = state_of_the_process()
    tiny_cnn(augmentation="standard", early_stopping=True, epochs=8).fit(X, y).predict(X)
    after = state_of_the_process()
    assert [name for name in before if before[name] != after[name]] == []


def test_the_global_seed_does_not_matter(fitted):
    state = np.random.get_state()
    try:
        np.random.seed(12345)
        again = tiny_cnn().fit(X, y)
    finally:
        np.random.set_state(state)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_a_float_policy_of_the_user_does_not_reach_the_network():
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        clf = tiny_cnn(filters=(8, 8)).fit(X, y)
    finally:
        keras.config.set_dtype_policy(before)
    assert {str(weight.dtype) for weight in clf._weights} == {"float32"}


# --- storage -----------------------------------------------------------------------------------------------

_CHILD = """
import sys, joblib, numpy as np
from tests.tiny import textures, tiny_cnn

folder = sys.argv[1]
X, y = textures()
np.savez(folder + "/out.npz", loaded=joblib.load(folder + "/model.joblib").predict_proba(X),
         fitted=tiny_cnn().fit(X, y).predict_proba(X))
"""


def test_a_new_process_loads_and_fits_the_same_model_to_the_last_bit(fitted, tmp_path, child_env):
    joblib.dump(fitted, tmp_path / "model.joblib")
    subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path)], check=True, env=child_env, timeout=120)
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["loaded"], fitted.predict_proba(X))
        np.testing.assert_array_equal(out["fitted"], fitted.predict_proba(X))


def test_a_dump_holds_no_training_pixels(tmp_path):
    sizes = []
    for n in (64, 256):
        images, labels = textures(n)
        joblib.dump(tiny_cnn(epochs=3).fit(images, labels), tmp_path / "model")
        dump = (tmp_path / "model").read_bytes()
        sizes.append(len(dump))
        assert not any(image[2].tobytes() in dump for image in images)
    assert abs(sizes[1] - sizes[0]) < 100


def test_the_handed_out_keras_model_is_not_dumped(fitted):
    assert fitted.model_ is not None
    assert "_keras_model" not in fitted.__getstate__()


def test_a_dump_of_a_newer_format_is_named(fitted):
    state = fitted.__getstate__() | {"_state_format": 99}
    with pytest.raises(ModelFileError, match=r"format 99.*upgrade histoclf"):
        tiny_cnn().__setstate__(state)


# --- the collapse alarm ------------------------------------------------------------------------------------


def test_the_alarm_sounds_at_an_absurd_learning_rate_and_points_at_the_caller():
    with pytest.warns(CollapsedModelWarning, match="Likely causes") as caught:
        tiny_cnn(learning_rate=1e-12, early_stopping=True).fit(X, y)
    assert caught[0].filename == __file__


def test_the_alarm_sounds_when_labels_are_all_but_constant():
    labels = np.where(np.arange(64) == 5, "fine", "coarse")
    with pytest.warns(CollapsedModelWarning, match="training part"):
        tiny_cnn().fit(X[::-1], labels)


# --- bad y -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(64, "fine"), r"y has only 1 class, .*fine.*at least 2 classes"),
        (y[:63], r"inconsistent numbers of samples: \[64, 63\]"),
        (np.where(np.arange(64) == 3, None, y.astype(object)), r"1 labels are missing \(rows \[3\]\)"),
        (np.where(np.arange(64) == 3, np.nan, 1.0), "Input y contains NaN"),
        (None, "requires y to be passed"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        tiny_cnn().fit(X, labels)


def test_one_sample_of_a_class_cannot_be_held_out():
    labels = np.where(np.arange(64) == 0, "rare", y)
    with pytest.raises(SplitError, match=r"'rare' has only 1 sample.*early_stopping=False"):
        tiny_cnn(early_stopping=True).fit(X, labels)


def test_unknown_labels_at_score_are_named(fitted):
    with pytest.raises(LabelError, match=r"did not see: \['Fine'\]\. Expected only \['coarse', 'fine'\]"):
        fitted.score(X, np.where(y == "fine", "Fine", y))


@pytest.mark.parametrize("filters", [(), (0,), ("8",), (8, -1)])
def test_filters_that_are_none_are_refused(filters):
    with pytest.raises(ValueError, match=r"filters=.*positive whole number"):
        tiny_cnn(filters=filters).fit(X, y)


@pytest.mark.parametrize(
    "params", [{"epochs": 0}, {"optimizer": "adm"}, {"augmentation": "weird"}, {"dropout": 1.0}]
)
def test_values_out_of_range_are_refused(params):
    with pytest.raises(
        ValueError, match=f"The '{next(iter(params))}' parameter of HistoCNNClassifier must be"
    ):
        tiny_cnn(**params).fit(X, y)


def test_what_fit_built_outlives_other_parameters():
    X, y = textures()
    clf = tiny_cnn().fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(filters=(4, 4, 4), normalization="batch", warm_start=True)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    with pytest.raises(ValueError, match=r"filters=\(4, 4, 4\).*filters=\(8, 16\).*warm_start=False"):
        clf.fit(X, y)
