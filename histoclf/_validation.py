"""The one door to scikit-learn's private API.

Everything here may move between scikit-learn releases; keeping it in one place means that one module has
to follow. Public scikit-learn API is imported where it is used.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
]
