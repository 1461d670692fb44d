"""scikit-learn's own checks."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_classifiers_train, parametrize_with_checks

from histoclf import HistoCNNClassifier, HistoEmbedder, HistoTransferClassifier
from tests.tiny import textures, tiny_cnn, tiny_embedder, tiny_transfer

EXPECTED_FAILED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "training is stochastic: the order of the rows, and what each row drops, are drawn, so a row given "
        "twice is drawn for twice; without randomness weights equal repetitions, as the test below shows"
    )
}


def expected_failures(estimator):
    trained = isinstance(estimator, HistoCNNClassifier) or getattr(estimator, "head", "") == "mlp"
    return EXPECTED_FAILED if trained else {}


# The checks' random labels cannot be learned.
pytestmark = pytest.mark.filterwarnings("ignore::histoclf.exceptions.CollapsedModelWarning")


@parametrize_with_checks(
    [
        # The checks ask for accuracy on rows of two numbers; a tiny network reads them best batch-normalised.
        tiny_cnn(epochs=15, batch_size=16, normalization="batch"),
        tiny_transfer(),  # the rows are embeddings to it
        tiny_embedder(),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        # By default few rows are shown 150 times; 15 do, as scikit-learn checks its own with fewer steps.
        HistoCNNClassifier(epochs=15),
        HistoTransferClassifier(),
        # In full, early stopping would train on a part of the few rows that the checks want to see learned.
        HistoTransferClassifier(head="mlp", early_stopping=False, batch_size=8, epochs=20),
        HistoEmbedder(),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_finds_nothing_to_complain_about_by_default(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_by_default_the_network_is_trained_long_enough_for_scikit_learn():
    check_classifiers_train("HistoCNNClassifier", HistoCNNClassifier(), X_dtype="float32")


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_without_randomness_a_weight_of_two_is_a_row_given_twice(class_weight):
    X, y = textures(32)
    weights = np.tile([0.0, 1.0, 2.0, 3.0], 8)[np.random.default_rng(0).permutation(32)]
    rows = np.repeat(np.arange(32), weights.astype(int))
    params = {"dropout": 0.0, "batch_size": 1000, "epochs": 5, "class_weight": class_weight}
    weighted = tiny_cnn(**params).fit(X, y, sample_weight=weights)
    repeated = tiny_cnn(**params).fit(X[rows], y[rows])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)
    plain = tiny_cnn(**params).fit(X, y)
    assert np.abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 0.01
