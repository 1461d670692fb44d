"""What needs no network: the mean colour of a patch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from histoclf.io._paths import as_paths
from histoclf.io._store import load_patches

_SIZE = (32, 32)  # pixels: shrinking keeps the mean, and 300,000 patches of this size fit into memory


def mean_colours(
    X: Any,
    *,
    image_shape: tuple[int, int, int] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> np.ndarray:
    """Compute the mean colour of each patch.

    Parameters
    ----------
    X : array-like of str of shape (n_samples,), or ndarray
        Paths of image files; images of shape (n_samples, height, width, channels); or the same flattened.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of flattened images. None takes the mean of the whole row.
    n_jobs : int, default=None
        Number of threads that decode files; None is one per core.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    colours : ndarray of shape (n_samples, n_channels), float64
        In the units of X; 0-255 for files.

    Raises
    ------
    ImageReadError
        If files cannot be read. It names every one.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.evaluation import mean_colours
    >>> mean_colours(np.full((2, 8, 8, 3), (200, 100, 150), dtype=np.uint8)).tolist()
    [[200.0, 100.0, 150.0], [200.0, 100.0, 150.0]]
    """
    paths = as_paths(X)
    if paths is not None:
        X = load_patches(paths, image_size=_SIZE, n_jobs=n_jobs, verbose=verbose).images
    X = np.asarray(X)
    if X.ndim == 2:
        X = X.reshape(len(X), *(image_shape or (1, -1, 1)))
    return X.mean(axis=tuple(range(1, X.ndim - 1)), dtype=np.float64)


def colour_classifier() -> Pipeline:
    """Make the smallest classifier that a network has to beat."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
