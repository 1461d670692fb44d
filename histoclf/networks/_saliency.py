"""Where on an image a network sees evidence for each class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf
from keras import ops

_POOL = "pool"  # the layer in which places end, in every network of this package
_WIDEST_MARGIN = 32  # pixels: the stride of the deepest layers of every backbone, so that maps stay aligned


@dataclass(frozen=True)
class SaliencySpec:
    """The network from images to maps of evidence, with the weights of another one; hashable.

    Attributes
    ----------
    network : CNNSpec or TunedSpec
        From images in 0-255 to logits. Its weights, in their order, are those of this network.
    """

    network: Any

    @property
    def margin(self) -> int:
        """Pixels by which images are continued, mirrored, beyond each border; the maps are cut to the image.

        Backbones pad with zeros, which leaves a mark of its own along the border of every map: a backbone
        that was trained on photographs of 224 pixels has not learned what to make of it in a patch. The
        network that is trained from scratch has, and is taken as it is.
        """
        backbone = getattr(self.network, "backbone", None)
        if backbone is None or backbone.side is not None:  # of one size only
            return 0
        side = min(self.network.image_shape[:2])
        return min(_WIDEST_MARGIN, 1 << (side.bit_length() - 1))

    def build(self) -> keras.Model:
        """Build the network from images to evidence, (n, height, width, n_classes).

        Raises
        ------
        ValueError
            If what is pooled has no places: the backbone gives one vector, or tokens, for each image.
        """
        whole = self.network.build()
        maps = _pooled(whole)
        _check_places(maps)
        head = keras.Model(maps, whole.output, name="head")
        images = whole.input
        if self.margin:
            images, maps = self._continue(whole, maps)
        evidence = PlaceEvidence(head, whole.input_shape[1:3], name="evidence", dtype="float32")(maps)
        return keras.Model(images, evidence, name="saliency")

    def _continue(self, whole: keras.Model, maps: list[Any]) -> tuple[Any, list[Any]]:
        """Let the same layers see more than the image; leave everything as it is if maps would not fit."""
        height, width, channels = self.network.image_shape
        margin = self.margin
        wide = replace(self.network, image_shape=(height + 2 * margin, width + 2 * margin, channels)).build()
        trunk = keras.Model(wide.input, _pooled(wide), name="trunk")
        images = keras.Input((height, width, channels), dtype=self.network.input_dtype, name="images")
        beyond = [[0, 0], [margin, margin], [margin, margin], [0, 0]]
        seen = trunk(ops.pad(ops.cast(images, "float32"), beyond, mode="symmetric"))
        seen = list(seen) if isinstance(seen, list | tuple) else [seen]
        cut = [_cut(each, narrow) for each, narrow in zip(seen, maps, strict=True)]
        fits = all(each.shape == narrow.shape for each, narrow in zip(cut, maps, strict=True))
        return (images, cut) if fits else (whole.input, maps)


class PlaceEvidence(keras.layers.Layer):
    """How much each place of the pooled feature maps adds to the log-odds of each class.

    The features of a place, weighted by the gradient of the log-odds of a class against all others [1]_ at
    that place [2]_; maps of several layers are enlarged and added. Where the places are averaged and the head
    is linear, the mean over the places is the log-odds of the image, but for a constant: the value at a place
    is what the network would answer if the whole image looked like it [3]_.

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
        evidence = [self._add_up(maps, tape.gradient(each, maps)) for each in log_odds]
        return ops.concatenate(evidence, axis=-1)

    def compute_output_shape(self, maps_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the evidence."""
        return (maps_shape[0][0], *self.size, self.head.output_shape[-1])

    def _add_up(self, maps: Any, gradients: Any) -> Any:
        """Lay what the maps contribute to one class out over the image."""
        parts = [self._enlarge(each, gradient) for each, gradient in zip(maps, gradients, strict=True)]
        return ops.sum(ops.stack(parts), axis=0)

    def _enlarge(self, features: Any, gradient: Any) -> Any:
        n_places = features.shape[1] * features.shape[2]
        evidence = n_places * ops.sum(features * gradient, axis=-1, keepdims=True)
        return ops.image.resize(evidence, self.size, interpolation="bilinear")


def _against_rest(logits: Any, code: int) -> Any:
    """Log-odds of a class: a softmax does not see what raises all logits together, nor shall the map."""
    rest = ops.concatenate([logits[:, :code], logits[:, code + 1 :]], axis=1)
    return logits[:, code] - ops.logsumexp(rest, axis=1)


def _pooled(network: keras.Model) -> list[Any]:
    pooled = network.get_layer(_POOL).input
    return list(pooled) if isinstance(pooled, list | tuple) else [pooled]


def _check_places(maps: list[Any]) -> None:
    if any(len(each.shape) != 4 for each in maps):
        raise ValueError(
            "A map needs a network whose last layer still has places, but this backbone gives "
            f"{' and '.join(str(tuple(each.shape)) for each in maps)}. Expected feature maps "
            "(n, height, width, depth); name a layer that has them with layers=."
        )


def _cut(wide: Any, narrow: Any) -> Any:
    """Take the middle of a map."""
    top, left = ((wide.shape[axis] - narrow.shape[axis]) // 2 for axis in (1, 2))
    return wide[:, top : top + narrow.shape[1], left : left + narrow.shape[2]]
