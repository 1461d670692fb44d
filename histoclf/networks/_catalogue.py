"""Which backbones there are, and what must be known to use each of them right; no Keras in here.

The conventions are those of the official networks: feeding 0-255 to a network that wants -1 to 1 raises no
error and ruins its features, so each entry states what its network is fed.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import Any

# What a network wants to be fed, given images in 0-255.
PREPROCESSING = {
    "none": "0-255; the network scales by itself, if at all",
    "tf": "-1 to 1",
    "torch": "0-1, less the mean and divided by the standard deviation of ImageNet's red, green and blue",
    "caffe": "blue, green, red in 0-255, less ImageNet's means",
}


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`, or the one that comes with this package.

    Attributes
    ----------
    factory : str
        Name of the function in `keras.applications`; empty for the network that comes with this package.
    preprocessing : str
        A key of `PREPROCESSING`.
    megabytes : float
        Size of the file of weights, without the classification layer.
    licence : str
        Of those weights.
    multiplier : bool
        Whether the function takes ``alpha``, the width of the network.
    layers : tuple of str
        Whose outputs tell most about histology, where that was measured; empty for the last one.
    weights : {"imagenet", "histology"}
        What the weights are called that it was published with.
    smallest_side : int
        Pixels to which smaller images are enlarged where no size is given.
    batch_size : int
        Images per forward pass of Keras on a CPU: the fewest with which many patches take no longer. A
        network with little work for each image needs more of them.
    """

    factory: str
    preprocessing: str
    megabytes: float
    licence: str
    multiplier: bool = False
    layers: tuple[str, ...] = ()
    weights: str = "imagenet"
    smallest_side: int = 96
    batch_size: int = 16


POOLINGS = ("avg", "max", "avg+max")
CHANNELS = ("rgb", "haematoxylin", "rgb+haematoxylin")
WEIGHTS = ("auto", "imagenet", "histology")  # those that have a name
ENGINES = ("auto", "keras", "openvino", "openvino-bf16", "onnxruntime")
SMALLEST_SIDE = 32  # pixels, of every network below; images are enlarged to what image_size says
DEFAULT_BACKBONE = "histology"  # of HistoEmbedder and HistoTransferClassifier; their docstrings name it too
_V2_LAYERS = ("block_3_expand_relu", "block_13_expand_relu")
_APACHE, _MIT, _BSD = "Apache-2.0", "MIT", "BSD-3-Clause"

# A new network is one more line here. A name never changes what it stands for, since model files hold it: a
# better histology network gets a name of its own.
APPLICATIONS = {
    "histology": Application(
        "", "none", 1.04, _BSD, layers=("middle", "top"), weights="histology", smallest_side=64, batch_size=64
    ),
    "mobilenet": Application("MobileNet", "tf", 13.1, _APACHE, True, ("conv_pw_5_relu", "conv_pw_11_relu")),
    "mobilenet_v2": Application("MobileNetV2", "tf", 9.4, _APACHE, True, _V2_LAYERS),
    "mobilenet_v3_small": Application("MobileNetV3Small", "none", 4.2, _APACHE, multiplier=True),
    "mobilenet_v3_large": Application("MobileNetV3Large", "none", 12.7, _APACHE, multiplier=True),
    "resnet50": Application("ResNet50", "caffe", 94.8, _MIT),
    "resnet50_v2": Application("ResNet50V2", "tf", 94.7, _MIT),
    "efficientnet_b0": Application("EfficientNetB0", "none", 16.7, _APACHE),
    "efficientnet_b1": Application("EfficientNetB1", "none", 27.0, _APACHE),
    "efficientnet_b2": Application("EfficientNetB2", "none", 31.8, _APACHE),
    "efficientnet_b3": Application("EfficientNetB3", "none", 43.9, _APACHE),
    "efficientnet_v2_b0": Application("EfficientNetV2B0", "none", 24.3, _APACHE),
    "efficientnet_v2_b1": Application("EfficientNetV2B1", "none", 28.5, _APACHE),
    "efficientnet_v2_b2": Application("EfficientNetV2B2", "none", 35.9, _APACHE),
    "efficientnet_v2_b3": Application("EfficientNetV2B3", "none", 52.6, _APACHE),
    "efficientnet_v2_s": Application("EfficientNetV2S", "none", 82.4, _APACHE),
    "densenet121": Application("DenseNet121", "torch", 29.1, _BSD),
    "convnext_tiny": Application("ConvNeXtTiny", "none", 111.7, _MIT),
}


