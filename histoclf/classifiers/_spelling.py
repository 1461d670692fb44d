"""A misspelt parameter name gets an answer, not only a refusal."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def suggest_parameters(init: Callable[..., None]) -> Callable[..., None]:
    """Decorate ``__init__`` to name the nearest parameter when it is given one that it does not have."""
    names = [name for name in inspect.signature(init).parameters if name != "self"]

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in names:
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}{did_you_mean(name, names)}")
        init(self, *args, **kwargs)

    return wrapper


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of an error message: the nearest name, or all of them."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; it has: {', '.join(sorted(names))}."
