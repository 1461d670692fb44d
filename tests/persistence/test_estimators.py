"""Estimators taken apart and put together."""

import numpy as np
import pytest
from sklearn import config_context

from histoclf import HistoEmbedder, SlideContextClassifier
from histoclf.persistence._estimators import put_together, take_apart
from tests.tiny import textures, tiny_cnn, tiny_transfer

X, y = textures(16)
TABLE = X[:, 0, :4, 0].astype("float64")


def fitted():
    return tiny_transfer().fit(TABLE, y)


def test_what_is_no_parameter_was_learned():
    clf = fitted()
    parts = take_apart(clf)
    assert parts["params"] == clf.get_params(deep=False)
    assert "classes_" in parts["learned"]
    assert not parts["learned"].keys() & parts["params"].keys()
    assert parts["routing"] == {}


def test_it_is_put_together_again():
    clf = fitted()
    again = put_together(type(clf), take_apart(clf))
    assert again.get_params() == clf.get_params()
    np.testing.assert_array_equal(again.predict_proba(TABLE), clf.predict_proba(TABLE))


def test_requests_for_metadata_are_told_apart_from_the_default():
    with config_context(enable_metadata_routing=True):
        clf = tiny_cnn().set_fit_request(groups=True).set_score_request(sample_weight="weights")
    parts = take_apart(clf)
    assert parts["routing"]["fit"]["groups"] is True
    assert parts["routing"]["score"] == {"sample_weight": "weights"}
    assert "_metadata_request" not in parts["learned"]
    again = put_together(type(clf), parts)
    assert take_apart(again)["routing"] == parts["routing"]


def test_requests_of_a_wrapper_include_positions():
    with config_context(enable_metadata_routing=True):
        clf = (
            SlideContextClassifier(tiny_cnn())
            .set_fit_request(coords=True)
            .set_predict_proba_request(groups=True)
        )
    routing = take_apart(put_together(type(clf), take_apart(clf)))["routing"]
    assert routing["fit"]["coords"] is True
    assert routing["predict_proba"]["groups"] is True


@pytest.mark.parametrize("name", ["fit", "predict_proba", "coef_", "_solve", "__class__", "backbone_"])
def test_nothing_learned_may_replace_what_the_class_defines(name):
    parts = take_apart(fitted())
    parts["learned"][name] = 1
    with pytest.raises(ValueError, match="would replace what the class defines"):
        put_together(type(fitted()), parts)


@pytest.mark.parametrize("params", [{"C": -1}, {"no_such_parameter": 1}, {"head": "svm"}])
def test_parameters_are_validated(params):
    parts = take_apart(fitted())
    parts["params"] |= params
    with pytest.raises((TypeError, ValueError)):
        put_together(type(fitted()), parts)


def test_the_weights_that_a_parameter_holds_are_not_taken_twice():
    from tests.tiny import tiny_backbone

    embedder = HistoEmbedder(tiny_backbone(), engine="keras", image_size=16).fit(X)
    assert take_apart(embedder)["learned"]["_extractor"].weights == []
