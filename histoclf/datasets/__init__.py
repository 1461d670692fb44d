"""Synthetic data to try things on."""

from histoclf.datasets._synthetic import make_patches

__all__ = ["make_patches"]
