"""The small convolutional network, and the description that identifies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from histoclf.networks._augment import RandomAugment
from histoclf.networks._group_norm import GroupNormalization
from histoclf.networks._layers import OpticalDensity, ToPixels

_N_GROUPS = 8  # of channels, for group normalisation


@dataclass(frozen=True)
class CNNSpec:
    """Everything that decides the graph of the network; hashable, so that compiled graphs can be reused.

    Attributes
    ----------
    image_shape : tuple of (int, int, int)
        Height, width and channels.
    n_classes : int
        Number of outputs.
    filters : tuple of int
        Channels of each convolution.
    normalization : {"group", "batch"}
        What follows each convolution.
    dropout : float
        Share of pooled features dropped in training.
    augmentation : tuple of (str, value) pairs or None
        Fields of :class:`histoclf.Augmentation`.
    input_dtype : str
        Of the images that are fed.
    """

    image_shape: tuple[int, int, int]
    n_classes: int
    filters: tuple[int, ...]
    normalization: str
    dropout: float
    augmentation: tuple[tuple[str, Any], ...] | None
    input_dtype: str

    def build(self) -> keras.Model:
        """Build the network that is trained: images in 0 to 255 in, logits out."""
        inputs = keras.Input(self.image_shape, dtype=self.input_dtype, name="images")
        x = ToPixels(name="to_pixels", dtype="float32")(inputs)
        if self.augmentation is not None:
            x = RandomAugment(dict(self.augmentation), name="augment", dtype="float32")(x)
        return keras.Model(inputs, self._classify(x), name="histo_cnn")

    def build_for_use(self, scale: Any, offset: Any, input_dtype: str) -> keras.Model:
        """Build the network that is handed out: images in the user's units in, probabilities out."""
        inputs = keras.Input(self.image_shape, dtype=input_dtype, name="images")
        logits = self._classify(ToPixels(scale, offset, name="to_pixels", dtype="float32")(inputs))
        outputs = layers.Softmax(name="probabilities", dtype="float32")(logits)
        return keras.Model(inputs, outputs, name="histo_cnn")

    def _classify(self, x: Any) -> Any:
        x = OpticalDensity(name="optical_density", dtype="float32")(x)
        for position, width in enumerate(self.filters):
            x = self._convolve(x, position, width)
        x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
        x = layers.Dropout(self.dropout, seed=0, name="dropout", dtype="float32")(x)
        # Seeds are given so that building does not draw from Python's global stream; the values that they
        # lead to are replaced by the engine before every fit.
        start = keras.initializers.GlorotUniform(seed=0)
        return layers.Dense(self.n_classes, kernel_initializer=start, name="logits", dtype="float32")(x)

    def _convolve(self, x: Any, position: int, width: int) -> Any:
        """Convolve, normalise, rectify; the first and every second convolution halve the resolution."""
        x = layers.Conv2D(
            width,
            5 if position == 0 else 3,
            strides=2 if position % 2 == 0 else 1,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=0),
            name=f"conv_{position + 1}",
            dtype="float32",
        )(x)
        name = f"norm_{position + 1}"
        if self.normalization == "batch":
            x = layers.BatchNormalization(momentum=0.9, name=name, dtype="float32")(x)
        else:
            groups = _N_GROUPS if width % _N_GROUPS == 0 else 1
            x = GroupNormalization(groups, name=name, dtype="float32")(x)
        return layers.ReLU(name=f"relu_{position + 1}", dtype="float32")(x)
