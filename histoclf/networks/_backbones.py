"""From what a user calls a backbone to a `Backbone` and its weights, and from there to a Keras network."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import random
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from histoclf.networks._catalogue import (
    APPLICATIONS,
    PREPROCESSING,
    Backbone,
    choose_weights,
    describe,
    find_application,
)
from histoclf.networks._histology import build_histology
from histoclf.networks._optional import require
from histoclf.networks._packaged import read_packaged
from histoclf.networks._recent import Recent
from histoclf.networks._runtime import fresh_names, python_random_kept
from histoclf.networks._weights import (
    Weights,
    fold_rescaling,
    needs_rescaling,
    other_weights,
    quote,
)

Resolved = tuple[Backbone, Weights]

_CHECKPOINT_SIDE = 224  # every network has a checkpoint of this size, and its weights fit every other size
_KEPT = ("auto", "imagenet")  # by which a network of the user's own keeps the weights that it has
_MAX_RESOLVED = 4  # backbones whose weights are kept for the next fit
_KERAS_HOME = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")

_resolved: Recent[Resolved] = Recent(_MAX_RESOLVED)
_lock = threading.RLock()


def resolve_backbone(
    backbone: Any,
    params: Mapping[str, Any] | None,
    weights: Any,
    seed: int,
    layers: Any = None,
) -> Resolved:
    """Find out what a backbone is, and load its weights.

    Parameters
    ----------
    backbone : str, path-like, keras.Model or callable
        Key of `APPLICATIONS`; a ``.keras`` or ``.onnx`` file; a network; a function that builds one, called
        with ``input_shape=(None, None, 3)`` and `params`; or ``hub:`` and the name of a KerasHub preset.
    params : mapping or None
        ``alpha`` of the networks that have it; ``preprocessing``, a key of `PREPROCESSING`, of the user's
        own.
    weights : "auto", "histology", "imagenet", path-like or None
        "auto" takes those that the backbone was published with, or that a preset or a network of the user's
        own has, and so does "imagenet" for these; None draws random ones.
    seed : int
        Of random weights.
    layers : str or sequence of str, default=None
        Names of the layers whose outputs count; "auto" are those that `APPLICATIONS` states, None is the
        last.

    Returns
    -------
    backbone : Backbone
        All but the weights.
    weights : list of ndarray
        In the order of `keras.Model.get_weights`; of an ONNX file its bytes. Not to be changed: fits share
        them.

    Raises
    ------
    ValueError
        If there is no such backbone or parameter, or a file of weights does not fit.
    OSError
        If weights are neither on this machine nor to be had.
    TypeError
        If `backbone` or `weights` is of another kind.
    MissingDependencyError
        If a package is missing that the file or the preset needs.
    """
    if not (weights is None or isinstance(weights, str | os.PathLike)):
        raise TypeError(
            f"weights={weights!r}: expected 'auto', 'histology', 'imagenet', the path of a file, or None."
        )
    params = dict(params or {})
    if layers != "auto":
        layers = (layers,) if isinstance(layers, str) else tuple(layers or ())
    key = _memory_key(backbone, params, weights, seed, layers)

    def resolve() -> Resolved:
        with python_random_kept():
            random.seed(seed)  # Keras draws from it what is no kernel, such as the tokens of a transformer
            return _resolve(backbone, params, weights, seed, layers)

    with _lock:
        return resolve() if key is None else _resolved.fetch(key, resolve)


def build_features(backbone: Backbone, side: tuple[int, int]) -> keras.Model:
    """Build the graph, with no weights worth anything yet: images as it wants them in, features out."""
    if backbone.kind == "application":
        return _cut(_build_application(backbone.name, dict(backbone.params), side), backbone.layers)
    return _rebuilt(backbone.name, backbone.config)


def load_into(model: keras.Model, weights: Weights) -> None:
    """Set weights, and tell layers that keep a copy of theirs: Keras forgets to."""
    model.set_weights(weights)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _memory_key(backbone: Any, params: dict[str, Any], weights: Any, seed: int, layers: Any) -> Any:
    """Tell when two calls must give the same; None for objects that may have changed in between."""
    if not isinstance(backbone, str | os.PathLike):
        return None
    settings = json.dumps(params, sort_keys=True, default=repr)
    return _stamp(backbone), settings, _stamp(weights), seed if weights is None else None, layers


def _stamp(source: Any) -> Any:
    """Name a file together with what changes when it is written anew."""
    if not isinstance(source, str | os.PathLike) or not os.path.isfile(source):
        return source
    status = os.stat(source)
    return os.path.abspath(source), status.st_mtime_ns, status.st_size


def _resolve(backbone: Any, params: dict[str, Any], weights: Any, seed: int, layers: Any) -> Resolved:
    if isinstance(backbone, str | os.PathLike):
        path = os.fspath(backbone)
        if path.startswith("hub:"):
            return _resolve_preset(path.removeprefix("hub:"), params, weights, seed, layers)
        if path.endswith(".onnx"):
            return _resolve_onnx(path, params, weights, layers)
        if path.endswith(".keras"):
            name = os.path.basename(path)
            return _resolve_network(_read_network(path), name, params, weights, seed, layers)
        return _resolve_application(path, params, weights, seed, layers)
    if isinstance(backbone, keras.Model):
        return _resolve_network(backbone, backbone.name, params, weights, seed, layers)
    if callable(backbone):
        return _resolve_callable(backbone, params, weights, seed, layers)
    raise TypeError(
        f"backbone={backbone!r} is a {type(backbone).__name__}. Expected a name, a '.keras' or '.onnx' "
        "file, a keras.Model, or a function that builds one."
    )


# -- networks of the catalogue -------------------------------------------------------------------------------


def _resolve_application(name: str, params: dict[str, Any], weights: Any, seed: int, layers: Any) -> Resolved:
    entry = find_application(name)
    layers = entry.layers if layers == "auto" else layers
    allowed = {"alpha"} if entry.multiplier else set()
    _check_params(params, allowed, describe(name, ()))
    pairs = tuple(sorted(params.items()))
    weights = choose_weights(weights, name)
    licence = entry.licence if weights == entry.weights else ""
    model = _cut(_build_weighted(name, params, weights, seed), layers)
    arrays = model.get_weights()
    if needs_rescaling(entry.factory, weights):
        fold_rescaling(model, arrays)
    parts = ("application", name, pairs, "", layers, entry.preprocessing, licence, None)
    return Backbone(*parts, digest=_digest(parts, arrays)), arrays


def _build_weighted(name: str, params: dict[str, Any], weights: Any, seed: int) -> keras.Model:
    if weights == "imagenet":
        return _build_pretrained(name, params)
    model = _build_application(name, params, (_CHECKPOINT_SIDE, _CHECKPOINT_SIDE))
    if weights == "histology":
        model.set_weights(read_packaged(model, name))
    else:
        title = describe(name, tuple(sorted(params.items())))
        model.set_weights(other_weights(model, title, weights, seed))
    return model


def _build_application(
    name: str, params: dict[str, Any], side: tuple[int, int], weights: str | None = None
) -> keras.Model:
    entry = APPLICATIONS[name]
    if entry.weights == "histology":
        return build_histology((*side, 3))
    factory = getattr(keras.applications, entry.factory)
    return factory(include_top=False, weights=weights, input_shape=(*side, 3), **params)


def _cut(model: keras.Model, layers: tuple[str, ...]) -> keras.Model:
    """End a network at some of its layers; at the last one if none is named."""
    if not layers:
        return (
            model
            if len(model.outputs) == 1
            else keras.Model(model.inputs[0], model.outputs[-1], name=model.name)
        )
    names = [layer.name for layer in model.layers]
    for name in layers:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=3)
            hint = (
                f"Did you mean {' or '.join(map(repr, close))}?" if close else f"It has {', '.join(names)}."
            )
            raise ValueError(f"layers: backbone {model.name!r} has no layer {name!r}. {hint}")
    outputs = [model.get_layer(name).output for name in layers]
    return keras.Model(model.inputs[0], outputs if len(outputs) > 1 else outputs[0], name=model.name)


def _build_pretrained(name: str, params: dict[str, Any]) -> keras.Model:
    """Let Keras find, check and read its own file, whatever the size of the images will be."""
    try:
        return _build_application(name, params, (_CHECKPOINT_SIDE, _CHECKPOINT_SIDE), "imagenet")
    except ValueError as error:  # an alpha for which there is no checkpoint
        raise ValueError(f"backbone={name!r} with backbone_params={params}: {error}") from error
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise OSError(_explain_missing(name, params, str(error))) from error


def _explain_missing(name: str, params: dict[str, Any], error: str) -> str:
    folder = os.path.join(_KERAS_HOME, "models")
    url = re.search(r"https?://\S+", error)
    file = url[0].rstrip(".:,").rpartition("/")[2] if url else f"its {_CHECKPOINT_SIDE}-pixel file"
    return (
        f"The ImageNet weights of {describe(name, tuple(params.items()))} are not on this machine, and could "
        f"not be downloaded. Looked for {file!r} in {folder!r}. Ways out: connect to the network once; copy "
        "that file into that folder, or set the environment variable KERAS_HOME to a folder with "
        "'models/' in it; pass the file as weights=PATH; or choose a backbone that is there. "
        f"(Keras said: {error})"
    )


# -- networks of the user's own, and presets -----------------------------------------------------------------


def _read_network(path: str) -> keras.Model:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no backbone file {path!r}. Expected a network saved by Keras.")
    return keras.saving.load_model(path, compile=False)  # in safe mode: refuses files with code in them


def _resolve_callable(
    build: Callable[..., Any], params: dict[str, Any], weights: Any, seed: int, layers: Any
) -> Resolved:
    rest = {key: value for key, value in params.items() if key != "preprocessing"}
    with fresh_names():
        model = build(input_shape=(None, None, 3), **rest)
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"backbone={build!r} returned a {type(model).__name__}. Expected a keras.Model, from images to "
            "features, when called with input_shape=(None, None, 3)."
        )
    params = {key: value for key, value in params.items() if key == "preprocessing"}
    return _resolve_network(model, model.name, params, weights, seed, layers)


def _resolve_preset(preset: str, params: dict[str, Any], weights: Any, seed: int, layers: Any) -> Resolved:
    name = f"hub:{preset}"
    require("keras_hub", f"backbone={name!r}", "hub")
    if weights not in (*_KEPT, None):
        raise ValueError(
            f"weights={weights!r}: a KerasHub preset holds its own weights. Leave out `weights`, or pass "
            "None for random ones."
        )
    with fresh_names():
        network = _load_preset(preset, weights is not None)
        if (scaling := _preset_scaling(preset)) is not None and len(network.inputs) == 1:
            _check_params(params, set(), name)  # it says itself what it is fed
            images = keras.Input(network.inputs[0].shape[1:], name="images")
            network = keras.Model(images, network(scaling(images)), name="preset")
    return _resolve_network(network, name, params, weights, seed, layers)


def _load_preset(preset: str, load_weights: bool) -> keras.Model:
    import keras_hub  # an extra

    try:
        return keras_hub.models.Backbone.from_preset(preset, load_weights=load_weights)
    except ValueError:  # its words name the presets that there are
        raise
    except Exception as error:  # what its downloaders raise
        raise OSError(
            f"backbone='hub:{preset}' could not be loaded: {quote(error)} Ways out: connect to the network "
            "once; pass the folder of a preset saved with save_to_preset as 'hub:FOLDER'; or choose another "
            "backbone."
        ) from error


def _preset_scaling(preset: str) -> keras.layers.Layer | None:
    """Learn from two plain pictures what the preset's own preprocessing does to values, besides resizing."""
    import keras_hub

    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except (FileNotFoundError, ValueError):  # a preset without one
        return None
    plain = np.stack([np.full((32, 32, 3), value, dtype="float32") for value in (0, 255)])
    black, white = keras.ops.convert_to_numpy(converter(plain))[:, 0, 0].astype("float64")
    return keras.layers.Rescaling(((white - black) / 255).tolist(), black.tolist(), name="scaling")


