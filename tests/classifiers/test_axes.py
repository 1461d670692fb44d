import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from histoclf.classifiers import _axes
from histoclf.classifiers._axes import Features, shared_axes, standardisation
from histoclf.classifiers._head import solve_head
from tests.classifiers.test_head import make_embeddings, probabilities, uneven_weights


@pytest.fixture(autouse=True)
def empty_cache():
    _axes.cache.clear()
    yield
    _axes.cache.clear()


def features_of(shape):
    embeddings, _ = make_embeddings(*shape, 2)
    weights = uneven_weights(len(embeddings)).astype(np.float64)
    return Features(shared_axes(embeddings, weights), embeddings, weights / weights.sum())


@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("shape", [(90, 30), (40, 70)], ids=str)
def test_the_map_rotates_standardised_embeddings(shape, projected, monkeypatch):
    monkeypatch.setattr(_axes, "_PROJECTED_BYTES", 2**20 if projected else 0)
    monkeypatch.setattr(_axes, "_BLOCK_BYTES", 8 * shape[1] * 7)
    features = features_of(shape)
    standardised = (features.embeddings - features.axes.mean) / features.axes.scale
    solution = np.random.default_rng(0).normal(size=(3, len(features.axes.variances)))
    coef = features.expand(solution) * features.axes.scale
    np.testing.assert_allclose(features.forward(solution), coef @ standardised.T, atol=1e-9)
    np.testing.assert_allclose(coef @ coef.T, solution @ solution.T, atol=1e-9)
    residuals = np.random.default_rng(1).normal(size=(3, shape[0]))
    np.testing.assert_allclose(
        np.sum(features.backward(residuals) * solution), np.sum(residuals * (coef @ standardised.T))
    )


@pytest.mark.parametrize("shape", [(90, 30), (40, 70)], ids=str)
def test_variances_are_those_along_the_axes(shape):
    features = features_of(shape)
    projected = features.axes.projected
    covariance = (projected.T * features.shares) @ projected
    np.testing.assert_allclose(covariance, np.diag(features.axes.variances), atol=1e-9)
    assert (features.axes.directions is None) == (shape[0] < shape[1])


def test_sets_too_large_to_project_have_the_same_solution(monkeypatch):
    embeddings, codes = make_embeddings(200, 30, 3)
    expected = probabilities(solve_head(embeddings, codes, np.ones(200), 3, 1.0), embeddings)
    _axes.cache.clear()
    monkeypatch.setattr(_axes, "_PROJECTED_BYTES", 0)
    monkeypatch.setattr(_axes, "_BLOCK_BYTES", 8 * 30 * 11)
    head = solve_head(embeddings, codes, np.ones(200), 3, 1.0)
    assert head.converged
    np.testing.assert_allclose(probabilities(head, embeddings), expected, rtol=0, atol=1e-6)


def test_a_large_memory_map_is_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(_axes, "_PROJECTED_BYTES", 0)
    monkeypatch.setattr(_axes, "_BLOCK_BYTES", 2**18)
    embeddings, codes = make_embeddings(40_000, 24, 2)
    np.save(tmp_path / "embeddings.npy", embeddings)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    in_memory = solve_head(embeddings, codes, np.ones(40_000), 2, 0.1)
    _axes.cache.clear()
    tracemalloc.start()
    from_disk = solve_head(mapped, codes, np.ones(40_000), 2, 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (from_disk.coef == in_memory.coef).all()
    assert (
        peak < embeddings.nbytes * 1.3
    )  # a float64 copy would be 2, and some vectors of n_samples are needed


def test_the_axes_are_found_once_for_one_content():
    embeddings, _ = make_embeddings(50, 20, 2)
    weights = np.ones(50)
    axes = shared_axes(embeddings, weights)
    assert shared_axes(embeddings.copy(), weights.copy()) is axes
    assert shared_axes(np.asfortranarray(embeddings), weights) is axes
    assert shared_axes(embeddings, 2 * weights) is not axes
    assert shared_axes(embeddings[:, ::-1], weights) is not axes
    other = embeddings.copy()
    other[17, 3] = np.nextafter(other[17, 3], np.float32(np.inf))
    assert shared_axes(other, weights) is not axes


def test_shape_and_type_are_part_of_the_content():
    zeros = np.zeros((6, 4), dtype=np.float32)
    assert shared_axes(zeros, np.ones(6)).mean.shape == (4,)
    assert shared_axes(zeros.reshape(6, 4)[:, :2].repeat(2, axis=1), np.ones(6)).mean.shape == (4,)
    assert shared_axes(zeros.view(np.float64), np.ones(6)).mean.shape == (2,)


def test_the_cache_forgets_the_set_used_longest_ago(monkeypatch):
    sets = [make_embeddings(50, 20, 2, seed=seed)[0] for seed in range(3)]
    weights = np.ones(50)
    first = shared_axes(sets[0], weights)
    monkeypatch.setattr(_axes.cache, "max_bytes", 2 * first.n_bytes)
    second = shared_axes(sets[1], weights)
    assert shared_axes(sets[0], weights) is first
    shared_axes(sets[2], weights)
    assert shared_axes(sets[0], weights) is first
    assert shared_axes(sets[1], weights) is not second


def test_a_set_larger_than_the_cache_is_solved_and_not_kept(monkeypatch):
    monkeypatch.setattr(_axes.cache, "max_bytes", 100)
    embeddings, codes = make_embeddings(50, 20, 2)
    assert solve_head(embeddings, codes, np.ones(50), 2, 1.0).converged
    assert shared_axes(embeddings, np.ones(50)) is not shared_axes(embeddings, np.ones(50))


def test_five_folds_with_two_kinds_of_pooling_fit_the_cache():
    train = 2000
    narrow = 8 * (train * 1280 + 1280**2)
    wide = 8 * train**2
    assert 5 * (narrow + wide) < _axes.cache.max_bytes


def test_threads_get_the_same_answers():
    embeddings, codes = make_embeddings(80, 30, 2)
    strengths = [1e-3, 1e-2, 0.1, 1.0] * 4
    expected = [solve_head(embeddings, codes, np.ones(80), 2, C).coef for C in strengths]
    _axes.cache.clear()
    with ThreadPoolExecutor(4) as pool:
        heads = list(pool.map(lambda C: solve_head(embeddings, codes, np.ones(80), 2, C), strengths))
    assert all((head.coef == coef).all() for head, coef in zip(heads, expected, strict=True))


def test_columns_are_standardised_in_blocks(monkeypatch):
    monkeypatch.setattr(_axes, "_BLOCK_BYTES", 8 * 30 * 7)
    embeddings, _ = make_embeddings(90, 30, 2)
    weights = uneven_weights(90).astype(np.float64)
    mean, scale = standardisation(embeddings, weights / weights.sum())
    expected = np.average(embeddings.astype("float64"), axis=0, weights=weights)
    np.testing.assert_allclose(mean, expected, rtol=1e-9, atol=1e-12)
    variance = np.average((embeddings - expected) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(scale**2, variance, rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 5.0, 1e6])
def test_a_constant_column_has_scale_one(value):
    constant = np.full((10, 1), value, dtype="float32")
    assert standardisation(constant, np.full(10, 0.1))[1].tolist() == [1.0]
