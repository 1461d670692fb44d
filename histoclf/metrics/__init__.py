"""Scores of patches that come in patients: weighted, within patients, and with intervals over patients."""

from histoclf.metrics._bootstrap import bootstrap_patients, percentile_interval
from histoclf.metrics._calibration import (
    weighted_brier_score,
    weighted_calibration_error,
    weighted_log_loss,
)
from histoclf.metrics._jackknife import jackknife_interval, leave_out_patients
from histoclf.metrics._paired import accuracy_contributions, holm, sign_flip_test
from histoclf.metrics._patients import (
    patient_accuracy,
    patient_probabilities,
    patient_votes,
    within_patient_auc,
)
from histoclf.metrics._proportions import mean_share, wilson_interval
from histoclf.metrics._rates import weighted_rates
from histoclf.metrics._weighted import (
    weighted_accuracy,
    weighted_auc,
    weighted_average_precision,
    weighted_balanced_accuracy,
)

__all__ = [
    "accuracy_contributions",
    "bootstrap_patients",
    "holm",
    "jackknife_interval",
    "leave_out_patients",
    "mean_share",
    "patient_accuracy",
    "patient_probabilities",
    "patient_votes",
    "percentile_interval",
    "sign_flip_test",
    "weighted_accuracy",
    "weighted_auc",
    "weighted_average_precision",
    "weighted_balanced_accuracy",
    "weighted_brier_score",
    "weighted_calibration_error",
    "weighted_log_loss",
    "weighted_rates",
    "wilson_interval",
    "within_patient_auc",
]
