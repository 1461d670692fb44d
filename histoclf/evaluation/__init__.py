"""How good a classifier is on patients it has never seen, beside what needs no classifier."""

from histoclf.evaluation._baselines import mean_colours
from histoclf.evaluation._evaluate import evaluate
from histoclf.evaluation._label_review import LabelIssue, LabelReview
from histoclf.evaluation._result import Evaluation
from histoclf.evaluation._rows import Row

__all__ = ["Evaluation", "LabelIssue", "LabelReview", "Row", "evaluate", "mean_colours"]
