"""Weights in NumPy's own format: those that come with this package, and those that a user made like them."""

from __future__ import annotations

import hashlib
import io
import os
from importlib.resources import files

import keras
import numpy as np

_FOLDER = files("histoclf.networks") / "weights"
# Of the file of each backbone whose weights come with this package. A card of the same name lies beside it.
_SHA256: dict[str, str] = {}


def read_packaged(model: keras.Model, name: str) -> list[np.ndarray]:
    """Read the weights of a backbone that come with this package.

    Parameters
    ----------
    model : keras.Model
        The backbone, which they must fit.
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
    file = _FOLDER / f"{name}.npz"
    cure = (
        "Install the package again (pip install --force-reinstall --no-deps histoclf), pass a whole file as "
        "weights=PATH, or choose another backbone."
    )
    try:
        data = file.read_bytes()
    except OSError as error:
        raise FileNotFoundError(
            f"The weights of backbone {name!r}, which come with histoclf, are missing: there is no readable "
            f"{str(file)!r}. {cure}"
        ) from error
    found, expected = hashlib.sha256(data).hexdigest(), _SHA256.get(name, "none")
    if found != expected:
        raise OSError(
            f"The weights of backbone {name!r}, which come with histoclf, are damaged: {str(file)!r} has "
            f"{len(data):,} bytes of SHA-256 {found[:16]}, expected {expected[:16]}. {cure}"
        )
    return read_arrays(model, data)


def read_arrays(model: keras.Model, data: bytes) -> list[np.ndarray]:
    """Read what `write_arrays` wrote, as float32.

    Raises
    ------
    ValueError
        If it is nothing of the kind, or does not fit the network; it names the first difference.
    """
    arrays = _load(data)
    expected = model.get_weights()
    if len(arrays) != len(expected):
        raise ValueError(f"it holds {len(arrays)} arrays, expected {len(expected)}.")
    for variable, array, (name, found) in zip(model.weights, expected, arrays.items(), strict=True):
        if found.shape != array.shape or found.dtype.kind != "f":
            raise ValueError(
                f"the first that differs is {variable.path!r} {array.shape}, in the file {name!r} "
                f"{found.shape} of type {found.dtype}."
            )
    return [found.astype("float32") for found in arrays.values()]


def write_arrays(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write the weights of a network: kernels as float16, and all else, which is little, as float32.

    The same network makes the same bytes.
    """
    stored = {}
    for position, (variable, array) in enumerate(zip(model.weights, model.get_weights(), strict=True)):
        kernel = array.ndim > 1
        if kernel and np.abs(array).max(initial=0.0) > np.finfo(np.float16).max:
            raise ValueError(f"{variable.path} holds numbers beyond the range of float16.")
        stored[f"{position:03d}.{_plain(variable.path)}"] = array.astype("float16" if kernel else "float32")
    with open(path, "wb") as file:
        np.savez_compressed(file, **stored)


def _load(data: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy and zipfile raise many kinds
        raise ValueError("it is no whole archive of NumPy arrays.") from error


def _plain(path: str) -> str:
    """Name a variable without what zip tools take for folders."""
    return path.replace("/", ".")
