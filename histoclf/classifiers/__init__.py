"""Classifiers with scikit-learn's contract."""

from histoclf.classifiers._cnn import HistoCNNClassifier
from histoclf.classifiers._label_cleaning import LabelCleaningClassifier, clean_scorer

__all__ = ["HistoCNNClassifier", "LabelCleaningClassifier", "clean_scorer"]
