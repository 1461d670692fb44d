"""Scaling of pixel values, exactly once."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted

from histoclf._validation import StrOptions, fit_context
from histoclf.exceptions import InputContractError
from histoclf.preprocessing._pixels import PixelTransformer, row_blocks

__all__ = ["PixelScaler"]


def _cast(values: NDArray[np.float64], dtype: np.dtype) -> NDArray[np.float64]:
    if dtype.kind == "f":
        return values
    whole = np.rint(values)
    return whole if dtype.kind == "b" else np.clip(whole, np.iinfo(dtype).min, np.iinfo(dtype).max)


class PixelScaler(PixelTransformer):
    """Scale the pixels of images from 0 to 255 into the range a model wants, once.

    Images are a 4-D array, or a 2-D array of flattened images with `image_shape`. Their values must lie
    on the scale 0 to 255, uint8 or float; anything scaled before (a second `PixelScaler` in a row,
    a forgotten ``/ 255``) raises an error that says so. A 2-D array *without* `image_shape` is taken
    for a plain table of numbers of any range, in which each column is scaled by itself.

    Classifiers of histoclf scale inside the model and need no PixelScaler in front.

    Parameters
    ----------
    mode : {"unit", "symmetric", "standard"}, default="unit"
        Range of the output. "unit": 0 to 1. "symmetric": -1 to 1. "standard": zero mean and unit variance
        over the images seen in `fit`, for each channel. For images, "unit" and "symmetric" divide 0 to 255
        and learn nothing from the data; in a plain table the smallest and largest value of each
        column take the places of 0 and 255, as in :class:`sklearn.preprocessing.MinMaxScaler`.
    image_shape : tuple of int, default=None
        ``(height, width, channels)`` or ``(height, width)`` of the images, needed only if they come as
        the rows of a 2-D array.

    Attributes
    ----------
    center_, scale_ : ndarray of float64, shape (n_channels,) for images or (n_features,) for a table
        The output is ``(X - center_) / scale_``. With "standard" they are mean and standard
        deviation. A channel that does not vary has scale 1.
    image_shape_ : tuple of int or None
        ``(height, width, channels)``; None for a plain table.
    dtype_ : numpy.dtype
        Type of the input to `fit`, which `inverse_transform` returns.
    n_features_in_ : int
        Number of values in a row; for images ``height * width * channels``.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Names of the columns, where X was a DataFrame.

    Raises
    ------
    InputContractError
        If images are not on the scale 0 to 255, a mixed bag, not finite, or not of the right shape.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.preprocessing import PixelScaler
    >>> X = np.array([0, 51, 255], dtype=np.uint8).reshape(1, 1, 3, 1)
    >>> scaler = PixelScaler("symmetric").fit(X)
    >>> scaled = scaler.transform(X)
    >>> scaled.ravel()
    array([-1. , -0.6,  1. ], dtype=float32)
    >>> scaler.inverse_transform(scaled).ravel()
    array([  0,  51, 255], dtype=uint8)
    >>> PixelScaler().fit(scaled)
    Traceback (most recent call last):
    histoclf.exceptions.InputContractError: PixelScaler expects pixels from 0 to 255, got float32 values from
    -1 to 1: already scaled. Delete one of the two scalers (a division by 255, a normalisation or another
    PixelScaler in front of this one).
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "mode": [StrOptions({"unit", "symmetric", "standard"})],
        "image_shape": [tuple, list, None],
    }

    _cure_for_scaled = (
        "Delete one of the two scalers (a division by 255, a normalisation or another PixelScaler in front "
        "of this one)."
    )

    def __init__(self, mode: str = "unit", *, image_shape: tuple[int, ...] | None = None) -> None:
        self.mode = mode
        self.image_shape = image_shape

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> "PixelScaler":
        """Learn center and scale.

        Parameters
        ----------
        X : array-like of shape (n, height, width, channels) or (n, n_features)
            Images from 0 to 255, or a table.
        y : None
            Ignored.

        Returns
        -------
        self : PixelScaler
            The fitted scaler.
        """
        rows = self._read_first(X)
        self.dtype_ = rows.dtype
        self.center_, scale = self._learn(rows)
        self.scale_ = np.where(scale <= 10 * np.finfo(float).eps * np.abs(self.center_), 1.0, scale)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Scale.

        Parameters
        ----------
        X : array-like of shape (n, height, width, channels) or (n, n_features)
            Images from 0 to 255, or a table.

        Returns
        -------
        X_scaled : ndarray of float32, same shape as X
            The scaled values.
        """
        check_is_fitted(self)
        rows, shape = self._read_again(X)
        center, scale = self._spread(self.center_), self._spread(self.scale_)
        out = np.empty(rows.shape, dtype=np.float32)
        for block in row_blocks(rows):
            np.divide(rows[block] - center, scale, out=out[block], casting="same_kind")
        return out.reshape(shape)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return to the scale of the input.

        Parameters
        ----------
        X : array-like of shape (n, height, width, channels) or (n, n_features)
            Scaled values.

        Returns
        -------
        X_original : ndarray of type `dtype_`, same shape as X
            The original values. Whole-number types are rounded and clipped to what they can hold, so that
            uint8 images come back exactly.
        """
        check_is_fitted(self)
        X = check_array(X, allow_nd=True)
        rows = X.reshape(len(X), -1)
        if rows.shape[1] != self.n_features_in_:
            raise InputContractError(
                f"X has {rows.shape[1]} values in a row, but PixelScaler was fitted on {self.n_features_in_}."
            )
        center, scale = self._spread(self.center_), self._spread(self.scale_)
        out = np.empty(rows.shape, dtype=self.dtype_)
        for block in row_blocks(rows):
            out[block] = _cast(rows[block] * scale + center, self.dtype_)
        return out.reshape(X.shape)

    def _learn(self, rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what is subtracted from, and then divides, each channel or column."""
        if self.mode == "standard":
            mean = self._mean(rows, lambda values: values)
            center = self._spread(mean)
            return mean, np.sqrt(self._mean(rows, lambda values: np.square(values - center)))
        if self.image_shape_ is None:
            low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
        else:
            low, high = np.zeros(self.image_shape_[2]), np.full(self.image_shape_[2], 255.0)
        return (low, high - low) if self.mode == "unit" else ((low + high) / 2, (high - low) / 2)

    def _mean(
        self, rows: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> NDArray[np.float64]:
        """Return the mean of a function of the values, for each channel or column."""
        n_stats = rows.shape[1] if self.image_shape_ is None else self.image_shape_[2]
        total = np.zeros(rows.shape[1])
        for block in row_blocks(rows):
            total += function(rows[block]).sum(axis=0, dtype=np.float64)
        return total.reshape(-1, n_stats).mean(axis=0) / len(rows)

    def _spread(self, stats: NDArray[np.float64]) -> NDArray[np.float64]:
        # One entry for each value of a row: broadcasting over 3 channels would run in steps of 3.
        return np.tile(stats, self.n_features_in_ // len(stats))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
