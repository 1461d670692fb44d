"""Misspelt names."""

import inspect

import pytest

from histoclf import HistoCNNClassifier
from histoclf.classifiers._spelling import did_you_mean


def test_the_nearest_name_or_all_of_them():
    assert did_you_mean("epoch", ["epochs", "tol"]) == "; did you mean 'epochs'?"
    assert did_you_mean("xyz", ["tol", "epochs"]) == "; it has: epochs, tol."


def test_a_typo_in_the_constructor_gets_an_answer():
    with pytest.raises(TypeError, match=r"no parameter 'learnig_rate'; did you mean 'learning_rate'\?"):
        HistoCNNClassifier(learnig_rate=0.1)


@pytest.mark.parametrize("name", ["augmentatoin", "augmentatoin__stain"])
def test_a_typo_in_set_params_gets_an_answer(name):
    with pytest.raises(ValueError, match=r"Invalid parameter .* did you mean 'augmentation'\?"):
        HistoCNNClassifier().set_params(**{name: 0.1})


def test_a_typo_in_a_nested_name_gets_an_answer():
    from histoclf import Augmentation

    with pytest.raises(ValueError, match=r"Invalid parameter 'stian'.*stain"):
        HistoCNNClassifier(augmentation=Augmentation()).set_params(augmentation__stian=0.1)


def test_the_signature_stays_readable():
    assert "learning_rate" in inspect.signature(HistoCNNClassifier).parameters
