"""Heads, alone and on a backbone whose last layers learn along."""

import dataclasses

import keras
import numpy as np
import pytest

from histoclf.networks._backbones import load_into, resolve_backbone
from histoclf.networks._embedding import EmbeddingSpec, make_runner
from histoclf.networks._engine import Engine
from histoclf.networks._tuning import Head, HeadSpec, TunedSpec, _leaves, count_layers, learning_rates
from histoclf.preprocessing._augmentation import augmentation_fields
from tests.networks.tiny_networks import IMAGES, trained_network

HEAD = Head(n_classes=3, hidden_units=0, dropout=0.0)
GENERATOR = np.random.default_rng(0)
TARGETS = np.array([0, 1, 2, 1, 0])


def deep_network():
    """Five layers with a kernel, two of them in a network within the network."""
    inner_input = keras.Input((None, None, 4))
    x = keras.layers.Conv2D(4, 3, name="c")(inner_input)
    x = keras.layers.BatchNormalization(name="c_norm")(x)
    inner = keras.Model(inner_input, keras.layers.Conv2D(4, 3, name="d")(x), name="inner")
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, name="a")(images)
    x = keras.layers.BatchNormalization(name="a_norm")(x)
    x = keras.layers.Dropout(0.5, seed=0)(keras.layers.DepthwiseConv2D(3, name="b")(x))
    x = keras.layers.Conv2D(4, 3, name="e")(inner(x))
    return keras.Model(images, keras.layers.BatchNormalization(name="e_norm")(x), name="deep")


@pytest.fixture(scope="module")
def deep():
    return resolve_backbone(deep_network(), None, "imagenet", 0)


def tuned(backbone, **fields):
    settings = {
        "head": HEAD,
        "image_shape": (32, 32, 3),
        "input_dtype": "uint8",
        "pooling": "avg",
        "n_layers": 2,
        "augmentation": None,
    }
    return TunedSpec(backbone=backbone, **(settings | fields))


def head_weights(n_features, head=HEAD, seed=0):
    generator = np.random.default_rng(seed)
    shapes = [weight.shape for weight in HeadSpec(n_features, head).build().get_weights()]
    return [generator.uniform(0.5, 1.5, shape).astype("float32") for shape in shapes]


def names(layers):
    return [layer.name for layer in layers]


# --- the head ----------------------------------------------------------------------------------------------


def test_a_head_without_a_hidden_layer_is_logistic_regression_on_standardised_columns():
    mean, scale, kernel, bias = weights = head_weights(4)
    model = HeadSpec(4, HEAD).build()
    model.set_weights(weights)
    embeddings = GENERATOR.normal(size=(6, 4)).astype("float32")
    expected = (embeddings - mean) / scale @ kernel + bias
    np.testing.assert_allclose(model.predict_on_batch(embeddings), expected, rtol=1e-5, atol=1e-6)


def test_a_hidden_layer_is_rectified():
    mean, scale, kernel, bias, last, last_bias = weights = head_weights(
        4, dataclasses.replace(HEAD, hidden_units=8)
    )
    model = HeadSpec(4, dataclasses.replace(HEAD, hidden_units=8)).build()
    model.set_weights(weights)
    embeddings = GENERATOR.normal(size=(6, 4)).astype("float32")
    hidden = np.maximum((embeddings - mean) / scale @ kernel + bias, 0)
    np.testing.assert_allclose(model.predict_on_batch(embeddings), hidden @ last + last_bias, rtol=1e-4)


def test_the_standardisation_is_not_trained():
    assert [v.path for v in HeadSpec(4, HEAD).build().trainable_variables] == ["logits/kernel", "logits/bias"]


def test_dropout_is_for_training_only():
    model = HeadSpec(400, dataclasses.replace(HEAD, dropout=0.5)).build()
    embeddings = np.ones((2, 400), dtype="float32")
    np.testing.assert_array_equal(model(embeddings), model(embeddings))
    assert not np.allclose(model(embeddings, training=True), model(embeddings))


def test_equal_descriptions_are_one_key(deep):
    assert hash(HeadSpec(4, HEAD)) == hash(HeadSpec(4, Head(3, 0, 0.0)))
    assert hash(tuned(deep[0])) == hash(tuned(deep[0]))
    assert tuned(deep[0]) != tuned(deep[0], n_layers=3)


