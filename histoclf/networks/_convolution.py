"""A convolution whose filters get their gradient from another convolution, where that is the faster way."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from histoclf.networks._runtime import on_gpu


@keras.saving.register_keras_serializable(package="histoclf")
class Convolution(keras.layers.Conv2D):
    """Keras' layer for channels last and ``padding="same"``, faster to train with TensorFlow's own CPU kernels.

    These spend more time on the gradient of the filters than on everything else of a convolution together.
    The same sums are a convolution of the maps with their upstream gradient [1]_, with images and channels
    exchanged and the strides as dilation, for which there is a better kernel. It pays where maps keep their
    resolution, and for the three channels of an image. Values are those of Keras' layer, gradients too but
    for rounding. With oneDNN's kernels, or on a GPU, it is Keras' layer.

    References
    ----------
    .. [1] Y. LeCun, B. Boser, J. S. Denker et al., "Backpropagation applied to handwritten zip code
       recognition", Neural Computation 1(4), 1989: the filters' gradient is summed over the places.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve a batch of shape (n, height, width, channels)."""
        stride = self.strides[0]
        if (stride > 1 and inputs.shape[-1] > 3) or not _pays():
            return super().convolution_op(inputs, kernel)
        return _convolve(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel), stride)


def _pays() -> bool:
    """Whether TensorFlow convolves with kernels of its own on this machine."""
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:
        return False  # not public: a TensorFlow without it trains as Keras does
    return not IsMklEnabled() and not on_gpu()


def _convolve(maps: Any, kernel: Any, stride: int) -> Any:
    """Convolve, with the gradient of the filters as a convolution."""
    places, sides = maps.shape[1:3], kernel.shape[:2]
    margins = [_margins(length, side, stride) for length, side in zip(places, sides, strict=True)]

    @tf.custom_gradient
    def apply(maps: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            to_maps = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(maps), stride, "SAME")
            images_last = tf.transpose(maps, (3, 1, 2, 0))
            filters = tf.transpose(upstream, (1, 2, 0, 3))
            padding = [[0, 0], *margins, [0, 0]]
            to_kernel = tf.nn.conv2d(images_last, filters, 1, padding, dilations=stride)
            return to_maps, tf.transpose(to_kernel, (1, 2, 0, 3))

        return tf.nn.conv2d(maps, kernel, stride, "SAME"), gradient

    return apply(maps, kernel)


def _margins(length: int, side: int, stride: int) -> list[int]:
    """Count the zeros that "same" puts before and after `length` places; none for filters beyond the stride."""
    total = max((-(-length // stride) - 1) * stride + side - length, 0)
    return [total // 2, total - total // 2]
