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

from histoclf.io._atomic import write_atomically

SMALLEST_SIDE = 32
OUTPUTS = ("middle", "top")  # layers of the feature maps, one eighth and one sixteenth of the image's side
WIDTHS = (16, 40, 80, 160, 256)
REPEATS = (0, 1, 2)  # inverted residuals at a quarter, an eighth and a sixteenth of the side
_EXPANSION = 3
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip file can tell
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
    if (
        len(shape) != 3
        or shape[2] != 3
        or any(side is not None and side < SMALLEST_SIDE for side in shape[:2])
    ):
        raise ValueError(
            f"input_shape={shape!r}: expected (height, width, 3), at least {SMALLEST_SIDE} pixels a side."
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


def write_weights(model: keras.Model, path: str | os.PathLike[str]) -> str:
    """Write a network's weights in half precision, in a ``.npz`` file of plain arrays.

    Parameters
    ----------
    model : keras.Model
        Made by `build_histology`.
    path : path-like
        File to replace, in one step.

    Returns
    -------
    digest : str
        SHA-256 of the file, which is the same whenever the weights are.

    Raises
    ------
    ValueError
        If a weight is not finite in half precision.
    """
    buffer = io.BytesIO()
    # Not np.savez: it stamps each member with the time of day.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in _by_name(model).items():
            with np.errstate(over="ignore"):  # the check below says more
                half = value.astype("float16")
            if not np.isfinite(half).all():
                raise ValueError(f"weight {name!r} holds numbers that half precision cannot.")
            member = io.BytesIO()
            np.lib.format.write_array(member, half, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), member.getvalue())
    write_atomically(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_weights(
    model: keras.Model, path: str | os.PathLike[str], digest: str | None = None
) -> list[np.ndarray]:
    """Read a file of `write_weights`; no code in it could run, for none is unpickled.

    Parameters
    ----------
    model : keras.Model
        Made by `build_histology`; it says which weights there must be, and is not changed.
    path : path-like
        File to read.
    digest : str, default=None
        SHA-256 that the file must have.

    Returns
    -------
    weights : list of ndarray of float32
        For `keras.Model.set_weights`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, is not the file that `digest` names, or does not fit the network.
    """
    with open(path, "rb") as file:
        content = file.read()
    found = hashlib.sha256(content).hexdigest()
    if digest is not None and found != digest:
        raise ValueError(
            f"{os.fspath(path)!r} has the SHA-256 {found}, expected {digest}: the file is damaged, or is "
            "another one. Install histoclf again, or copy the file anew."
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{os.fspath(path)!r} is no file of weights: {error}") from error
    expected = {name: value.shape for name, value in _by_name(model).items()}
    different = sorted(expected.items() ^ {name: array.shape for name, array in arrays.items()}.items())
    if different:
        raise ValueError(
            f"{os.fspath(path)!r} does not fit the network {model.name!r}; the first difference is "
            f"{different[0][0]!r} {different[0][1]}."
        )
    return [arrays[name].astype("float32") for name in expected]


def _by_name(model: keras.Model) -> dict[str, np.ndarray]:
    """Name each weight after its layer and its part of it, which do not depend on what was built before."""
    return {
        variable.path.replace("/", "."): value
        for variable, value in zip(model.weights, model.get_weights(), strict=True)
    }
