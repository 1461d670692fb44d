"""How good a classifier is on patients it has never seen, beside what needs no classifier."""

from histoclf.evaluation._compare import EvaluationComparison, compare
from histoclf.evaluation._curve import CurvePoint, LearningCurve
from histoclf.evaluation._evaluate import evaluate
from histoclf.evaluation._identity import IdentityProbe
from histoclf.evaluation._inflation import Inflation
from histoclf.evaluation._label_review import LabelIssue, LabelReview
from histoclf.evaluation._paired import Comparison
from histoclf.evaluation._result import Evaluation
from histoclf.evaluation._rows import Row
from histoclf.evaluation._shortcuts import mean_colours

__all__ = [
    "Comparison",
    "CurvePoint",
    "Evaluation",
    "EvaluationComparison",
    "IdentityProbe",
    "Inflation",
    "LabelIssue",
    "LabelReview",
    "LearningCurve",
    "Row",
    "compare",
    "evaluate",
    "mean_colours",
]
