import pickle
import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from histoclf.classifiers import _axes, _head
from histoclf.classifiers._head import solve_head


def make_embeddings(n, d, n_classes, seed=0, distance=0.7):
    """Correlated, skewed columns on different scales, as pooled activations are."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    hidden = rng.normal(size=(n, 12)) + distance * rng.normal(size=(n_classes, 12))[codes]
    mixed = hidden @ rng.normal(size=(12, d)) + 0.5 * rng.normal(size=(n, d))
    return (np.maximum(mixed, 0) * np.geomspace(0.01, 10, d) + 3).astype(np.float32), codes


def uneven_weights(n, seed=1):
    weights = np.random.default_rng(seed).gamma(2, size=n).astype(np.float32)
    return weights / weights.mean()


def sklearn_probabilities(train, codes, weights, C, embeddings):
    scaler = StandardScaler().fit(train.astype(np.float64), sample_weight=weights)
    model = LogisticRegression(C=C, tol=1e-10, max_iter=10000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it cannot reach 1e-10 everywhere, nor need it
        model.fit(scaler.transform(train.astype(np.float64)), codes, sample_weight=weights)
    return model.predict_proba(scaler.transform(embeddings.astype(np.float64)))


def probabilities(head, embeddings):
    return softmax(head.logits(embeddings), axis=1)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shape", [(150, 40), (60, 100), (50, 50)], ids=str)
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0])
def test_agrees_with_sklearn_on_rows_seen_and_unseen(n_classes, shape, C):
    n, d = shape
    embeddings, codes = make_embeddings(2 * n, d, n_classes)
    train, weights = embeddings[:n], uneven_weights(n)
    head = solve_head(train, codes[:n], weights, n_classes, C)
    expected = sklearn_probabilities(train, codes[:n], weights, C, embeddings)
    assert head.converged
    np.testing.assert_allclose(probabilities(head, embeddings), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shape", [(200, 30), (40, 90)], ids=str)
def test_agrees_with_sklearn_on_separable_classes_and_weak_regularisation(n_classes, shape):
    embeddings, codes = make_embeddings(*shape, n_classes, distance=6)
    weights = np.ones(len(codes), dtype=np.float32)
    head = solve_head(embeddings, codes, weights, n_classes, 1e4)
    expected = sklearn_probabilities(embeddings, codes, weights, 1e4, embeddings)
    assert head.converged
    assert expected.max(axis=1).min() > 0.99
    np.testing.assert_allclose(probabilities(head, embeddings), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n", [30, 120])
def test_duplicated_and_constant_columns_are_no_obstacle(n):
    embeddings, codes = make_embeddings(n, 25, 2)
    embeddings = np.hstack([embeddings, embeddings, np.full((n, 2), 0.1, dtype=np.float32)])
    weights = uneven_weights(n)
    head = solve_head(embeddings, codes, weights, 2, 0.1)
    expected = sklearn_probabilities(embeddings, codes, weights, 0.1, embeddings)
    np.testing.assert_allclose(probabilities(head, embeddings), expected, rtol=0, atol=1e-5)
    assert head.scale[-2:].tolist() == [1, 1]
    assert np.abs(head.coef[:, -2:]).max() < 1e-12


def test_imbalanced_classes_agree_with_sklearn():
    embeddings, _ = make_embeddings(200, 20, 3)
    codes = np.repeat([0, 1, 2], [180, 15, 5])
    weights = np.ones(200, dtype=np.float32)
    head = solve_head(embeddings, codes, weights, 3, 1.0)
    expected = sklearn_probabilities(embeddings, codes, weights, 1.0, embeddings)
    np.testing.assert_allclose(probabilities(head, embeddings), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(80, 30), (40, 90)], ids=str)
def test_a_row_of_weight_zero_is_as_good_as_absent(shape):
    embeddings, codes = make_embeddings(*shape, 3)
    weights = uneven_weights(len(codes))
    weights[::4] = 0
    kept = weights > 0
    with_zeros = solve_head(embeddings, codes, weights, 3, 0.1)
    without = solve_head(embeddings[kept], codes[kept], weights[kept], 3, 0.1)
    assert (with_zeros.coef == without.coef).all()
    assert (with_zeros.intercept == without.intercept).all()


def test_a_weight_of_two_counts_twice():
    embeddings, codes = make_embeddings(60, 20, 2)
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    twice = np.r_[np.arange(60), np.arange(20)]
    weighted = solve_head(embeddings, codes, weights, 2, 0.1)
    repeated = solve_head(embeddings[twice], codes[twice], np.ones(80), 2, 0.1)
    np.testing.assert_allclose(
        probabilities(weighted, embeddings), probabilities(repeated, embeddings), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("n_classes", [3, 5])
def test_a_class_without_rows_is_all_but_impossible(n_classes):
    embeddings, codes = make_embeddings(80, 30, 2)
    head = solve_head(embeddings, 2 * codes, np.ones(80), n_classes, 0.1)
    answer = probabilities(head, embeddings)
    assert head.converged
    assert np.isfinite(head.logits(embeddings)).all()
    assert answer.shape == (80, n_classes)
    assert 0 < answer[:, 1].max() < 1e-15
    # What is left is the multinomial problem of the two others: the binary one with half the penalty.
    binary = solve_head(embeddings, codes, np.ones(80), 2, 0.2)
    np.testing.assert_allclose(answer[:, [0, 2]], probabilities(binary, embeddings), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("only", [0, 1])
def test_a_single_class_is_all_but_certain(n_classes, only):
    embeddings, _ = make_embeddings(20, 5, 2)
    head = solve_head(embeddings, np.full(20, only), np.ones(20), n_classes, 1.0)
    assert head.converged
    assert (probabilities(head, embeddings)[:, only] > 1 - 1e-12).all()
    assert np.isfinite(head.logits(embeddings)).all()


@pytest.mark.parametrize("shape", [(30, 4), (3, 4)], ids=str)
def test_embeddings_without_variance_leave_the_shares_of_the_classes(shape):
    embeddings = np.full(shape, 0.7, dtype=np.float32)
    codes = np.arange(len(embeddings)) % 3 // 2
    head = solve_head(embeddings, codes, np.ones(len(embeddings)), 2, 1.0)
    np.testing.assert_allclose(probabilities(head, embeddings), np.tile([2 / 3, 1 / 3], (len(codes), 1)))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_standardised_coordinates_give_the_same_logits(n_classes):
    embeddings, codes = make_embeddings(100, 30, n_classes)
    head = solve_head(embeddings, codes, uneven_weights(100), n_classes, 0.1)
    assert head.coef.shape == ((1, 30) if n_classes == 2 else (4, 30))
    assert head.standardised_coef.shape == (n_classes, 30)
    standardised = (embeddings - head.mean) / head.scale
    logits = standardised @ head.standardised_coef.T + head.standardised_intercept
    np.testing.assert_allclose(logits, head.logits(embeddings), atol=1e-10)


def test_mean_and_scale_are_weighted():
    embeddings, codes = make_embeddings(100, 30, 2)
    weights = uneven_weights(100)
    head = solve_head(embeddings, codes, weights, 2, 0.1)
    scaler = StandardScaler().fit(embeddings.astype(np.float64), sample_weight=weights)
    np.testing.assert_allclose(head.mean, scaler.mean_)
    np.testing.assert_allclose(head.scale, scaler.scale_)


@pytest.mark.parametrize("n_classes", [2, 7])
def test_logits_of_a_row_do_not_depend_on_the_others(n_classes, monkeypatch):
    embeddings, codes = make_embeddings(400, 333, n_classes)
    head = solve_head(embeddings, codes, np.ones(400), n_classes, 0.1)
    together = head.logits(embeddings)
    assert together.dtype == np.float64
    assert together.shape == (400, n_classes)
    for size in (1, 2, 3, 7, 16, 31, 64, 100, 399):
        parts = [head.logits(embeddings[start : start + size]) for start in range(0, 400, size)]
        assert (np.concatenate(parts) == together).all(), size
    assert (head.logits(embeddings[::-3]) == together[::-3]).all()
    assert (head.logits(np.asfortranarray(embeddings)) == together).all()
    monkeypatch.setattr(_axes, "_BLOCK_BYTES", 8 * 333 * 5)
    assert (head.logits(embeddings) == together).all()
    assert head.logits(embeddings[:0]).shape == (0, n_classes)


def test_the_limit_of_steps_is_reported(monkeypatch):
    embeddings, codes = make_embeddings(100, 30, 2)
    monkeypatch.setattr(_head, "_MAX_ITER", 2)
    head = solve_head(embeddings, codes, np.ones(100), 2, 10.0)
    assert (head.converged, head.n_iter) == (False, 2)
    assert np.isfinite(head.coef).all()


def test_a_head_survives_a_pickle():
    embeddings, codes = make_embeddings(50, 20, 2)
    head = solve_head(embeddings, codes, np.ones(50), 2, 1.0)
    assert (pickle.loads(pickle.dumps(head)).logits(embeddings) == head.logits(embeddings)).all()


@pytest.mark.parametrize("shape", [(300, 40), (60, 200)], ids=str)
def test_nothing_depends_on_what_was_solved_before(shape):
    embeddings, codes = make_embeddings(*shape, 3)
    weights = uneven_weights(len(codes))
    _axes.cache.clear()
    fresh = solve_head(embeddings, codes, weights, 3, 0.1)
    fresh.mean[:] = fresh.scale[:] = -1  # what the caller does to his own is his affair
    for C in (10.0, 1e-3):
        solve_head(embeddings, codes, weights, 3, C)
    cached = solve_head(embeddings.copy(), codes, weights, 3, 0.1)
    assert (cached.coef == fresh.coef).all()
    assert (cached.intercept == fresh.intercept).all()
    assert cached.mean.min() > 0


def test_arguments_are_not_changed():
    embeddings, codes = make_embeddings(60, 80, 3)
    weights = uneven_weights(60)
    weights[3] = 0
    before = embeddings.copy(), codes.copy(), weights.copy()
    for array in (embeddings, codes, weights):
        array.flags.writeable = False
    solve_head(embeddings, codes, weights, 3, 0.1)
    assert all((old == new).all() for old, new in zip(before, (embeddings, codes, weights), strict=True))
