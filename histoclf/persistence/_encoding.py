"""Values to JSON and back, by one written rule a type; arrays are kept beside the JSON.

None, booleans, integers, finite floats, strings and lists stand for themselves. Everything else is an object
``{"type": name, "parts": ...}`` whose parts are again made of these. A type without a rule is refused, on the
way out as on the way in, which is what makes a file harmless: it can only ask for what is listed here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from histoclf.persistence._estimators import put_together, take_apart
from histoclf.persistence._registry import ESTIMATORS, RECORDS

_PLAIN = (type(None), bool, int, str)


class _Rule(NamedTuple):
    """How one type is taken apart and put together again."""

    to_parts: Callable[[Any], Any]
    from_parts: Callable[[Any], Any]


class Encoder:
    """Turns values into JSON, and collects the arrays that it meets.

    Attributes
    ----------
    arrays : list of ndarray
        What ``{"type": "array"}`` objects point to, by position.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def encode(self, value: Any, name: str) -> Any:
        """Encode a value; `name` says in an error where it was found."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        kind = type(value)
        if kind in _PLAIN or (kind is float and math.isfinite(value)):
            return value
        if kind is list:
            return [self.encode(item, f"{name}[{position}]") for position, item in enumerate(value)]
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            self.arrays.append(np.asarray(value))
            return {"type": "array", "parts": len(self.arrays) - 1}
        if ESTIMATORS.get(kind.__name__) is kind:
            return {"type": kind.__name__, "parts": self.encode_estimator(value)}
        rule = _name_of_rule(value)
        if rule is None:
            raise TypeError(
                f"{name} is of type {kind.__qualname__!r}, for which model files have no rule. Expected "
                "numbers, strings, arrays and containers of these; change it, or use joblib.dump, which "
                "stores any object (load such files only from people you trust: they can run code)."
            )
        return {"type": rule, "parts": self.encode(_RULES[rule].to_parts(value), name)}

    def encode_estimator(self, estimator: Any) -> dict[str, Any]:
        """Encode parameters and what was learned; metadata requests are plain as they are."""
        parts = take_apart(estimator)
        return {
            "params": {name: self.encode(value, name) for name, value in parts["params"].items()},
            "learned": {name: self.encode(value, name) for name, value in parts["learned"].items()},
            "routing": parts["routing"],
        }


def decode(code: Any, arrays: list[np.ndarray]) -> Any:
    """Undo `Encoder.encode`.

    Raises
    ------
    KeyError, IndexError, TypeError, ValueError
        If the code is not what an encoder writes.
    """
    if type(code) is float or type(code) in _PLAIN:
        return code
    if type(code) is list:
        return [decode(item, arrays) for item in code]
    if code["type"] == "array":
        return arrays[code["parts"]]
    if code["type"] in ESTIMATORS:
        return decode_estimator(ESTIMATORS[code["type"]], code["parts"], arrays)
    return _RULES[code["type"]].from_parts(decode(code["parts"], arrays))


def decode_estimator(cls: Any, code: dict[str, Any], arrays: list[np.ndarray]) -> Any:
    """Undo `Encoder.encode_estimator`.

    Raises
    ------
    KeyError, IndexError, TypeError, ValueError
        If the code is not what an encoder writes.
    """
    params = {name: decode(part, arrays) for name, part in code["params"].items()}
    learned = {name: decode(part, arrays) for name, part in code["learned"].items()}
    return put_together(cls, {"params": params, "learned": learned, "routing": code["routing"]})


def _name_of_rule(value: Any) -> str | None:
    if isinstance(value, np.ndarray):
        return "object array" if value.dtype == object else None
    if isinstance(value, np.generic):
        return "scalar"
    name = type(value).__name__
    return name if _TYPES.get(name) is type(value) else None


def _take_object_array_apart(array: np.ndarray) -> list[Any]:
    return [list(array.shape), array.ravel().tolist()]


def _build_object_array(parts: list[Any]) -> np.ndarray:
    shape, items = parts
    array = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):  # assigning the whole list would try to stack its items
        array[position] = item
    return array.reshape(shape)


def _take_random_state_apart(random_state: np.random.RandomState) -> dict[str, Any]:
    state = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise TypeError(
            f"random_state draws from {state['bit_generator']}, for which model files have no rule. Expected "
            "an int or a plain np.random.RandomState; set_params(random_state=0) before saving."
        )
    return state


def _build_random_state(state: dict[str, Any]) -> np.random.RandomState:
    random_state = np.random.RandomState()
    random_state.set_state(state)
    return random_state


def _fields(record: Any) -> dict[str, Any]:
    return dict(vars(record))


def _build_record(cls: type, fields: dict[str, Any]) -> Any:
    record = cls(**fields)
    if hasattr(record, "check_loaded"):  # a backbone may be of anybody's making
        record.check_loaded()
    return record


_TYPES: dict[str, type] = {
    "tuple": tuple,
    "dict": dict,
    "float": float,
    "RandomState": np.random.RandomState,
    **RECORDS,
}
_RULES: dict[str, _Rule] = {
    "tuple": _Rule(list, tuple),
    "dict": _Rule(lambda mapping: [list(pair) for pair in mapping.items()], dict),
    "float": _Rule(str, float),  # NaN and infinity, for which JSON has no words
    "scalar": _Rule(np.asarray, lambda array: array[()]),
    "object array": _Rule(_take_object_array_apart, _build_object_array),
    "RandomState": _Rule(_take_random_state_apart, _build_random_state),
    **{name: _Rule(_fields, partial(_build_record, cls)) for name, cls in RECORDS.items()},
}