# --- the whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["avg", "max", "avg+max"])
@pytest.mark.parametrize("hidden_units", [0, 8])
def test_it_starts_where_the_frozen_head_ends(pooling, hidden_units):
    backbone, weights = resolve_backbone(trained_network(), {"preprocessing": "tf"}, "imagenet", 0)
    records = make_runner(EmbeddingSpec(backbone, (32, 32, 3), "uint8"), weights, "keras", 8)(IMAGES)
    embeddings = {"avg": records[:, 0], "max": records[:, 1], "avg+max": records.reshape(5, -1)}[pooling]
    head = dataclasses.replace(HEAD, hidden_units=hidden_units, dropout=0.5)
    alone = HeadSpec(embeddings.shape[1], head).build()
    alone.set_weights(head_weights(embeddings.shape[1], head))
    spec = tuned(backbone, pooling=pooling, head=head, augmentation=augmentation_fields("standard"))
    model = spec.build()
    load_into(model, [*weights, *alone.get_weights()])
    expected = alone.predict_on_batch(embeddings)
    np.testing.assert_allclose(model.predict_on_batch(IMAGES), expected, rtol=1e-5, atol=1e-5)


def test_vectors_need_no_pooling():
    network = trained_network(last=keras.layers.GlobalMaxPooling2D())
    backbone, _ = resolve_backbone(network, None, "imagenet", 0)
    for pooling in ("avg", "max", "avg+max"):
        assert tuned(backbone, pooling=pooling).build().get_layer("logits").kernel.shape == (8, 3)


def test_the_model_for_use_takes_the_units_of_the_user_and_gives_probabilities(tmp_path):
    backbone, weights = resolve_backbone(trained_network(), {"preprocessing": "torch"}, "imagenet", 0)
    spec, all_weights = tuned(backbone), [*weights, *head_weights(8)]
    model = spec.build()
    load_into(model, all_weights)
    logits = model.predict_on_batch(IMAGES).astype("float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    handed_out = spec.build_for_use([[255.0]], [[0.0]], "float32")
    load_into(handed_out, all_weights)
    given = IMAGES / np.float32(255)
    np.testing.assert_allclose(handed_out.predict_on_batch(given), expected, atol=1e-4)
    handed_out.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(given), handed_out.predict_on_batch(given))


def test_building_draws_the_same_each_time(deep):
    first, second = (tuned(deep[0]).build().get_weights() for _ in range(2))
    np.testing.assert_array_equal(first[-2], second[-2])


# --- which layers learn ------------------------------------------------------------------------------------


def test_layers_are_counted_in_the_order_of_the_graph():
    assert names(_leaves(deep_network())) == ["a", "a_norm", "b", "c", "c_norm", "d", "e", "e_norm"]


def test_a_layer_that_is_used_twice_is_counted_once():
    images = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(3, 3, padding="same")
    assert len(_leaves(keras.Model(images, layer(layer(images))))) == 1


def test_layers_with_a_kernel_are_counted(deep):
    assert count_layers(deep[0]) == 5
    fixed, _ = resolve_backbone(trained_network(input_shape=(16, 24, 3)), None, "imagenet", 0)
    assert count_layers(fixed) == 2
    assert count_layers(resolve_backbone("mobilenet", {"alpha": 0.25}, None, 0)[0]) == 27


@pytest.mark.parametrize(
    ("n_layers", "learning"),
    [
        (0, []),
        (1, ["e", "e_norm"]),
        (3, ["c", "c_norm", "d", "e", "e_norm"]),
        (5, ["a", "a_norm", "b", "c", "c_norm", "d", "e", "e_norm"]),
    ],
)
def test_the_last_layers_learn(deep, n_layers, learning):
    model = tuned(deep[0], n_layers=n_layers).build()
    found = {variable.path.split("/")[-2] for variable in model.trainable_variables}
    assert found == {*learning, "logits"}


def test_a_network_that_came_frozen_learns_all_the_same():
    network = trained_network()
    network.trainable = False
    backbone, _ = resolve_backbone(network, None, "imagenet", 0)
    assert len(tuned(backbone, n_layers=2).build().trainable_variables) == 7


