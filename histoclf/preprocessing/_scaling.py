"""Scaling of pixel values, exactly once."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from histoclf._validation import StrOptions, fit_context
from histoclf.exceptions import InputContractError

__all__ = ["PixelScaler"]

_BLOCK = 2**18  # values worked on at a time, so that no float64 copy of all images is ever made
_SHOWN = 10  # offending rows named in an error message


def _blocks(X: NDArray[Any]) -> Iterator[slice]:
    rows = max(1, _BLOCK // X.shape[1])
    return (slice(start, start + rows) for start in range(0, len(X), rows))


def _name_rows(rows: NDArray[np.intp]) -> str:
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(map(str, rows[:_SHOWN].tolist())) + more


def _row_extremes(X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smallest and the largest value of each row, all of which must be finite."""
    low = X.min(axis=1).astype(np.float64)
    high = X.max(axis=1).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(low) | ~np.isfinite(high))  # NaN propagates through min and max
    if bad.size:
        raise InputContractError(
            f"X contains NaN or infinity in {bad.size} of {len(X)} rows: {_name_rows(bad)}. Remove or repair "
            "these rows before scaling."
        )
    return low, high


def _check_pixels(X: NDArray[Any]) -> None:
    """Raise unless the values of X, one image a row, are on the scale 0 to 255."""
    low, high = _row_extremes(X)
    if low.min() < 0 or high.max() > 255:
        raise InputContractError(_explain_range(X.dtype, low.min(), high.max()))
    unit = np.flatnonzero((high > 0) & (high <= 1))  # an image of zeros is black on every scale
    if not unit.size or X.dtype.kind != "f":
        return
    if high.max() <= 1:
        raise InputContractError(_explain_range(X.dtype, low.min(), high.max()))
    raise InputContractError(
        f"X is a mixed bag: {unit.size} of {len(X)} images are on the scale 0 to 1, the others on 0 to 255. "
        f"Bring all of them to 0 to 255; on 0 to 1 are rows {_name_rows(unit)}."
    )


def _check_not_cast(X: NDArray[Any]) -> None:
    if X.dtype.kind in "biu" and X.max() == 1:
        raise InputContractError(
            f"X is {X.dtype} and its largest value is 1: images on the scale 0 to 1 were cast to integers, "
            "which left only black and white. Delete the cast (astype) or the division by 255 in front of it."
        )


def _normal_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return (height, width, channels) of (height, width) or (height, width, channels)."""
    if len(shape) not in (2, 3) or any(int(n) != n or n < 1 for n in shape):
        raise InputContractError(
            f"image_shape must be (height, width) or (height, width, channels), all at least 1, "
            f"got {shape!r}."
        )
    height, width, channels = (*map(int, shape), 1)[:3]
    if channels not in (1, 3, 4):
        raise InputContractError(
            f"Images must have 1, 3 or 4 channels in the last place, got the shape {tuple(shape)}. "
            "If channels come first, use np.moveaxis(X, 1, -1)."
        )
    return height, width, channels


def _explain_range(dtype: np.dtype, low: float, high: float) -> str:
    got = f"PixelScaler expects pixels from 0 to 255, got {dtype} values from {low:.4g} to {high:.4g}"
    if low >= 0 and high < 1 / 64:
        return f"{got}: already scaled, and by the look of it twice. Delete both earlier divisions by 255."
    if high <= 255 and np.issubdtype(dtype, np.floating):
        return (
            f"{got}: already scaled. Delete one of the two scalers (a division by 255, a normalisation or "
            "another PixelScaler in front of this one)."
        )
    return f"{got}: not 8-bit images. Convert them to uint8 first, as ImageLoader does for 16-bit files."


def _as_array(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return X, and its shape if it is a 4-D array of images."""
    X = np.asarray(X) if isinstance(X, list | tuple) else X
    ndim = getattr(X, "ndim", 2)
    if ndim == 1 and getattr(X, "dtype", np.dtype(float)).kind in "OUST":
        raise InputContractError(
            "PixelScaler scales pixels, but X looks like a list of paths: put an ImageLoader in front of it, "
            "or give the paths to the classifier, which reads and scales by itself."
        )
    if ndim == 3:
        raise InputContractError(
            f"Images must be a 4-D array (n, height, width, channels), got the shape {X.shape}. "
            "For grayscale images use X[..., np.newaxis]; for a single image X[np.newaxis]."
        )
    return X, (tuple(X.shape) if ndim == 4 else None)


def _cast(values: NDArray[np.float64], dtype: np.dtype) -> NDArray[np.float64]:
    if dtype.kind == "f":
        return values
    whole = np.rint(values)
    return whole if dtype.kind == "b" else np.clip(whole, np.iinfo(dtype).min, np.iinfo(dtype).max)


class PixelScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
        X, shape = _as_array(X)
        self.image_shape_ = self._find_image_shape(shape)
        rows = self._rows(X, shape, reset=True)
        self._check_values(rows)
        if self.image_shape_ is not None:
            _check_not_cast(rows)
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
        X, shape = _as_array(X)
        rows = self._rows(X, shape, reset=False)
        self._check_values(rows)
        center, scale = self._spread(self.center_), self._spread(self.scale_)
        out = np.empty(rows.shape, dtype=np.float32)
        for block in _blocks(rows):
            np.divide(rows[block] - center, scale, out=out[block], casting="same_kind")
        return out.reshape(shape or rows.shape)

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
        for block in _blocks(rows):
            out[block] = _cast(rows[block] * scale + center, self.dtype_)
        return out.reshape(X.shape)

    def _find_image_shape(self, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        declared = None if self.image_shape is None else _normal_shape(tuple(self.image_shape))
        if shape is None:
            return declared
        found = _normal_shape(shape[1:])
        if declared not in (None, found):
            raise InputContractError(
                f"X holds images of shape {found}, but image_shape={self.image_shape!r}."
            )
        return found

    def _rows(self, X: Any, shape: tuple[int, ...] | None, *, reset: bool) -> NDArray[Any]:
        """Return X as a 2-D array, one image or sample a row."""
        if shape is not None:
            if shape[1:] != self.image_shape_:
                raise InputContractError(
                    f"X holds images of shape {shape[1:]}, but PixelScaler was fitted on "
                    f"{self.image_shape_ or 'a table'}. Resize the images, or fit again."
                )
            X = X.reshape(len(X), int(np.prod(shape[1:])))
        X = validate_data(self, X, reset=reset, ensure_all_finite=False)
        if self.image_shape_ is not None and X.shape[1] != np.prod(self.image_shape_):
            raise InputContractError(
                f"X has {X.shape[1]} values in a row, but images of shape {self.image_shape_} have "
                f"{np.prod(self.image_shape_)}: correct image_shape."
            )
        return X

    def _check_values(self, rows: NDArray[Any]) -> None:
        if self.image_shape_ is None:
            _row_extremes(rows)
        else:
            _check_pixels(rows)

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
        for block in _blocks(rows):
            total += function(rows[block]).sum(axis=0, dtype=np.float64)
        return total.reshape(-1, n_stats).mean(axis=0) / len(rows)

    def _spread(self, stats: NDArray[np.float64]) -> NDArray[np.float64]:
        # One entry for each value of a row: broadcasting over 3 channels would run in steps of 3.
        return np.tile(stats, self.n_features_in_ // len(stats))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
