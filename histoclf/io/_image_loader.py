"""ImageLoader: the transformer from image paths to pixels."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from histoclf._validation import Interval, fit_context
from histoclf.exceptions import InputContractError
from histoclf.io._paths import as_paths
from histoclf.io._store import common_size, load_patches


class ImageLoader(TransformerMixin, BaseEstimator):
    """Load image files into arrays: the first step of a pipeline that begins with paths.

    Unreadable files are an error that names every one of them. There is no way to skip them here: a
    transformer must return one row for each row it was given, or labels and images would no longer belong
    together. Use `load_patches` with ``on_error="skip"`` in front of the pipeline instead, and keep the
    labels at its ``kept``.

    Parameters
    ----------
    image_size : int, tuple of (int, int) or None, default=None
        Side, or height and width, in pixels to which every image is resized. None takes the size that most of
        the images seen in `fit` have.
    flatten : bool, default=False
        Whether to return one row per image, for the scalers and samplers that take 2-D data only.
    n_jobs : int, default=None
        Number of decoding threads. None uses every core, or this worker's share of them in a parallel search.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    image_size_ : tuple of (int, int)
        Height and width of the loaded images, in pixels.
    image_shape_ : tuple of (int, int, int)
        Height, width and channels (3: RGB): what makes images of flattened rows again.

    See Also
    --------
    load_patches : The function behind it, which can skip unreadable files.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf.datasets import make_patches
    >>> from histoclf.io import ImageLoader, save_patches
    >>> made = make_patches(n_patients=2, patches_per_patient=3, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    ...     images = ImageLoader().fit_transform(paths)
    ...     rows = ImageLoader(image_size=24, flatten=True).fit_transform(paths)
    >>> images.shape, images.dtype.name, rows.shape
    ((6, 48, 48, 3), 'uint8', (6, 1728))
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  (scikit-learn's own form)
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "flatten": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] | None = None,
        flatten: bool = False,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.image_size = image_size
        self.flatten = flatten
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> ImageLoader:
        """Learn the size of the images, from file headers if `image_size` is None.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, 1)
            Image paths, `str` or path-like.
        y : None
            Ignored; here so that pipelines can pass labels.

        Returns
        -------
        self : ImageLoader
            The fitted loader.

        Raises
        ------
        InputContractError
            If `X` holds no paths.
        ImageReadError
            If `image_size` is None and no file can be read.
        """
        paths = _require_paths(X)
        self.image_size_ = common_size(paths) if self.image_size is None else _pair(self.image_size)
        self.image_shape_ = (*self.image_size_, 3)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Load images.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, 1)
            Image paths, `str` or path-like.

        Returns
        -------
        images : ndarray of shape (n_samples, height, width, 3), dtype uint8
            RGB, 0-255; with ``flatten=True`` of shape (n_samples, height * width * 3). Beyond the
            ``working_memory`` of `sklearn.set_config` it is a memory map on a temporary file.

        Raises
        ------
        InputContractError
            If `X` holds no paths.
        ImageReadError
            If files cannot be read; names all of them.
        """
        check_is_fitted(self)
        loaded = load_patches(
            _require_paths(X), image_size=self.image_size_, n_jobs=self.n_jobs, verbose=int(self.verbose)
        )
        return loaded.images.reshape(len(loaded.images), -1) if self.flatten else loaded.images

    @available_if(lambda self: self.flatten)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns; only with ``flatten=True``, as 4-D images have no columns.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of shape (height * width * 3,), dtype object
            Such as "row0_col0_red".
        """
        check_is_fitted(self)
        height, width = self.image_size_
        colours = ("red", "green", "blue")
        names = [
            f"row{row}_col{col}_{colour}"
            for row in range(height)
            for col in range(width)
            for colour in colours
        ]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False  # of numbers, that is; one column of paths is welcome
        tags.transformer_tags.preserves_dtype = []
        return tags


def _require_paths(X: Any) -> np.ndarray:
    paths = as_paths(X)
    if paths is None or len(paths) == 0:
        found = (
            f"an array of shape {X.shape} and dtype {X.dtype}" if isinstance(X, np.ndarray) else repr(X)[:80]
        )
        raise InputContractError(
            f"ImageLoader expects image paths (str or path-like), one per sample; got {found}."
        )
    return paths


def _pair(image_size: Any) -> tuple[int, int]:
    pair = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(pair) != 2 or not all(isinstance(side, int | np.integer) and side >= 1 for side in pair):
        raise ValueError(
            f"image_size must be a side or (height, width) in pixels, at least 1, got {image_size!r}."
        )
    return int(pair[0]), int(pair[1])
