"""Transformers for labels and pixels."""

from histoclf.preprocessing._labels import LabelCleaner
from histoclf.preprocessing._scaling import PixelScaler

__all__ = ["LabelCleaner", "PixelScaler"]
