"""What needs no network: the mean colour of a patch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from histoclf.classifiers._metadata import takes
from histoclf.classifiers._slide_context import SlideContextClassifier
from histoclf.io._paths import as_paths
from histoclf.io._store import load_patches

COLOUR_NAME = "mean colour"
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


def looks_at_neighbours(estimator: Any) -> bool:
    """Whether the answer for a patch depends on those around it."""
    return takes(estimator, "fit", "coords") or _find_context(estimator) is not None


def make_rivals(estimator: Any) -> dict[str, Any]:
    """Make what a classifier is compared with on the mean colours; first what it has to beat."""
    rivals = {COLOUR_NAME: colour_classifier()}
    if not looks_at_neighbours(estimator):
        return rivals
    context = clone(_find_context(estimator) or SlideContextClassifier(None, random_state=0))
    # No neighbours' colours as features: on unseen patients they make colours worse, a rival of straw.
    context.set_params(estimator=colour_classifier(), neighbour_features=False, verbose=0)
    return {f"{COLOUR_NAME} with context": context} | rivals


def _find_context(estimator: Any) -> SlideContextClassifier | None:
    """Find the part that looks at neighbours, in a pipeline too."""
    parts = [estimator, *estimator.get_params().values()]
    return next((part for part in parts if isinstance(part, SlideContextClassifier)), None)
