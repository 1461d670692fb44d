"""Fitted classifiers on disk, without pickle. Lazy, so that a model card is read without the classifiers."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from histoclf.persistence._model_file import load_model, save_model
    from histoclf.persistence._read_card import read_card

__all__ = ["load_model", "read_card", "save_model"]

_MODULE_OF = {"load_model": "_model_file", "read_card": "_read_card", "save_model": "_model_file"}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
