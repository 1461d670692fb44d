"""Transformers for labels and pixels, and what augmentation is wanted."""

from histoclf.preprocessing._augmentation import Augmentation
from histoclf.preprocessing._labels import LabelCleaner
from histoclf.preprocessing._scaling import PixelScaler
from histoclf.preprocessing._stains import StainNormalizer

__all__ = ["Augmentation", "LabelCleaner", "PixelScaler", "StainNormalizer"]