@dataclass(frozen=True)
class Backbone:
    """A feature extractor: all but its weights, and their digest. Hashable, so that graphs can be reused.

    Attributes
    ----------
    kind : {"application", "keras", "onnx"}
        Where its graph comes from.
    name : str
        Key of `APPLICATIONS`, or what stands for the user's own network in messages.
    params : tuple of (str, value) pairs
        Arguments of the application's function, such as ``alpha``.
    config : str
        JSON of a Keras network of the user's own; empty for others.
    layers : tuple of str
        Whose outputs count; empty for the last one.
    preprocessing : str
        A key of `PREPROCESSING`.
    licence : str
        Of the weights; empty if unknown.
    side : tuple of (int, int) or None
        Height and width that it insists on.
    digest : str
        Of graph and weights: two backbones with the same digest, shown the same, give the same features.
    channels : str
        One of `CHANNELS`: what it is shown of an image.
    """

    kind: str
    name: str
    params: tuple[tuple[str, Any], ...]
    config: str
    layers: tuple[str, ...]
    preprocessing: str
    licence: str
    side: tuple[int, int] | None
    digest: str
    channels: str = "rgb"

    def check_loaded(self) -> None:
        """Refuse what a file may have put here to be run."""
        if self.config:
            refuse_code(json.loads(self.config))

    def describe(self) -> str:
        """Name it with its parameters, as in ``mobilenet_v2(alpha=0.35)``, and its layers."""
        return describe(self.name, self.params) + (f" at {' and '.join(self.layers)}" if self.layers else "")


# Where the parts of a network may come from, and which of Keras' own layers read files or hold code.
_HARMLESS_MODULES = re.compile(
    r"keras(\.(src\.)?(layers|models|initializers|regularizers|constraints|activations|dtype_policies|ops)\b.*)?"
)
_HARMFUL_CLASSES = {
    "__lambda__",
    "Lambda",
    "IntegerLookup",
    "StringLookup",
    "TextVectorization",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
}


def refuse_code(part: Any) -> None:
    """Refuse a Keras network, parsed from JSON, that is made of more than Keras' own layers.

    Raises
    ------
    ValueError
        Naming the part.
    """
    if isinstance(part, list):
        for item in part:
            refuse_code(item)
    if not isinstance(part, dict):
        return
    name, module = part.get("class_name"), part.get("module")
    if name in _HARMFUL_CLASSES or (module is not None and not _HARMLESS_MODULES.fullmatch(str(module))):
        raise ValueError(
            f"its backbone holds a {name!r} of the module {module!r}, which is none of Keras' plain layers"
        )
    for value in part.values():
        refuse_code(value)


def choose_channels(channels: str, backbone: Backbone, n_channels: int) -> str:
    """Turn "auto" into what is best for a backbone, and refuse what gray images do not have.

    Raises
    ------
    ValueError
        If haematoxylin is asked for, and images have one channel.
    """
    if channels == "auto":
        # Networks of the user's own may have learned on histology, and know how to deal with its colours.
        return "rgb+haematoxylin" if backbone.kind == "application" and n_channels == 3 else "rgb"
    if channels != "rgb" and n_channels == 1:
        raise ValueError(
            f"channels={channels!r} needs colours to tell stains apart, but X holds gray images. Expected "
            "channels='rgb' or 'auto'."
        )
    return channels


def smallest_side(backbone: Backbone) -> int:
    """Tell to how many pixels a side smaller images are enlarged for a backbone, where no size is given."""
    known = _known(backbone)
    return Application.smallest_side if known is None else known.smallest_side


def usual_batch_size(backbone: Backbone) -> int:
    """Tell how many images go through a backbone at a time on a CPU, where nobody says."""
    known = _known(backbone)
    return Application.batch_size if known is None else known.batch_size


def _known(backbone: Backbone) -> Application | None:
    return APPLICATIONS.get(backbone.name) if backbone.kind == "application" else None


def choose_weights(weights: Any, name: str) -> Any:
    """Turn "auto" into the weights that a backbone was published with, and refuse those of another.

    Raises
    ------
    ValueError
        If the backbone has no weights of that name.
    """
    own = APPLICATIONS[name].weights
    if weights == "auto":
        return own
    if weights in WEIGHTS and weights != own:
        fitting = ", ".join(sorted(key for key, entry in APPLICATIONS.items() if entry.weights == weights))
        raise ValueError(
            f"weights={weights!r}: backbone {name!r} has no such weights, but {own!r}. Leave out `weights`, "
            f"or choose a backbone that has them: {fitting}."
        )
    return weights


def describe(name: str, params: tuple[tuple[str, Any], ...]) -> str:
    """Name a backbone with its parameters."""
    inside = ", ".join(f"{key}={value!r}" for key, value in params)
    return f"{name}({inside})" if inside else name


def find_application(name: str) -> Application:
    """Look a name up.

    Raises
    ------
    ValueError
        If there is no such backbone; it names the nearest one.
    """
    if name in APPLICATIONS:
        return APPLICATIONS[name]
    simple = {known.replace("_", ""): known for known in APPLICATIONS}
    plain = name.lower().replace("_", "").replace("-", "")
    close = [simple[plain]] if plain in simple else difflib.get_close_matches(name, APPLICATIONS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise ValueError(
        f"There is no backbone {name!r}. {hint}Expected one of {', '.join(sorted(APPLICATIONS))}; a "
        "'.keras' or '.onnx' file; a keras.Model; a function that builds one; or a KerasHub preset as "
        "'hub:NAME'."
    )
