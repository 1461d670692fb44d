"""Pictures of what was learned and answered, and pages for people; they need the extra ``report``."""

from histoclf.report._augmentation import AugmentationDisplay
from histoclf.report._calibration import PatientCalibrationDisplay
from histoclf.report._errors import ErrorsDisplay
from histoclf.report._gradcam import GradCAMDisplay
from histoclf.report._history import TrainingHistoryDisplay
from histoclf.report._learning_curve import PatientLearningCurveDisplay
from histoclf.report._patients import PatientScoresDisplay
from histoclf.report._slide_map import SlideMapDisplay

__all__ = [
    "AugmentationDisplay",
    "ErrorsDisplay",
    "GradCAMDisplay",
    "PatientCalibrationDisplay",
    "PatientLearningCurveDisplay",
    "PatientScoresDisplay",
    "SlideMapDisplay",
    "TrainingHistoryDisplay",
]
