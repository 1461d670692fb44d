"""Packages that only some features need: the one place that says how to get them."""

from __future__ import annotations

import importlib.util

from histoclf.exceptions import MissingDependencyError


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not imported."""
    return importlib.util.find_spec(package) is not None


def require(package: str, feature: str, extra: str) -> None:
    """Raise unless a package is installed.

    Raises
    ------
    MissingDependencyError
        Naming the feature that needs it, and the extra of histoclf that brings it.
    """
    if not is_installed(package):
        raise MissingDependencyError(
            f"{feature} needs the package {package!r}, which is not installed: pip install "
            f"'histoclf[{extra}]'"
        )
