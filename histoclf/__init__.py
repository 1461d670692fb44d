"""Scikit-learn classifiers for histology patches.

The names below are loaded when they are first used, so that ``import histoclf`` is quick and loads no
TensorFlow. Errors and warnings are in :mod:`histoclf.exceptions`.
"""

import difflib
import importlib
from typing import TYPE_CHECKING

from histoclf import exceptions

if TYPE_CHECKING:
    from histoclf.audit._duplicates import find_duplicates
    from histoclf.audit._leakage import assert_no_leakage, audit_cv, audit_split
    from histoclf.audit._splitter import StratifiedPatientKFold
    from histoclf.classifiers._cnn import HistoCNNClassifier
    from histoclf.classifiers._embedder import HistoEmbedder
    from histoclf.classifiers._label_cleaning import LabelCleaningClassifier, clean_scorer
    from histoclf.classifiers._label_corrections import LabelCorrections
    from histoclf.classifiers._slide_context import SlideContextClassifier
    from histoclf.classifiers._transfer import HistoTransferClassifier
    from histoclf.datasets._synthetic import make_patches
    from histoclf.evaluation._compare import compare
    from histoclf.evaluation._evaluate import evaluate
    from histoclf.evaluation._review import review_labels
    from histoclf.io._image_loader import ImageLoader
    from histoclf.io._patches import find_patches
    from histoclf.persistence._model_file import load_model, save_model
    from histoclf.persistence._read_card import read_card
    from histoclf.preprocessing._augmentation import Augmentation
    from histoclf.preprocessing._labels import LabelCleaner
    from histoclf.preprocessing._scaling import PixelScaler
    from histoclf.preprocessing._stains import StainNormalizer
    from histoclf.report._augmentation import AugmentationDisplay
    from histoclf.report._calibration import PatientCalibrationDisplay
    from histoclf.report._errors import ErrorsDisplay
    from histoclf.report._gradcam import GradCAMDisplay
    from histoclf.report._history import TrainingHistoryDisplay
    from histoclf.report._learning_curve import PatientLearningCurveDisplay
    from histoclf.report._patients import PatientScoresDisplay
    from histoclf.report._slide_map import SlideMapDisplay

__version__ = "0.1.0"

__all__ = [
    "Augmentation",
    "AugmentationDisplay",
    "ErrorsDisplay",
    "GradCAMDisplay",
    "HistoCNNClassifier",
    "HistoEmbedder",
    "HistoTransferClassifier",
    "ImageLoader",
    "LabelCleaner",
    "LabelCleaningClassifier",
    "LabelCorrections",
    "PatientCalibrationDisplay",
    "PatientLearningCurveDisplay",
    "PatientScoresDisplay",
    "PixelScaler",
    "SlideContextClassifier",
    "SlideMapDisplay",
    "StainNormalizer",
    "StratifiedPatientKFold",
    "TrainingHistoryDisplay",
    "__version__",
    "assert_no_leakage",
    "audit_cv",
    "audit_split",
    "clean_scorer",
    "compare",
    "evaluate",
    "exceptions",
    "find_duplicates",
    "find_patches",
    "load_model",
    "make_patches",
    "read_card",
    "review_labels",
    "save_model",
]

_MODULE_OF = {
    "Augmentation": "histoclf.preprocessing._augmentation",
    "AugmentationDisplay": "histoclf.report._augmentation",
    "ErrorsDisplay": "histoclf.report._errors",
    "GradCAMDisplay": "histoclf.report._gradcam",
    "HistoCNNClassifier": "histoclf.classifiers._cnn",
    "HistoEmbedder": "histoclf.classifiers._embedder",
    "HistoTransferClassifier": "histoclf.classifiers._transfer",
    "ImageLoader": "histoclf.io._image_loader",
    "LabelCleaner": "histoclf.preprocessing._labels",
    "LabelCleaningClassifier": "histoclf.classifiers._label_cleaning",
    "LabelCorrections": "histoclf.classifiers._label_corrections",
    "PatientCalibrationDisplay": "histoclf.report._calibration",
    "PatientLearningCurveDisplay": "histoclf.report._learning_curve",
    "PatientScoresDisplay": "histoclf.report._patients",
    "PixelScaler": "histoclf.preprocessing._scaling",
    "SlideContextClassifier": "histoclf.classifiers._slide_context",
    "SlideMapDisplay": "histoclf.report._slide_map",
    "StainNormalizer": "histoclf.preprocessing._stains",
    "StratifiedPatientKFold": "histoclf.audit._splitter",
    "TrainingHistoryDisplay": "histoclf.report._history",
    "assert_no_leakage": "histoclf.audit._leakage",
    "audit_cv": "histoclf.audit._leakage",
    "audit_split": "histoclf.audit._leakage",
    "clean_scorer": "histoclf.classifiers._label_cleaning",
    "compare": "histoclf.evaluation._compare",
    "evaluate": "histoclf.evaluation._evaluate",
    "find_duplicates": "histoclf.audit._duplicates",
    "find_patches": "histoclf.io._patches",
    "load_model": "histoclf.persistence._model_file",
    "make_patches": "histoclf.datasets._synthetic",
    "read_card": "histoclf.persistence._read_card",
    "review_labels": "histoclf.evaluation._review",
    "save_model": "histoclf.persistence._model_file",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        close = difflib.get_close_matches(name, _MODULE_OF, n=1)
        cure = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{cure}", name=name)
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazy names beside what is loaded already."""
    return sorted({*globals(), *__all__})
