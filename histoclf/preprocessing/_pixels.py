"""What transformers of pixels share: reading images on the scale 0 to 255, and refusing anything else."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from histoclf.exceptions import InputContractError

__all__ = ["PixelTransformer", "check_not_cast", "row_blocks"]

_BLOCK = 2**18  # values worked on at a time, so that no float copy of all images is ever made
_SHOWN = 10  # offending rows named in an error message

Shape = tuple[int, int, int]


class PixelTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers that take images on the scale 0 to 255.

    Images are a 4-D array, or the rows of a 2-D array where ``image_shape`` is given; a 2-D array without
    ``image_shape`` is a table. Inside, each is a 2-D array with one image or sample a row.
    """

    # What to do about pixels that were scaled before they came here.
    _cure_for_scaled: ClassVar[str]

    image_shape: tuple[int, ...] | None
    image_shape_: Shape | None
    n_features_in_: int

    def _read_first(self, X: Any) -> NDArray[Any]:
        """Return X as rows, learning ``image_shape_`` and ``n_features_in_``."""
        X, shape = self._as_array(X)
        self.image_shape_ = self._find_image_shape(shape)
        rows = self._rows(X, shape, reset=True)
        if self.image_shape_ is not None:
            check_not_cast(rows)
        return rows

    def _read_again(self, X: Any) -> tuple[NDArray[Any], tuple[int, ...]]:
        """Return X as rows, and the shape that the output must have."""
        X, shape = self._as_array(X)
        rows = self._rows(X, shape, reset=False)
        return rows, shape or rows.shape

    def _as_array(self, X: Any) -> tuple[Any, tuple[int, ...] | None]:
        """Return X, and its shape if it is a 4-D array of images."""
        X = np.asarray(X) if isinstance(X, list | tuple) else X
        ndim = getattr(X, "ndim", 2)
        if ndim == 1 and getattr(X, "dtype", np.dtype(float)).kind in "OUST":
            raise InputContractError(
                f"{type(self).__name__} takes pixels, but X looks like a list of paths: put an ImageLoader "
                "in front of it."
            )
        if ndim == 3:
            raise InputContractError(
                f"Images must be a 4-D array (n, height, width, channels), got the shape {X.shape}. "
                "For grayscale images use X[..., np.newaxis]; for a single image X[np.newaxis]."
            )
        return X, (tuple(X.shape) if ndim == 4 else None)

    def _find_image_shape(self, shape: tuple[int, ...] | None) -> Shape | None:
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
        """Return X as a 2-D array, one image or sample a row, its values checked."""
        if shape is not None:
            if shape[1:] != self.image_shape_:
                raise InputContractError(
                    f"X holds images of shape {shape[1:]}, but {type(self).__name__} was fitted on "
                    f"{self.image_shape_ or 'a table'}. Resize the images, or fit again."
                )
            X = X.reshape(len(X), int(np.prod(shape[1:])))
        X = validate_data(self, X, reset=reset, ensure_all_finite=False)
        if self.image_shape_ is None:
            _row_extremes(X)
            return X
        if X.shape[1] != np.prod(self.image_shape_):
            raise InputContractError(
                f"X has {X.shape[1]} values in a row, but images of shape {self.image_shape_} have "
                f"{np.prod(self.image_shape_)}: correct image_shape."
            )
        self._check_pixels(X)
        return X

    def _check_pixels(self, rows: NDArray[Any]) -> None:
        """Raise unless the values of images, one a row, are on the scale 0 to 255."""
        low, high = _row_extremes(rows)
        if low.min() < 0 or high.max() > 255:
            raise InputContractError(self._explain_range(rows.dtype, low.min(), high.max()))
        unit = np.flatnonzero((high > 0) & (high <= 1))  # an image of zeros is black on every scale
        if not unit.size or rows.dtype.kind != "f":
            return
        if high.max() <= 1:
            raise InputContractError(self._explain_range(rows.dtype, low.min(), high.max()))
        raise InputContractError(
            f"X is a mixed bag: {unit.size} of {len(rows)} images are on the scale 0 to 1, the others on 0 "
            f"to 255. Bring all of them to 0 to 255; on 0 to 1 are rows {_name_rows(unit)}."
        )

    def _explain_range(self, dtype: np.dtype, low: float, high: float) -> str:
        got = (
            f"{type(self).__name__} expects pixels from 0 to 255, got {dtype} values from {low:.4g} to "
            f"{high:.4g}"
        )
        if low >= 0 and high < 1 / 64:
            return (
                f"{got}: already scaled, and by the look of it twice. Delete both earlier divisions by 255."
            )
        if high <= 255 and np.issubdtype(dtype, np.floating):
            return f"{got}: already scaled. {self._cure_for_scaled}"
        return f"{got}: not 8-bit images. Convert them to uint8 first, as ImageLoader does for 16-bit files."


def row_blocks(rows: NDArray[Any]) -> Iterator[slice]:
    """Cut a 2-D array into blocks of rows that are small enough to work on in float."""
    step = max(1, _BLOCK // rows.shape[1])
    return (slice(start, start + step) for start in range(0, len(rows), step))


def check_not_cast(rows: NDArray[Any]) -> None:
    """Raise if whole-number images hold nothing but 0 and 1."""
    if rows.dtype.kind in "biu" and rows.max() == 1:
        raise InputContractError(
            f"X is {rows.dtype} and its largest value is 1: images on the scale 0 to 1 were cast to "
            "integers, which left only black and white. Delete the cast (astype) or the division by 255 in "
            "front of it."
        )


def _row_extremes(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smallest and the largest value of each row, all of which must be finite."""
    low = rows.min(axis=1).astype(np.float64)
    high = rows.max(axis=1).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(low) | ~np.isfinite(high))  # NaN propagates through min and max
    if bad.size:
        raise InputContractError(
            f"X contains NaN or infinity in {bad.size} of {len(rows)} rows: {_name_rows(bad)}. Remove or "
            "repair these rows first."
        )
    return low, high


def _name_rows(rows: NDArray[np.intp]) -> str:
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(map(str, rows[:_SHOWN].tolist())) + more


def _normal_shape(shape: tuple[int, ...]) -> Shape:
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
