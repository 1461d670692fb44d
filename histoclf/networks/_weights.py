"""Weights from files and from chance, for a network that is built."""

from __future__ import annotations

import os
import re
import textwrap
import warnings
from itertools import zip_longest
from typing import Any

import keras
import numpy as np

from histoclf.networks._histology import read_weights

Weights = list[np.ndarray]

_STDDEV_RGB = np.array([0.229, 0.224, 0.225])  # of ImageNet
_EFFICIENTNET_FILE = re.compile(r"efficientnetb\d_notop\.h5")  # what Keras calls those that it publishes
_LONGEST_QUOTE = 400  # characters of what Keras says; it may print whole arrays


def other_weights(model: keras.Model, name: str, weights: Any, seed: int) -> Weights:
    """Draw weights if none are given, else read them from a file, which must fit in every layer."""
    if weights is None:
        return _random_weights(model, np.random.default_rng(seed))
    path = os.fspath(weights)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"weights={path!r}: there is no such file. Expected 'auto', 'histology', 'imagenet', the path "
            "of a '.h5', '.weights.h5' or '.npz' file, or None for random weights."
        )
    try:
        if path.endswith(".npz"):
            return read_weights(model, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about each part of a file that does not fit, before the error
            model.load_weights(path)
    except Exception as error:  # Keras raises many kinds
        raise ValueError(
            f"weights={path!r} do not fit backbone {name}: {_first_difference(model, path) or quote(error)} "
            "Expected weights of the same network, saved without its classification layer; check "
            "backbone_params (alpha) and the file's name."
        ) from error
    return model.get_weights()


def _first_difference(model: keras.Model, path: str) -> str:
    """Name the first layer of another shape in a file of Keras' old kind; of others Keras' own words do."""
    import h5py  # comes with Keras

    if not h5py.is_hdf5(path):
        return ""
    with h5py.File(path) as file:
        group = file.get("model_weights", file)
        names = [_text(name) for name in group.attrs.get("layer_names", [])]
        weights = {name: group[name].attrs["weight_names"] for name in names}
        found = [(name, [group[name][_text(w)].shape for w in weights[name]]) for name in names]
    expected = [(layer.name, [tuple(w.shape) for w in layer.weights]) for layer in model.layers]
    for ours, theirs in zip_longest(*([pair for pair in pairs if pair[1]] for pairs in (expected, found))):
        if names and (ours is None or theirs is None or sorted(ours[1]) != sorted(theirs[1])):
            return f"the first that differs is layer {_layer(ours)}, in the file {_layer(theirs)}."
    return ""


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _layer(pair: tuple[str, list[tuple[int, ...]]] | None) -> str:
    return f"{pair[0]!r} {pair[1]}" if pair else "missing"


def _random_weights(model: keras.Model, generator: np.random.Generator) -> Weights:
    """Draw kernels after He et al. (2015); everything else starts as the layers start it."""
    arrays = model.get_weights()
    for position, (variable, start) in enumerate(zip(model.weights, arrays, strict=True)):
        if start.ndim < 2 or not variable.path.endswith("kernel"):
            continue
        depthwise = "depthwise" in variable.path or start.shape[-1] == 1
        fan_in = np.prod(start.shape[:2] if depthwise else start.shape[:-1])
        arrays[position] = generator.normal(0.0, np.sqrt(2.0 / fan_in), start.shape).astype("float32")
    return arrays


def needs_rescaling(factory: str, weights: Any) -> bool:
    """Tell the files that Keras published for EfficientNet from those that anybody saved."""
    published = weights is not None and _EFFICIENTNET_FILE.fullmatch(os.path.basename(weights))
    return factory.startswith("EfficientNetB") and (weights == "imagenet" or bool(published))


def fold_rescaling(model: keras.Model, arrays: Weights) -> None:
    """Put into the variance what Keras keeps out of its file.

    With `weights="imagenet"`, and only then, it divides by one more standard deviation in a layer of its own,
    which a network built without them lacks.
    """
    for position, variable in enumerate(model.weights):
        if variable.path.endswith("/variance"):
            arrays[position] = (arrays[position] * _STDDEV_RGB).astype("float32")


def quote(error: Exception) -> str:
    """Shorten what Keras says."""
    return textwrap.shorten(str(error), _LONGEST_QUOTE, placeholder=" ...")
