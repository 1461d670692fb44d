from sklearn import config_context
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoclf import HistoCNNClassifier
from histoclf.classifiers._metadata import takes


def test_what_a_method_takes_by_name():
    assert takes(HistoCNNClassifier(), "fit", "groups")
    assert not takes(HistoCNNClassifier(), "predict_proba", "groups")
    assert not takes(DummyClassifier(), "fit", "groups")


def test_what_a_pipeline_takes_is_a_matter_of_routing():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert not takes(pipeline, "fit", "sample_weight")
    with config_context(enable_metadata_routing=True):
        assert not takes(pipeline, "fit", "sample_weight")
        asking = LogisticRegression().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        assert takes(make_pipeline(scaler, asking), "fit", "sample_weight")
