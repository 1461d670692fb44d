"""What one pretraining is: every number that decides the weights, and the candidates that were compared."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

# Random changes of what the student is shown; its targets stay those of the unchanged crop.
JITTER = {"flip": True, "rotation": 0.0, "zoom": 0.0, "brightness": 0.1, "contrast": 0.15, "stain": 0.15}


@dataclass(frozen=True)
class Settings:
    """All that decides the weights, together with the crops.

    Attributes
    ----------
    teachers : tuple of str
        Which columns of the teachers' features are targets: "NETWORK/CHANNELS/LAYER", each part a name or
        ``*``.
    n_targets : int
        Principal components of the standardised targets that are predicted.
    distil, context, consistency, labels : float
        Weights of the losses: the teachers' features of the crop; their mean over its neighbourhood; VICReg
        between two views of it; its class.
    jitter : dict
        Fields of `histoclf.Augmentation`.
    haematoxylin, blur : float
        Shares of the crops that are shown as their haematoxylin, and out of focus.
    epochs, batch_size, rate, weight_decay
        Of AdamW, with a warm-up of a twentieth and a cosine decay.
    seed : int
        Of everything random.
    """

    teachers: tuple[str, ...] = ("*/*/*",)
    n_targets: int = 256
    distil: float = 1.0
    context: float = 0.0
    consistency: float = 0.0
    labels: float = 0.0
    jitter: dict[str, Any] = field(default_factory=lambda: dict(JITTER))
    haematoxylin: float = 0.0
    blur: float = 0.0
    epochs: int = 12
    batch_size: int = 128
    rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def replace(self, **changes: Any) -> Settings:
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)


_STRONG = {**JITTER, "brightness": 0.2, "contrast": 0.3, "stain": 0.4}
_MILD = {**JITTER, "brightness": 0.05, "contrast": 0.05, "stain": 0.05}

CANDIDATES = {
    "one teacher": Settings(teachers=("mobilenet/rgb/last",)),
    "all": Settings(),
    "haematoxylin": Settings(teachers=("*/haematoxylin/*",)),
    "all, context": Settings(context=1.0),
    "all, strong jitter": Settings(jitter=_STRONG),
    "all, mild jitter": Settings(jitter=_MILD),
    "all, context, mild jitter": Settings(context=1.0, jitter=_MILD),
    "all, context, mild jitter, blur": Settings(context=1.0, jitter=_MILD, blur=0.5),
    "all, context, mild jitter, blur, haematoxylin": Settings(
        context=1.0, jitter=_MILD, blur=0.3, haematoxylin=0.3
    ),
    "all, mild jitter, VICReg": Settings(consistency=0.1, batch_size=64, epochs=6, jitter=_MILD),
    "VICReg": Settings(distil=0.0, consistency=1.0, batch_size=64, epochs=6, jitter=_STRONG),
    "all, labels": Settings(labels=0.3),
}

CHOSEN = "all, context, mild jitter, blur"
CHOSEN_EPOCHS = 30  # the comparison takes fewer, for time
