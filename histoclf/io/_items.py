"""What rows of X are called in a file that outlives it: paths by themselves, pixels by their content."""

from __future__ import annotations

from typing import Any

import numpy as np

from histoclf.io._fingerprint import array_keys
from histoclf.io._paths import as_paths

_CONTENT = "content:"


def item_names(X: Any) -> list[str]:
    """Name each row of X, so that it is found again in a part of X, or in another order.

    Parameters
    ----------
    X : array-like of n_samples rows
        Paths, which stand for themselves; or images or rows of numbers, which are named by their values: the
        same pixels in other units have other names.

    Returns
    -------
    names : list of str, length n_samples
        Rows of equal content have equal names.

    Examples
    --------
    >>> from histoclf.io._items import item_names
    >>> item_names(["a.png", "b.png"])
    ['a.png', 'b.png']
    >>> first, second = item_names([[0, 1], [0, 1]])
    >>> first == second, first[:12]
    (True, 'content:d69e')
    """
    paths = as_paths(X)
    if paths is not None:
        return paths.tolist()
    return [_CONTENT + key.hex() for key in array_keys(np.asarray(X))]


def is_content(name: str) -> bool:
    """Whether a name is that of pixels, not of a file."""
    return name.startswith(_CONTENT)
