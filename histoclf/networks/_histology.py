"""The histology backbone: a small network for patches of 48 to 128 pixels, and the file of its weights.

Most of the work of a CPU is done by few plain 3 x 3 convolutions with stride 2 while there are few channels;
inverted residuals (Sandler et al. 2018), which need few operations for each channel, come after. That order
is EfficientNetV2's (Tan & Le 2021), at a fortieth of its size. The network sees plain light: showing it the
optical density as well, in which stains add up, costs a third of its speed for the logarithms.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from typing import Any

import keras
import numpy as np
from keras import layers

SMALLEST_SIDE = 32
OUTPUTS = ("middle", "top")  # layers of the feature maps, one eighth and one sixteenth of the image's side
WIDTHS = (16, 40, 80, 160, 256)
REPEATS = (0, 1, 2)  # inverted residuals at a quarter, an eighth and a sixteenth of the side
_EXPANSION = 3
_MOMENTUM = 0.97  # of the moving averages: pretraining takes thousands of steps, not hundreds of thousands


def build_histology(
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    widths: tuple[int, ...] = WIDTHS,
    repeats: tuple[int, ...] = REPEATS,
) -> keras.Model:
    """Build the network with random weights.

    Parameters
    ----------
    input_shape : tuple of (int or None, int or None, 3), default=(None, None, 3)
        Height and width, at least 32, and three channels. Weights do not depend on height and width.
    widths : tuple of five int
        Channels of the first convolution, of the three stages, and of the last feature map.
    repeats : tuple of three int
        Inverted residuals in each stage.

    Returns
    -------
    model : keras.Model
        From RGB images in 0 to 255 (it scales them itself, once) to the feature maps named in `OUTPUTS`.

    Raises
    ------
    ValueError
        If images are smaller than 32 pixels, or have not three channels.

    References
    ----------
    M. Sandler et al. MobileNetV2: Inverted residuals and linear bottlenecks. CVPR 2018.
    M. Tan, Q. V. Le. EfficientNetV2: Smaller models and faster training. ICML 2021.

    Examples
    --------
    >>> from histoclf.networks._histology import build_histology
    >>> model = build_histology((64, 64, 3))
    >>> [tuple(maps.shape) for maps in model.outputs]
    [(None, 8, 8, 80), (None, 4, 4, 256)]
    """
    _check_shape(input_shape)
    first, quarter, eighth, sixteenth, last = widths
    images = keras.Input(input_shape, name="images")
    x = layers.Rescaling(1 / 127.5, -1.0, name="scaling", dtype="float32")(images)
    x = _convolve(x, first, 3, 2, "stem")
    x = _convolve(x, quarter, 3, 2, "quarter")
    x = _residuals(x, repeats[0], "quarter")
    x = _convolve(x, eighth, 3, 2, "eighth")
    middle = _residuals(x, repeats[1], "eighth")
    x = _invert(middle, sixteenth, 2, "sixteenth")
    x = _residuals(x, repeats[2], "sixteenth")
    top = _convolve(x, last, 1, 1, OUTPUTS[1])
    middle = layers.ReLU(name=OUTPUTS[0])(middle)
    return keras.Model(images, [middle, top], name="histology")


def _check_shape(shape: tuple[int | None, int | None, int]) -> None:
    if len(shape) != 3 or shape[2] != 3 or any(side is not None and side < SMALLEST_SIDE for side in shape[:2]):
        raise ValueError(
            f"input_shape={shape!r}: expected (height, width, 3), with at least {SMALLEST_SIDE} pixels a side."
        )


def _convolve(x: Any, width: int, size: int, stride: int, name: str, rectify: bool = True) -> Any:
    start = keras.initializers.HeNormal(seed=0)  # building draws from nobody's random stream
    x = layers.Conv2D(
        width,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=start,
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=name)(x) if rectify else x


def _residuals(x: Any, count: int, name: str) -> Any:
    for number in range(1, count + 1):
        block = f"{name}_{number}"
        x = layers.Add(name=f"{block}_add")([x, _invert(x, x.shape[-1], 1, block)])
    return x


def _invert(x: Any, width: int, stride: int, name: str) -> Any:
    """Widen, convolve each channel by itself, narrow: the inverted residual without its sum."""
    x = _convolve(x, _EXPANSION * x.shape[-1], 1, 1, f"{name}_expand")
    start = keras.initializers.HeNormal(seed=0)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=start,
        name=f"{name}_depthwise",
    )(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_depthwise_norm")(x)
    x = layers.ReLU(name=f"{name}_depthwise_relu")(x)
    return _convolve(x, width, 1, 1, f"{name}_narrow", rectify=False)
