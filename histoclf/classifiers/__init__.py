"""Classifiers with scikit-learn's contract."""

from histoclf.classifiers._cnn import HistoCNNClassifier
from histoclf.classifiers._embedder import HistoEmbedder
from histoclf.classifiers._label_cleaning import LabelCleaningClassifier, clean_scorer
from histoclf.classifiers._slide_context import SlideContextClassifier
from histoclf.classifiers._transfer import HistoTransferClassifier

__all__ = [
    "HistoCNNClassifier",
    "HistoEmbedder",
    "HistoTransferClassifier",
    "LabelCleaningClassifier",
    "SlideContextClassifier",
    "clean_scorer",
]
