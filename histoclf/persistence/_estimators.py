"""Estimators taken apart and put together: parameters, what was learned, what metadata was asked for."""

from __future__ import annotations

from typing import Any

from sklearn import config_context

_ROUTING = "_metadata_request"  # where scikit-learn keeps what set_fit_request and its kind were told


def take_apart(estimator: Any) -> dict[str, Any]:
    """Return the parts of an estimator: every attribute that is not a parameter was learned."""
    params = estimator.get_params(deep=False)
    learned = {name: value for name, value in estimator.__getstate__().items() if name not in params}
    learned.pop(_ROUTING, None)
    return {"params": params, "learned": learned, "routing": _requests(estimator)}


def put_together(cls: Any, parts: dict[str, Any]) -> Any:
    """Undo `take_apart`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the parts are not those of such an estimator.
    """
    shadowed = [name for name in parts["learned"] if hasattr(cls, name)]
    if shadowed:
        raise ValueError(f"{shadowed} would replace what the class defines")
    estimator = cls(**parts["params"])
    estimator._validate_params()
    estimator.__setstate__(parts["learned"])
    _request(estimator, parts["routing"])
    return estimator


def _requests(estimator: Any) -> dict[str, dict[str, Any]]:
    """Return what metadata was asked for, by method; empty where nothing but the default was."""
    if _ROUTING not in vars(estimator):
        return {}
    routing = estimator.get_metadata_routing()
    methods = [name for name in vars(routing) if hasattr(estimator, f"set_{name}_request")]
    return {name: dict(getattr(routing, name).requests) for name in methods}


def _request(estimator: Any, requests: dict[str, dict[str, Any]]) -> None:
    with config_context(enable_metadata_routing=True):
        for method, wanted in requests.items():
            getattr(estimator, f"set_{method}_request")(**wanted)
