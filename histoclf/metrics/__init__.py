"""Scores of patches that come in patients: weighted, within patients, and with intervals over patients."""

from histoclf.metrics._bootstrap import bootstrap_patients, percentile_interval
from histoclf.metrics._patients import (
    patient_accuracy,
    patient_probabilities,
    within_patient_auc,
)
from histoclf.metrics._proportions import mean_share, wilson_interval
from histoclf.metrics._weighted import weighted_accuracy, weighted_auc, weighted_balanced_accuracy

__all__ = [
    "bootstrap_patients",
    "mean_share",
    "patient_accuracy",
    "patient_probabilities",
    "percentile_interval",
    "weighted_accuracy",
    "weighted_auc",
    "weighted_balanced_accuracy",
    "wilson_interval",
    "within_patient_auc",
]
