"""Heads as networks: on embeddings, and on top of a backbone whose last layers learn along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from histoclf.networks._augment import RandomAugment
from histoclf.networks._catalogue import Backbone
from histoclf.networks._embedding import connect
from histoclf.networks._layers import PoolBoth, ToPixels


@keras.saving.register_keras_serializable(package="histoclf")
class Standardise(layers.Layer):
    """Subtract a mean and divide by a scale, column by column; both are set with the weights, not trained."""

    def build(self, input_shape: Any) -> None:
        """Make room for mean and scale."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=shape, initializer="ones", trainable=False, name="scale")

    def call(self, embeddings: Any) -> Any:
        """Transform a batch of shape (n, n_features)."""
        return (embeddings - self.mean) / self.scale


@dataclass(frozen=True)
class Head:
    """What follows an embedding.

    Attributes
    ----------
    n_classes : int
        Number of outputs.
    hidden_units : int
        Width of the layer in between; 0 for none.
    dropout : float
        Share of what enters the last layer that is dropped in training.
    """

    n_classes: int
    hidden_units: int
    dropout: float

    def append(self, embeddings: Any) -> Any:
        """Append it to a tensor of shape (n, n_features); logits come out."""
        # Seeds are given so that building draws from no global stream; weights are always set afterwards.
        x = Standardise(name="standardise", dtype="float32")(embeddings)
        if self.hidden_units:
            start = keras.initializers.HeNormal(seed=0)
            hidden = layers.Dense(
                self.hidden_units, "relu", kernel_initializer=start, name="hidden", dtype="float32"
            )
            x = hidden(x)
        x = layers.Dropout(self.dropout, seed=0, name="dropout", dtype="float32")(x)
        start = keras.initializers.GlorotUniform(seed=0)
        return layers.Dense(self.n_classes, kernel_initializer=start, name="logits", dtype="float32")(x)


@dataclass(frozen=True)
class HeadSpec:
    """A head by itself, fed with embeddings of `n_features` numbers; hashable."""

    n_features: int
    head: Head

    def build(self) -> keras.Model:
        """Build the network from embeddings to logits."""
        inputs = keras.Input((self.n_features,), name="embeddings")
        return keras.Model(inputs, self.head.append(inputs), name="head")


@dataclass(frozen=True)
class TunedSpec:
    """A head on a backbone whose last layers learn along; hashable.

    Attributes
    ----------
    backbone : Backbone
        Feature extractor.
    head : Head
        What follows it.
    image_shape : tuple of (int, int, int)
        Height, width and channels.
    input_dtype : str
        Of the images, in 0-255, that are fed.
    pooling : {"avg", "max", "avg+max"}
        From feature map to embedding.
    n_layers : int
        How many layers with a kernel, counted from the last, learn; what lies between them learns along.
    augmentation : tuple of (str, value) pairs or None
        Fields of :class:`histoclf.Augmentation`.
    """

    backbone: Backbone
    head: Head
    image_shape: tuple[int, int, int]
    input_dtype: str
    pooling: str
    n_layers: int
    augmentation: tuple[tuple[str, Any], ...] | None

    def build(self) -> keras.Model:
        """Build the network that is trained: images in 0-255 in, logits out."""
        inputs = keras.Input(self.image_shape, dtype=self.input_dtype, name="images")
        x = ToPixels(name="to_pixels", dtype="float32")(inputs)
        if self.augmentation is not None:
            x = RandomAugment(dict(self.augmentation), name="augment", dtype="float32")(x)
        model = keras.Model(inputs, self._classify(x), name="tuned")
        _freeze_all_but(model.get_layer("backbone"), self.n_layers)
        return model

    def build_for_use(self, scale: Any, offset: Any, input_dtype: str) -> keras.Model:
        """Build the network that is handed out: images in the user's units in, probabilities out."""
        inputs = keras.Input(self.image_shape, dtype=input_dtype, name="images")
        logits = self._classify(ToPixels(scale, offset, name="to_pixels", dtype="float32")(inputs))
        outputs = layers.Softmax(name="probabilities", dtype="float32")(logits)
        return keras.Model(inputs, outputs, name="histo_transfer")

    def _classify(self, pixels: Any) -> Any:
        records = PoolBoth(name="pool", dtype="float32")(connect(self.backbone, pixels))
        if records.shape[1] == 1 or self.pooling == "avg":
            embeddings = records[:, 0]
        elif self.pooling == "max":
            embeddings = records[:, 1]
        else:
            embeddings = layers.Flatten(name="flatten", dtype="float32")(records)
        return self.head.append(embeddings)


def count_layers(backbone: Backbone) -> int:
    """Count the layers with a kernel, which is what can be unfrozen one by one."""
    pixels = keras.Input((*(backbone.side or (64, 64)), 3), dtype="float32")
    model = keras.Model(pixels, connect(backbone, pixels))
    return sum(map(_has_kernel, _leaves(model)))


def learning_rates(model: keras.Model, decay: float) -> tuple[float, ...]:
    """Return the share of the learning rate of each trainable variable: less with each layer down.

    The rate falls by `decay` with every layer that has a kernel (Howard & Ruder 2018): what lies near the
    image is of use for every task, and is changed least.
    """
    rate, rates = 1.0, {}
    for layer in reversed(_leaves(model)):
        for variable in layer.trainable_variables:
            rates[id(variable)] = rate
        if _has_kernel(layer):
            rate *= decay
    return tuple(rates[id(variable)] for variable in model.trainable_variables)


def _freeze_all_but(network: keras.Model, n_layers: int) -> None:
    """Let only the last layers learn; normalisation layers among them, with the statistics that they have."""
    network.trainable = True  # Keras keeps a switch for the whole beside those of the layers
    left = n_layers
    for layer in reversed(_leaves(network)):
        layer.trainable = left > 0
        left -= _has_kernel(layer)


def _leaves(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Layers that hold weights themselves, in the order of the graph, each once."""
    leaves = {id(leaf): leaf for inner in layer._layers for leaf in _leaves(inner)}
    if layer._trainable_variables or layer._non_trainable_variables:
        leaves[id(layer)] = layer
    return list(leaves.values())


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(variable.shape) > 1 for variable in layer._trainable_variables)
