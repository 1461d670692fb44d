"""Weights that come with this package."""

from __future__ import annotations

import os
from importlib.resources import files

import keras
import numpy as np

from histoclf.networks._histology import read_weights

_FOLDER = str(files("histoclf.networks") / "weights")
# Of the file of each backbone whose weights come with this package. A card of the same name lies beside it.
_SHA256: dict[str, str] = {
    "histology": "bc9abb5855e17314b7192be69a6d0764d514e21744431e46534a01c1a68d787e",
}


def read_packaged(model: keras.Model, name: str) -> list[np.ndarray]:
    """Read the weights of a backbone that come with this package.

    Parameters
    ----------
    model : keras.Model
        The backbone, which they must fit; it is not changed.
    name : str
        What it is called in the catalogue.

    Returns
    -------
    weights : list of ndarray
        Float32, in the order of `keras.Model.get_weights`.

    Raises
    ------
    OSError
        If the file is missing, or not the one that was published.
    """
    path = os.path.join(_FOLDER, f"{name}.npz")
    whose = f"The weights of backbone {name!r}, which come with histoclf,"
    cure = (
        "Install the package again (pip install --force-reinstall --no-deps histoclf), pass a whole file as "
        "weights=PATH, or choose another backbone."
    )
    try:
        return read_weights(model, path, _SHA256.get(name, "none"))
    except OSError as error:
        raise FileNotFoundError(f"{whose} are missing: there is no readable {path!r}. {cure}") from error
    except ValueError as error:
        raise OSError(f"{whose} are damaged: {error} {cure}") from error
