"""Where on an image a network sees evidence for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import ops

_POOL = "pool"  # the layer in which places end, in every network of this package


@dataclass(frozen=True)
class SaliencySpec:
    """The network from images to maps of evidence, with the weights of another one; hashable.

    Attributes
    ----------
    network : CNNSpec or TunedSpec
        From images in 0-255 to logits. Its weights, in their order, are those of this network.
    """

    network: Any

    def build(self) -> keras.Model:
        """Build the network from images to evidence, (n, height, width, n_classes).

        Raises
        ------
        ValueError
            If what is pooled has no places: the backbone gives one vector, or tokens, for each image.
        """
        whole = self.network.build()
        pooled = whole.get_layer(_POOL).input
        maps = list(pooled) if isinstance(pooled, list | tuple) else [pooled]
        if any(len(each.shape) != 4 for each in maps):
            raise ValueError(
                "A map needs a network whose last layer still has places, but this backbone gives "
                f"{' and '.join(str(tuple(each.shape)) for each in maps)}. Expected feature maps "
                "(n, height, width, depth); name a layer that has them with layers=."
            )
        head = keras.Model(maps, whole.output, name="head")
        evidence = PlaceEvidence(head, whole.input_shape[1:3], name="evidence", dtype="float32")(maps)
        return keras.Model(whole.input, evidence, name="saliency")


class PlaceEvidence(keras.layers.Layer):
    """How much each place of the pooled feature maps adds to the log-odds of each class.

    The features of a place, weighted by the gradient of the log-odds of a class against all others [1]_ at
    that place [2]_; maps of several layers are enlarged and added. What is left of the log-odds, such as the
    intercept, is the same everywhere, so that the mean over the places is the log-odds of the image. Where
    the places are averaged and the head is linear, the value at a place is therefore what the network would
    answer if the whole image looked like it [3]_.

    Parameters
    ----------
    head : keras.Model
        From feature maps to logits.
    size : tuple of (int, int)
        Height and width to enlarge the maps to.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based
       localization", ICCV 2017.
    .. [2] R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
       convolutional neural networks", arXiv:2011.08891, 2020. The same as [1]_ where places are averaged.
    .. [3] B. Zhou et al., "Learning deep features for discriminative localization", CVPR 2016.
    """

    def __init__(self, head: keras.Model, size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head = head
        self.size = tuple(size)

    def call(self, maps: Any) -> Any:
        """Compute the evidence from feature maps, a list of (n, height, width, depth)."""
        maps = [tf.convert_to_tensor(each) for each in maps]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(maps)
            logits = self.head(maps, training=False)
            log_odds = [_against_rest(logits, code) for code in range(logits.shape[1])]
        evidence = [self._spread(maps, tape.gradient(each, maps), each) for each in log_odds]
        return ops.stack(evidence, axis=-1)

    def compute_output_shape(self, maps_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the evidence."""
        return (maps_shape[0][0], *self.size, self.head.output_shape[-1])

    def _spread(self, maps: Any, gradients: Any, log_odds: Any) -> Any:
        """Lay the log-odds of one class out over the image."""
        parts = [self._enlarge(each, gradient) for each, gradient in zip(maps, gradients, strict=True)]
        total = ops.sum(ops.stack(parts), axis=0)[..., 0]
        left = log_odds - ops.mean(total, axis=(1, 2))
        return total + left[:, None, None]

    def _enlarge(self, features: Any, gradient: Any) -> Any:
        n_places = features.shape[1] * features.shape[2]
        evidence = n_places * ops.sum(features * gradient, axis=-1, keepdims=True)
        return ops.image.resize(evidence, self.size, interpolation="bilinear")


def _against_rest(logits: Any, code: int) -> Any:
    """Log-odds of a class: a softmax does not see what raises all logits together, nor shall the map."""
    rest = ops.concatenate([logits[:, :code], logits[:, code + 1 :]], axis=1)
    return logits[:, code] - ops.logsumexp(rest, axis=1)
