"""What the methods of somebody's estimator take beside X and y."""

from __future__ import annotations

from inspect import signature
from typing import Any

from sklearn import get_config
from sklearn.utils.metadata_routing import get_routing_for_object


def takes(estimator: Any, method: str, name: str) -> bool:
    """Whether a method takes a parameter such as ``groups``, by name or by metadata routing.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> takes(LogisticRegression(), "fit", "sample_weight"), takes(LogisticRegression(), "fit", "groups")
    (True, False)
    """
    if name in signature(getattr(estimator, method)).parameters:
        return True
    if not get_config()["enable_metadata_routing"]:
        return False
    return bool(get_routing_for_object(estimator).consumes(method, [name]))
