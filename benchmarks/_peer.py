"""The same network, data and training as HistoCNNClassifier, written by hand in plain Keras."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from histoclf import HistoCNNClassifier, make_patches
from histoclf.networks._architectures import CNNSpec
from histoclf.preprocessing._augmentation import augmentation_fields

BATCH_SIZE = 64


def training_data(n_patches: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Make 8-bit images and class numbers."""
    made = make_patches(
        n_patients=4, patches_per_patient=n_patches // 4, image_size=image_size, random_state=0
    )
    return made.images, (made.labels == made.classes[1]).astype(int)


def build_model(image_size: int, n_steps: int, jit_compile: Any) -> keras.Model:
    """Build and compile what the classifier's defaults say, as a script would."""
    defaults = HistoCNNClassifier()
    spec = CNNSpec(
        image_shape=(image_size, image_size, 3),
        n_classes=2,
        filters=defaults.filters,
        normalization=defaults.normalization,
        dropout=defaults.dropout,
        augmentation=augmentation_fields(defaults.augmentation),
        input_dtype="uint8",
    )
    model = spec.build()
    warm_up = max(1, round(0.05 * n_steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, n_steps - warm_up), warmup_target=defaults.learning_rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.Adam(rate, weight_decay=defaults.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=jit_compile)
    return model


def n_steps(n_patches: int, epochs: int) -> int:
    """Count the steps of a training run."""
    return epochs * math.ceil(n_patches / BATCH_SIZE)
