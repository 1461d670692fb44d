"""What is trained: backbone, heads and losses; Keras 3 operations only, on any of its backends."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from settings import Settings

from histoclf.networks._augment import RandomAugment
from histoclf.networks._histology import build_histology
from histoclf.networks._layers import to_haematoxylin

_EXPANDED = 512  # outputs of VICReg's expander
_BLUR = 1.5  # pixels, standard deviation of the most blurred
_INVARIANCE, _VARIANCE, _COVARIANCE = 25.0, 25.0, 1.0  # of the paper


class Student(keras.Model):
    """A histology backbone that learns from targets; `compute_loss` adds up what `Settings` asks for.

    Targets of a batch are one array of shape (n, 2 * n_targets + 4): the teachers' features, those of the
    neighbourhood, whether there is one, class, and whether that is known; the last column is unused.

    Parameters
    ----------
    settings : Settings
        Losses and jitter.
    **architecture
        Of `build_histology`.
    """

    def __init__(self, settings: Settings, **architecture: Any) -> None:
        super().__init__(name="student")
        self.settings = settings
        self.augment = RandomAugment(settings.jitter, seed=settings.seed, name="augment")
        self.degrade = Degrade(settings.haematoxylin, settings.blur, seed=settings.seed, name="degrade")
        self.backbone = build_histology(**architecture)
        draw = draw_from(settings.seed)
        n = settings.n_targets
        self.distil_head = layers.Dense(n, kernel_initializer=draw(), name="distil")
        self.context_head = layers.Dense(n, kernel_initializer=draw(), name="context")
        self.label_head = layers.Dense(1, kernel_initializer=draw(), name="label")
        self.expander = keras.Sequential(
            [
                layers.Dense(_EXPANDED, use_bias=False, kernel_initializer=draw()),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.Dense(_EXPANDED, kernel_initializer=draw()),
            ],
            name="expander",
        )

    def call(self, images: Any, training: bool = False) -> Any:
        """Give every head's answer, side by side; with `consistency`, the second views follow the first."""
        images = ops.cast(images, "float32")
        if self.settings.consistency:
            images = ops.concatenate([images, images], axis=0)
        images = self.degrade(self.augment(images, training=training), training=training)
        maps = self.backbone(images, training=training)
        pooled = ops.concatenate([ops.mean(each, axis=(1, 2)) for each in maps], axis=-1)
        heads = [self.distil_head(pooled), self.context_head(pooled), self.label_head(pooled)]
        return ops.concatenate([*heads, self.expander(pooled, training=training)], axis=-1)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Add up the losses of a batch."""
        settings, n = self.settings, self.settings.n_targets
        if settings.consistency:
            y = ops.concatenate([y, y], axis=0)
        loss = settings.distil * ops.mean(ops.square(y_pred[:, :n] - y[:, :n]))
        if settings.context:
            errors = ops.mean(ops.square(y_pred[:, n : 2 * n] - y[:, n : 2 * n]), axis=-1)
            loss += settings.context * _mean_where(errors, y[:, 2 * n])
        if settings.labels:
            errors = _log_loss(y_pred[:, 2 * n], y[:, 2 * n + 1])
            loss += settings.labels * _mean_where(errors, y[:, 2 * n + 2])
        if settings.consistency:
            loss += settings.consistency * vicreg(*ops.split(y_pred[:, 2 * n + 1 :], 2, axis=0))
        return loss


class Degrade(layers.Layer):
    """Blur some images of a batch, each to a degree of its own, and show some as their haematoxylin.

    Parameters
    ----------
    haematoxylin, blur : float
        Shares of the images.
    seed : int
        Start of the layer's own random stream.
    """

    def __init__(self, haematoxylin: float, blur: float, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.haematoxylin, self.blur = haematoxylin, blur
        self.seed_generator = keras.random.SeedGenerator(seed + 1)

    def call(self, images: Any, training: bool = False) -> Any:
        """Change a batch of shape (n, height, width, 3) in 0 to 255; in training only."""
        if training and self.blur:
            degree = ops.maximum(0.0, 1.0 - self._draw(images) / self.blur)
            images += degree * (_blurred(images) - images)
        if training and self.haematoxylin:
            gray = to_haematoxylin(images)
            gray = ops.concatenate([gray, gray, gray], axis=-1)
            images = ops.where(self._draw(images) < self.haematoxylin, gray, images)
        return images

    def _draw(self, images: Any) -> Any:
        return keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=self.seed_generator)


def _blurred(images: Any) -> Any:
    """Convolve with a Gaussian; the border is mirrored, so that it does not darken."""
    reach = round(2 * _BLUR)
    line = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * _BLUR**2))
    kernel = np.repeat((line / line.sum()).astype("float32")[:, None, None, None], 3, axis=2)
    padding = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    images = ops.pad(images, padding, mode="reflect")
    images = ops.depthwise_conv(images, kernel, data_format="channels_last")
    return ops.depthwise_conv(images, kernel.swapaxes(0, 1), data_format="channels_last")


def draw_from(seed: int) -> Any:
    """Return a function that makes one initialiser after the other, each with a seed of its own."""
    seeds = iter(range(1000 * seed, 1000 * (seed + 1)))
    return lambda: keras.initializers.GlorotUniform(seed=next(seeds))


def _mean_where(errors: Any, known: Any) -> Any:
    return ops.sum(errors * known) / ops.maximum(ops.sum(known), 1.0)


def _log_loss(logits: Any, positive: Any) -> Any:
    return ops.softplus(logits) - positive * logits


def vicreg(first: Any, second: Any) -> Any:
    """VICReg (Bardes et al. 2022) of two batches of expanded views, over the weight of its first term."""
    loss = _INVARIANCE * ops.mean(ops.square(first - second))
    for views in (first, second):
        views = views - ops.mean(views, axis=0)
        depth, n = views.shape[1], ops.cast(ops.shape(views)[0], "float32")
        covariance = ops.matmul(ops.transpose(views), views) / (n - 1.0)
        spread = ops.sqrt(ops.diagonal(covariance) + 1e-4)
        off_diagonal = ops.sum(ops.square(covariance)) - ops.sum(ops.square(ops.diagonal(covariance)))
        loss += _VARIANCE * ops.mean(ops.relu(1.0 - spread)) / 2 + _COVARIANCE * off_diagonal / depth
    return loss / _INVARIANCE
