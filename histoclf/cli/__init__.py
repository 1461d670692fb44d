"""The command ``histoclf``."""

from histoclf.cli._main import main

__all__ = ["main"]
