"""What frozen ImageNet networks (Apache-2.0) make of the crops: the targets of the distillation."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import keras
import numpy as np
from keras import layers

from histoclf.networks._layers import Haematoxylin

# Layers of each network, with their width; "last" is its output.
TEACHERS = {
    "mobilenet": ("MobileNet", {"conv_pw_5_relu": 256, "conv_pw_11_relu": 512, "last": 1024}),
    "mobilenet_v2": (
        "MobileNetV2",
        {"block_3_expand_relu": 144, "block_13_expand_relu": 576, "last": 1280},
    ),
}
CHANNELS = ("rgb", "haematoxylin")
_CHUNK = 64
_CHECKPOINT_SIDE = 224


def load_features(images: np.ndarray, cache: Path) -> dict[str, np.ndarray]:
    """Compute, or read, the features of every teacher, float16, averaged over four flips and turns."""
    found = {}
    for name in TEACHERS:
        file = cache / f"features_{name}.npy"
        if not file.exists():
            features = _embed(build_teacher(name, images.shape[1]), images)
            np.save(file.with_suffix(".partial.npy"), features)
            file.with_suffix(".partial.npy").rename(file)
        found[name] = np.load(file, mmap_mode="r")
    return found


def choose(features: dict[str, np.ndarray], patterns: tuple[str, ...]) -> list[np.ndarray]:
    """Return the columns of each "NETWORK/CHANNELS/LAYER" that one of the patterns fits."""
    chosen = []
    for network, (_, widths) in TEACHERS.items():
        start = 0
        for channels in CHANNELS:
            for layer, width in widths.items():
                if any(fnmatch(f"{network}/{channels}/{layer}", pattern) for pattern in patterns):
                    chosen.append(features[network][:, start : start + width])
                start += width
    if not chosen:
        raise ValueError(f"teachers={patterns!r} fit no network, channels and layer.")
    return chosen


def build_teacher(name: str, side: int) -> keras.Model:
    """Build a network from images in 0-255 to averages of its layers, for the image and its haematoxylin."""
    factory, widths = TEACHERS[name]
    build = getattr(keras.applications, factory)
    published = build(include_top=False, weights="imagenet", input_shape=(_CHECKPOINT_SIDE,) * 2 + (3,))
    network = build(include_top=False, weights=None, input_shape=(side, side, 3))
    network.set_weights(published.get_weights())
    maps = [network.output if layer == "last" else network.get_layer(layer).output for layer in widths]
    pooled = keras.Model(
        network.input, layers.Concatenate()([layers.GlobalAveragePooling2D()(m) for m in maps])
    )
    images = keras.Input((side, side, 3))
    stain = Haematoxylin()(images)
    shown = [images, layers.Concatenate()([stain, stain, stain])]
    scale = layers.Rescaling(1 / 127.5, -1.0)
    return keras.Model(images, layers.Concatenate()([pooled(scale(each)) for each in shown]))


def views(images: np.ndarray) -> list[np.ndarray]:
    """Return four of the eight flips and turns of square images."""
    turned = images.transpose(0, 2, 1, 3)
    return [images, images[:, :, ::-1], turned, images[:, ::-1].transpose(0, 2, 1, 3)]


def _embed(network: keras.Model, images: np.ndarray) -> np.ndarray:
    features = np.empty((len(images), network.output_shape[-1]), dtype="float16")
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK].astype("float32")
        made = [network.predict(view, verbose=0, batch_size=_CHUNK) for view in views(chunk)]
        features[start : start + _CHUNK] = np.mean(made, axis=0)
    return features
