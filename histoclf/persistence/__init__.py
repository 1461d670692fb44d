"""Fitted classifiers on disk, without pickle."""

from histoclf.persistence._model_file import load_model, save_model

__all__ = ["load_model", "save_model"]