def _resolve_network(
    model: keras.Model, name: str, params: dict[str, Any], weights: Any, seed: int, layers: Any
) -> Resolved:
    preprocessing = _preprocessing(params, name)
    layers = () if layers == "auto" else layers
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            f"backbone {name!r} has {len(model.inputs)} input(s) and {len(model.outputs)} output(s). "
            "Expected one input of shape (n, height, width, 3) and one output of features."
        )
    if model.inputs[0].shape[-1] != 3:
        raise ValueError(f"backbone {name!r} takes images of shape {model.inputs[0].shape}; expected RGB.")
    model = _cut(model, layers)
    config = json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True)
    own = isinstance(weights, str) and weights in _KEPT
    arrays = model.get_weights() if own else other_weights(_rebuilt(name, config), name, weights, seed)
    side = tuple(model.inputs[0].shape[1:3])
    parts = ("keras", name, (), config, layers, preprocessing, "", None if None in side else side)
    return Backbone(*parts, digest=_digest(parts, arrays)), arrays


def _rebuilt(name: str, config: str) -> keras.Model:
    try:
        return keras.saving.deserialize_keras_object(json.loads(config))
    except Exception as error:  # Keras raises many kinds
        raise ValueError(
            f"backbone {name!r} cannot be built again from its configuration: {quote(error)} Expected layers "
            "of Keras, or classes registered with keras.saving.register_keras_serializable. A Lambda layer "
            "holds code, and is refused."
        ) from error


