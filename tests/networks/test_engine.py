"""Compiled networks that are lent out."""

import dataclasses
import random
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from histoclf.networks import _engine
from histoclf.networks._engine import Engine, borrow_engine
from histoclf.networks._recent import Recent
from tests.networks.test_architectures import IMAGES, SPEC
from tests.networks.tiny_networks import tiny_network, trained_network


@pytest.fixture(scope="module")
def engine():
    engine = Engine(SPEC)
    engine.compile("adam", 0.01)
    return engine


@pytest.fixture
def no_engines(monkeypatch):
    monkeypatch.setattr(_engine, "_engines", Recent(8))
    return _engine._engines


def test_an_image_s_logits_do_not_depend_on_its_company(engine):
    images = np.random.default_rng(1).integers(0, 256, (130, 16, 16, 3)).astype("uint8")
    together = engine.predict(images)
    order = np.random.default_rng(2).permutation(130)
    np.testing.assert_array_equal(engine.predict(images[order]), together[order])
    for row in (0, 63, 64, 129):
        np.testing.assert_array_equal(engine.predict(images[row : row + 1])[0], together[row])
    assert together.shape == (130, 2)


def test_a_few_images_are_not_many_forward_passes(engine, monkeypatch):
    shapes = []
    forward = engine._forward
    monkeypatch.setattr(engine, "_forward", lambda batch: shapes.append(batch.shape[0]) or forward(batch))
    for n in (1, 15, 16, 17):
        engine.predict(np.zeros((n, 16, 16, 3), dtype="uint8"))  # finds out which places are good
        shapes.clear()
        engine.predict(np.zeros((n, 16, 16, 3), dtype="uint8"))
        assert len(shapes) == -(-n // len(engine._find_places(16, 16)))
        assert max(shapes) <= 16


def off_at(places_of, forward):
    """Let some places of a pass of some length be off by little, as the end of a matrix product can be."""

    def off(batch):
        found = [x.numpy() for x in forward(batch)]
        for x in found:
            places = places_of.get(len(x), [])
            x[places] *= np.float32(1 + 2**-20)
        return [tf.constant(x) for x in found]

    return off


@pytest.fixture
def fresh(engine, monkeypatch):
    """The engine without a memory of places, before and after, that believes in few outputs."""
    monkeypatch.setattr(_engine, "_ENOUGH", 1)
    engine._copies.clear()
    yield engine
    engine._copies.clear()


@pytest.mark.parametrize(
    ("places_of", "lengths"),
    [
        ({}, {1: [2], 3: [4], 4: [8], 16: [16]}),
        ({16: [15]}, {1: [2], 15: [16], 16: [2, 16]}),
        ({2: [0], 4: range(4)}, {1: [8], 16: [16]}),
        ({n: range(n) for n in (2, 4, 8)}, {1: [16]}),
        ({16: [3, 7, 15]}, {13: [16], 14: [2, 16]}),
    ],
)
def test_only_places_that_give_the_same_numbers_are_used(fresh, monkeypatch, places_of, lengths):
    computed = []
    forward = off_at(places_of, one_by_one(fresh._forward))
    monkeypatch.setattr(fresh, "_forward", lambda batch: computed.append(len(batch)) or forward(batch))
    images = np.random.default_rng(1).integers(0, 256, (16, 16, 16, 3)).astype("uint8")
    alone = np.concatenate([fresh.predict(images[[row]]) for row in range(16)])
    for n, expected in lengths.items():
        fresh.predict(images[:n])
        computed.clear()
        np.testing.assert_array_equal(fresh.predict(images[:n]), alone[:n])
        assert sorted(computed) == expected


def one_by_one(forward):
    """Compute images one by one, so that the machine's own blocks do not matter."""
    return lambda batch: [
        tf.concat(parts, axis=0) for parts in zip(*(forward(image[None]) for image in batch), strict=True)
    ]


def test_two_logits_are_no_proof_that_a_short_pass_gives_the_same(engine):
    assert engine._choose_pass(1, 16)[0] == 16


def test_where_copies_cannot_tell_the_last_place_is_left_out_to_be_sure(engine, monkeypatch):
    monkeypatch.setattr(engine, "_forward", one_by_one(engine._forward))
    engine._copies.clear()
    assert engine._find_places(16, 16).tolist() == list(range(15))
    assert engine._find_places(1, 1).tolist() == [0]
    engine._copies.clear()


def test_a_machine_that_does_not_repeat_itself_is_not_slowed_down(fresh, monkeypatch):
    noise = np.random.default_rng(0)
    monkeypatch.setattr(fresh, "_forward", lambda batch: [tf.constant(noise.random((len(batch), 2)))])
    assert fresh._find_places(16, 16).tolist() == list(range(16))
    assert fresh._choose_pass(1, 16)[0] == 16


def test_other_weights_may_tell_more_about_the_places(no_engines):
    weights = trained_network().get_weights()
    with borrow_engine(Tiny(), [np.zeros_like(w) for w in weights]) as engine:
        engine.predict(IMAGES)
        blind = dict(engine._copies)
    with borrow_engine(Tiny(), weights) as engine:
        assert blind
        assert engine._copies == {}


def test_nothing_is_traced_again_for_another_number_of_images(engine):
    for n in (1, 5, 16, 40):
        engine.predict(np.zeros((n, 16, 16, 3), dtype="uint8"), chunk=16)
    before = engine._forward.experimental_get_tracing_count()
    for n in (2, 33, 100):
        engine.predict(np.zeros((n, 16, 16, 3), dtype="uint8"), chunk=16)
    assert engine._forward.experimental_get_tracing_count() == before


def test_threads_and_their_absence_give_the_same(engine, monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (130, 16, 16, 3)).astype("uint8")
    together = engine.predict(images)
    monkeypatch.setattr(_engine, "thread_budget", lambda: 1)
    np.testing.assert_array_equal(engine.predict(images), together)


def test_a_failure_of_one_chunk_is_the_failure_of_all(engine):
    images = np.zeros((130, 16, 16, 3), dtype="uint8")
    with pytest.raises(IndexError):
        engine.predict(images, rows=np.array([*range(100), 130]))


def test_images_are_left_alone_and_of_any_type(engine):
    images = np.random.default_rng(1).integers(0, 256, (18, 16, 16, 3)).astype("float64")
    before = images.copy()
    expected = engine.predict(images.astype("uint8"))
    images.setflags(write=False)
    np.testing.assert_array_equal(engine.predict(images), expected)
    np.testing.assert_array_equal(images, before)


def test_a_gpu_is_given_more_at_once(monkeypatch):
    monkeypatch.setattr(_engine, "on_gpu", lambda: True)
    assert _engine.chunk_size() == 64
    monkeypatch.setattr(_engine, "on_gpu", lambda: False)
    assert _engine.chunk_size() == 16


def test_initial_weights_follow_the_generator(engine):
    weights = [engine.initial_weights(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not np.array_equal(weights[0][0], weights[2][0])


def test_initial_kernels_have_the_variance_of_he_and_the_rest_starts_as_the_layers_do(engine):
    weights = engine.initial_weights(np.random.default_rng(0))
    by_name = {v.path: w for v, w in zip(engine.model.weights, weights, strict=True)}
    kernel = by_name["conv_1/kernel"]
    assert kernel.std() == pytest.approx(np.sqrt(2 / np.prod(kernel.shape[:3])), rel=0.1)
    assert np.all(by_name["norm_1/gamma"] == 1)
    assert np.all(by_name["logits/bias"] == 0)


def test_reset_restarts_the_optimizer_and_the_random_streams(engine):
    states = []
    for _ in range(2):
        engine.reset_training(np.random.default_rng(0), None)
        states.append([variable.numpy() for variable in engine._random_states()])
        engine.model.train_on_batch(IMAGES, np.array([0, 1, 0, 1]))
        assert any(np.abs(state).max() > 0 for state in engine.optimizer_state()[2:])
    assert states[0]
    np.testing.assert_array_equal(states[0], states[1])
    engine.reset_training(np.random.default_rng(0), None)
    assert all(np.all(state == 0) for state in engine.optimizer_state()[2:])


def test_the_optimizer_s_memory_can_be_put_back(engine):
    engine.model.train_on_batch(IMAGES, np.array([0, 1, 0, 1]))
    state = engine.optimizer_state()
    engine.reset_training(np.random.default_rng(0), state)
    for a, b in zip(engine.optimizer_state(), state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_compiling_for_the_same_again_keeps_the_graph(engine):
    optimizer = engine.model.optimizer
    engine.compile("adam", 0.01)
    assert engine.model.optimizer is optimizer


def test_weight_decay_is_for_kernels_only(engine):
    optimizer = engine.model.optimizer
    decayed = [v.path for v in engine.model.trainable_variables if optimizer._use_weight_decay(v)]
    assert decayed == ["conv_1/kernel", "conv_2/kernel", "logits/kernel"]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam", "rmsprop", "sgd"])
def test_every_optimizer_takes_weight_decay_even_of_zero(optimizer):
    engine = Engine(SPEC)
    for decay in (0.01, 0.0):
        engine.compile(optimizer, decay)
        assert engine.model.optimizer.weight_decay == decay


def test_a_spec_has_one_engine_and_the_oldest_go(no_engines):
    no_engines.size = 2
    specs = [dataclasses.replace(SPEC, filters=(width,)) for width in (2, 3, 4)]
    with borrow_engine(specs[0]) as first, borrow_engine(specs[1]):
        pass
    with borrow_engine(specs[0]) as again:
        assert again is first
    with borrow_engine(specs[2]):
        pass
    assert list(no_engines) == [specs[0], specs[2]]


def test_weights_are_loaded_before_it_is_lent(no_engines):
    with borrow_engine(SPEC) as engine:
        weights = [weight + 1 for weight in engine.model.get_weights()]
    with borrow_engine(SPEC, weights) as engine:
        np.testing.assert_array_equal(engine.model.get_weights()[0], weights[0])


def test_one_thread_at_a_time(no_engines):
    weights = []
    with borrow_engine(SPEC) as engine:
        start = engine.model.get_weights()
    weights = [[weight * scale for weight in start] for scale in (1.0, 2.0)]
    results: dict[int, list[np.ndarray]] = {0: [], 1: []}

    def work(which):
        for _ in range(5):
            with borrow_engine(SPEC, weights[which]) as engine:
                results[which].append(engine.predict(IMAGES))

    workers = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for found in results.values():
        assert len(found) == 5
        assert all(np.array_equal(found[0], logits) for logits in found)
    assert not np.array_equal(results[0][0], results[1][0])


@dataclasses.dataclass(frozen=True)
class Tiny:
    """A network with a normalisation layer, which keeps a copy of its weights."""

    number: int = 0

    def build(self):
        return tiny_network((16, 16, 3))


def test_weights_that_it_holds_are_not_set_again(no_engines, monkeypatch):
    weights = trained_network().get_weights()
    loads = []
    monkeypatch.setattr(_engine, "load_into", lambda model, given: loads.append(given))
    for given in (weights, weights, list(weights)):
        with borrow_engine(Tiny(), given):
            pass
    assert len(loads) == 2
    with borrow_engine(Tiny()):
        pass  # whoever borrows it without weights may change those that it holds
    with borrow_engine(Tiny(), weights):
        pass
    assert len(loads) == 3


def test_a_normalisation_layer_computes_with_the_weights_that_are_loaded(no_engines):
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("float32")
    model = trained_network(seed=2)
    with borrow_engine(Tiny(), model.get_weights()) as engine:
        np.testing.assert_allclose(
            engine.predict(images), model.predict_on_batch(images), rtol=1e-4, atol=1e-4
        )


def test_the_chunk_is_a_choice(engine):
    images = np.random.default_rng(1).integers(0, 256, (10, 16, 16, 3)).astype("uint8")
    rows = np.array([3, 1, 9])
    np.testing.assert_allclose(engine.predict(images, chunk=4), engine.predict(images), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        engine.predict(images, rows, chunk=4), engine.predict(images, chunk=4)[rows]
    )


def test_building_leaves_python_s_stream_alone():
    random.seed(3)
    before = random.getstate()
    Engine(Tiny())
    assert random.getstate() == before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_each_variable_has_a_learning_rate_of_its_own(optimizer):
    moved = {}
    for rates in (None, (0.0, 0.5, 1.0)):
        engine = Engine(Line())
        engine.compile(optimizer, 0.0, rates)
        engine.model.set_weights([np.ones(w.shape) for w in engine.model.get_weights()])
        engine.reset_training(np.random.default_rng(0), None)
        engine.model.optimizer.learning_rate.assign(0.01)
        before = engine.model.get_weights()
        engine.model.train_on_batch(np.ones((2, 3)), np.array([0, 1]))
        moved[rates] = [b - a for a, b in zip(before, engine.model.get_weights(), strict=True)]
    for plain, shared, rate in zip(*moved.values(), (0.0, 0.5, 1.0), strict=True):
        assert np.abs(plain).max() > 1e-4
        np.testing.assert_allclose(shared, rate * plain, rtol=1e-3, atol=1e-7)


def test_other_rates_need_another_optimizer(engine):
    engine = Engine(Line())
    engine.compile("adam", 0.0, (0.0, 0.5, 1.0))
    first = engine.model.optimizer
    engine.compile("adam", 0.0, (0.0, 0.5, 1.0))
    assert engine.model.optimizer is first
    engine.compile("adam", 0.0, (0.0, 0.5, 0.5))
    assert engine.model.optimizer is not first


@dataclasses.dataclass(frozen=True)
class Line:
    """Three variables, one after the other."""

    def build(self):
        inputs = keras.Input((3,))
        x = inputs
        for width in (4, 4, 2):
            x = keras.layers.Dense(width, use_bias=False)(x)
        return keras.Model(inputs, x * np.array([1.0, 1.5], dtype="float32"))
