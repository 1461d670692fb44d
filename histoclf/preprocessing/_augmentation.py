"""What augmentation is wanted: plain numbers, without any network library."""

from numbers import Real

from sklearn.base import BaseEstimator

from histoclf._validation import Interval

PRESETS: dict[str, dict[str, float | bool]] = {
    "flips": {"flip": True},
    "standard": {"flip": True, "stain": 0.2, "brightness": 0.1, "contrast": 0.1},
    "strong": {
        "flip": True,
        "rotation": 20.0,
        "zoom": 0.15,
        "stain": 0.4,
        "brightness": 0.2,
        "contrast": 0.2,
    },
}


class Augmentation(BaseEstimator):
    """doc later"""

    def __init__(self, *, flip=True, rotation=0.0, zoom=0.0, brightness=0.0, contrast=0.0, stain=0.0):
        self.flip = flip
        self.rotation = rotation
        self.zoom = zoom
        self.brightness = brightness
        self.contrast = contrast
        self.stain = stain