def test_rates_fall_with_each_layer_down(deep):
    model = tuned(deep[0], n_layers=4).build()
    rates = dict(zip((v.path for v in model.trainable_variables), learning_rates(model, 0.5), strict=True))
    by_layer = {path.split("/")[-2]: rate for path, rate in rates.items()}
    assert by_layer == {
        "logits": 1.0,
        "e_norm": 0.5,
        "e": 0.5,
        "d": 0.25,
        "c_norm": 0.125,
        "c": 0.125,
        "b": 0.0625,
    }
    assert set(learning_rates(model, 1.0)) == {1.0}


def test_the_rates_of_a_head_alone_fall_too():
    model = HeadSpec(4, dataclasses.replace(HEAD, hidden_units=8)).build()
    assert learning_rates(model, 0.5) == (0.5, 0.5, 1.0, 1.0)


# --- a training step ---------------------------------------------------------------------------------------


def step(spec, weights, decay=None, optimizer="sgd", n_steps=1):
    """Take a step; return by how much each variable moved."""
    engine = Engine(spec)
    rates = None if decay is None else learning_rates(engine.model, decay)
    engine.compile(optimizer, 0.0, rates)
    load_into(engine.model, weights)
    engine.reset_training(np.random.default_rng(0), None)
    engine.model.optimizer.learning_rate.assign(0.01)
    before = engine.model.get_weights()
    for _ in range(n_steps):
        engine.model.train_on_batch(IMAGES, TARGETS)
    after = engine.model.get_weights()
    moved = [b - a for a, b in zip(before, after, strict=True)]
    return dict(zip((v.path for v in engine.model.weights), moved, strict=True))


@pytest.fixture(scope="module")
def deep_weights(deep):
    generator = np.random.default_rng(3)
    drawn = [generator.uniform(0.1, 0.6, w.shape).astype("float32") for w in deep[1]]
    head = head_weights(4)
    return [*drawn, np.zeros_like(head[0]), np.ones_like(head[1]), *head[2:]]


def test_the_statistics_of_batch_normalisation_stay_as_they_are(deep, deep_weights):
    """Keras lets the outer network's training=True overrule an inner False."""
    moved = step(tuned(deep[0], n_layers=5), deep_weights, n_steps=2)
    statistics = {path: change for path, change in moved.items() if "moving_" in path}
    assert len(statistics) == 6
    assert not any(change.any() for change in statistics.values())
    assert np.abs(moved[next(path for path in moved if path.endswith("e_norm/gamma"))]).max() > 0


def test_the_backbone_s_dropout_rests(deep, deep_weights):
    model = tuned(deep[0], n_layers=5).build()
    load_into(model, deep_weights)
    np.testing.assert_array_equal(model(IMAGES, training=True), model(IMAGES, training=True))
    np.testing.assert_allclose(model(IMAGES, training=True), model(IMAGES, training=False), rtol=1e-5)


def test_a_lower_layer_moves_by_its_share_of_the_step(deep, deep_weights):
    spec = tuned(deep[0], n_layers=3)
    plain, shared = step(spec, deep_weights), step(spec, deep_weights, decay=0.5)
    engine = Engine(spec)
    rates = learning_rates(engine.model, 0.5)
    paths = [variable.path for variable in engine.model.trainable_variables]
    assert set(rates) == {1.0, 0.5, 0.25, 0.125}
    for path, rate in zip(paths, rates, strict=True):
        np.testing.assert_allclose(shared[path], rate * plain[path], rtol=2e-3, atol=1e-7, err_msg=path)
        assert np.abs(plain[path]).max() > 1e-6 or path.endswith("bias")


def test_adam_moves_a_lower_layer_less_too(deep, deep_weights):
    moved = step(tuned(deep[0], n_layers=3), deep_weights, decay=0.1, optimizer="adam")
    size = {
        path.split("/")[-2]: np.abs(change).max() for path, change in moved.items() if path.endswith("kernel")
    }
    assert size["logits"] == pytest.approx(0.01, rel=0.01)
    assert size["e"] == pytest.approx(0.001, rel=0.05)
    assert size["d"] == pytest.approx(0.0001, rel=0.05)
    assert size["a"] == size["b"] == 0
