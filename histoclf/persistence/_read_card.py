"""Read the model card of a file; loads neither TensorFlow nor scikit-learn."""

from __future__ import annotations

import os
from typing import Any

from histoclf.exceptions import ModelFileError
from histoclf.persistence._document import read_document


def read_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what a model file says about its model.

    The checksum is verified. The model is not loaded, so it takes no time and no TensorFlow.

    Parameters
    ----------
    path : str or path-like
        File that `save_model` wrote.

    Returns
    -------
    card : dict
        Sections by name: "model_details", "intended_use", "restriction", "factors", "input", "classes",
        "training_data", "evaluation" (None if it was saved without), "ethical_considerations" and "caveats".
        Strings, numbers, lists and dicts only. For a file from before there were cards, what its model tells.

    Raises
    ------
    ModelFileError
        If the file was cut short or altered, is no model file, or is from a newer version of histoclf.
    FileNotFoundError
        If there is no such file; it names the nearest one.

    See Also
    --------
    save_model : Writes the card.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf import HistoEmbedder, make_patches, read_card, save_model
    >>> made = make_patches(n_patients=1, patches_per_patient=2, image_size=32, random_state=0)
    >>> embedder = HistoEmbedder(weights=None, random_state=0).fit(made.images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(embedder, f"{folder}/embedder.histoclf")
    ...     card = read_card(f"{folder}/embedder.histoclf")
    >>> card["model_details"]["class"], card["input"]["units"]
    ('HistoEmbedder', '0-255')
    """
    card = read_document(path, _take_card, arrays=False)
    return _make_card(path) if card is None else card


def _take_card(document: dict[str, Any], arrays: list[Any]) -> dict[str, Any] | None:
    card = document.get("card")
    if card is not None and not isinstance(card, dict):
        raise ModelFileError("its card is no card, so histoclf did not write it")
    return card


def _make_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe the model of an older file as far as it goes; what it was made with is not known."""
    from histoclf.persistence._card import build_card
    from histoclf.persistence._model_file import load_model

    card = build_card(load_model(path))
    card["model_details"]["packages"] = {}
    card["caveats"].append("The file is older than model cards: its training data is not described.")
    return card
