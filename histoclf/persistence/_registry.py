"""What a model file may hold: the one list that decides which classes a file can bring to life."""

from __future__ import annotations

from typing import Any

from histoclf.classifiers._cnn import HistoCNNClassifier
from histoclf.classifiers._contract import InputContract
from histoclf.classifiers._embedder import HistoEmbedder
from histoclf.classifiers._features import Extractor
from histoclf.classifiers._head import LinearHead
from histoclf.classifiers._reading import InputFormat
from histoclf.classifiers._slide_context import SlideContextClassifier
from histoclf.classifiers._transfer import HistoTransferClassifier
from histoclf.networks._catalogue import Backbone
from histoclf.preprocessing._augmentation import Augmentation

# A new estimator is one more name here.
ESTIMATORS: dict[str, Any] = {
    cls.__name__: cls
    for cls in (HistoCNNClassifier, HistoEmbedder, HistoTransferClassifier, SlideContextClassifier)
}

# Objects inside a classifier that are nothing but named fields, which their constructor takes by name.
RECORDS: dict[str, Any] = {
    cls.__name__: cls for cls in (Augmentation, Backbone, Extractor, InputContract, InputFormat, LinearHead)
}