def _resolve_onnx(path: str, params: dict[str, Any], weights: Any, layers: Any) -> Resolved:
    require("onnxruntime", f"backbone={path!r}", "onnx")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no backbone file {path!r}. Expected an ONNX network.")
    if weights not in _KEPT:
        raise ValueError(f"weights={weights!r}: an ONNX file holds its own weights. Leave out `weights`.")
    if layers not in ((), "auto"):
        raise ValueError(f"layers={layers!r}: of an ONNX file the first output counts. Leave out `layers`.")
    with open(path, "rb") as file:
        arrays = [np.frombuffer(file.read(), dtype=np.uint8)]
    from histoclf.networks._onnx import onnx_side  # an extra

    name = os.path.basename(path)
    side = onnx_side(arrays[0].tobytes(), name)
    parts = ("onnx", name, (), "", (), _preprocessing(params, name), "", side)
    return Backbone(*parts, digest=_digest(parts, arrays)), arrays


def _preprocessing(params: dict[str, Any], name: str) -> str:
    _check_params(params, {"preprocessing"}, name)
    mode = params.get("preprocessing", "none")
    if mode not in PREPROCESSING:
        known = "; ".join(f"{key!r} ({meaning})" for key, meaning in PREPROCESSING.items())
        raise ValueError(f"backbone_params: preprocessing={mode!r}. Expected what {name!r} is fed: {known}.")
    return mode


def _check_params(params: dict[str, Any], allowed: set[str], name: str) -> None:
    unknown = sorted(set(params) - allowed)
    if unknown:
        expected = f"only {sorted(allowed)}" if allowed else "none"
        raise ValueError(f"backbone_params has {unknown}, but backbone {name!r} takes {expected}.")


def _digest(parts: tuple[Any, ...], arrays: Weights) -> str:
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
