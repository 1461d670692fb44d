"""The input contract: what pixel values `fit` saw, and what `predict` must therefore see.

Scaling by hand is the commonest way to ruin a network without an error: pixels divided by 255 twice, or in
training and not in testing. Here the units are recognised once, in `fit`, the network scales by itself, and
whatever contradicts the units later is an error that says what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from histoclf.exceptions import InputContractError

_SLACK = 1e-3  # rounding of single precision, relative to the range
_TWICE = 1.0 / 64.0  # pixels in 0-1 are brighter than this somewhere, pixels divided by 255 twice never are
_BLOCK = 256  # images looked at or converted at a time: no float copy of everything
_N_SAMPLED = 512  # images whose fractions are examined

# Units that are recognised: how to get from them to 0-255.
_TO_PIXELS = {
    "0-255": (1.0, 0.0),
    "0-1": (255.0, 0.0),
    "-1-1": (127.5, 127.5),
}
# Units that only a mistake produces, by the mistake.
_MISTAKES = {
    "0-255 divided by 255 twice": (255.0**2, 0.0),
    "0-255 divided by 255 and then by 127.5, less 1": (127.5 * 255.0, 127.5 * 255.0),
}


@dataclass(frozen=True)
class InputContract:
    """What the values of X mean.

    Attributes
    ----------
    units : {"0-255", "0-1", "-1-1", "standardized", "table"}
        Recognised range; "standardized" is anything else that has negative values, and "table" a row of
        numbers that is not an image.
    scale, offset : ndarray of shape (1 or width, 1 or channels), float32
        ``X * scale + offset`` is in 0 to 255.
    whole : bool
        Whether that gives whole numbers: the images came from 8-bit pixels and are kept as such.
    """

    units: str
    scale: np.ndarray
    offset: np.ndarray
    whole: bool

    @property
    def pixel_dtype(self) -> str:
        """Data type of the images that the network is fed."""
        return "uint8" if self.whole else "float32"

    def to_pixels(self, images: np.ndarray) -> np.ndarray:
        """Convert images of shape (n, height, width, channels) to 0-255, without changing them."""
        if images.dtype == np.uint8 and self.units == "0-255" and self.whole:
            return images
        pixels = np.empty(images.shape, dtype=self.pixel_dtype)
        for rows in _blocks(len(images)):
            values = images[rows].astype("float32") * self.scale + self.offset
            pixels[rows] = np.clip(np.rint(values), 0, 255) if self.whole else values
        return pixels

    def check(self, images: np.ndarray) -> None:
        """Refuse images whose values contradict the units that `fit` saw.

        Raises
        ------
        InputContractError
            Naming what the values look like and what to change.
        """
        if self.units not in _TO_PIXELS:
            return
        low, high = _range_of(images)
        floor, ceiling = _limits(self.units)
        other = None
        if low < floor or high > ceiling:
            other = _guess_units(images, low, high)
        elif self.whole and not _is_whole(images, *_TO_PIXELS[self.units]):
            other = _recognise_whole(images, skip=self.units)
        if other is None and self.units == "0-255" and 0 < high <= 1 and not _is_whole(images, 1.0, 0.0):
            other = "0-1"
        if other is not None:
            raise InputContractError(
                f"X has values in {low:.4g} to {high:.4g} ({other}), but fit saw {self.units}. Expected the "
                "same units in both: delete the line that scales one of the two and not the other. The "
                "classifier scales by itself, so the simplest cure is to scale nowhere and give pixels in "
                "0-255."
            )


def learn_table(table: np.ndarray) -> InputContract:
    """Learn the range of each column of a table, shape (n, 1, n_columns, 1)."""
    low, high = table.min(axis=0)[0], table.max(axis=0)[0]
    return _stretch("table", low, high)


def learn_images(images: np.ndarray) -> InputContract:
    """Recognise the units of images of shape (n, height, width, channels).

    Raises
    ------
    InputContractError
        If they were scaled twice, are 16-bit, are in mixed units, or in units that are not recognised.
    """
    low, high = _range_of(images)
    if images.dtype.kind in "ui" and high <= 1:
        raise InputContractError(
            f"X holds whole numbers from {low:g} to {high:g} only: 8-bit pixels divided by 255 and cast "
            "back to integers look like that, and hold no picture. Expected pixels in 0-255; delete the "
            "division."
        )
    units = _learn_units(images, low, high)
    if units == "standardized" or (units == "0-1" and _is_scaled_by_position(images)):
        return _learn_standardized(images)
    if units == "0-255":
        _refuse_mixed(images)
    scale, offset = _TO_PIXELS[units]
    whole = images.dtype.kind in "ui" or _is_whole(images, scale, offset)
    return InputContract(units, _cell(scale), _cell(offset), whole)


def pixel_contract() -> InputContract:
    """Return the contract of decoded files: 8-bit pixels."""
    return InputContract("0-255", _cell(1.0), _cell(0.0), whole=True)


def _is_scaled_by_position(images: np.ndarray) -> bool:
    """Whether each pixel was stretched over all images (a MinMaxScaler): others may then lie beyond 0-1."""
    return bool(np.all(images.min(axis=0) == 0) and np.all(np.isclose(images.max(axis=0), 1)))


def _learn_standardized(images: np.ndarray) -> InputContract:
    """Undo a scaling by channel: from the grid that 8-bit pixels leave behind, else from the range.

    Standardised 8-bit pixels still take at most 256 values a channel, evenly spaced, which tells the scale.
    The shift is taken from the brightest value: slides have white in them.
    """
    high = images.max(axis=(0, 1, 2)).astype("float64")
    step = np.array([_grid_step(images[..., channel]) for channel in range(images.shape[-1])])
    if np.any(np.isnan(step)):
        return _stretch("standardized", images.min(axis=(0, 1, 2))[None], high[None])
    scale, offset = 1.0 / step, 255.0 - high / step
    return InputContract(
        "standardized", scale[None].astype("float32"), offset[None].astype("float32"), whole=True
    )


def _grid_step(values: np.ndarray) -> float:
    """Spacing of at most 256 evenly spaced values, or NaN."""
    levels = np.unique(values[:: max(1, len(values) // _N_SAMPLED)]).astype("float64")
    span = levels[-1] - levels[0]
    levels = levels[np.append(True, np.diff(levels) > 1e-4 * span)]  # equal but for rounding
    if not 2 <= len(levels) <= 256:
        return np.nan
    step = span / np.rint(span / np.diff(levels).min())
    grid = (levels - levels[0]) / step
    return step if grid[-1] <= 255.5 and np.abs(grid - np.rint(grid)).max() < 0.05 else np.nan


def _learn_units(images: np.ndarray, low: float, high: float) -> str:
    if _darkest_possible(low, high):
        raise InputContractError(
            f"X has values in {low:.4g} to {high:.4g} only: that is what pixels look like after being "
            "scaled twice. Expected 0-255, 0-1 or -1-1; delete one of the two lines that scale (the "
            "classifier scales by itself, so both can go)."
        )
    if low < 0:
        return "-1-1" if _fits("-1-1", low, high) else "standardized"
    for units in ("0-1", "0-255"):
        if _fits(units, low, high):
            return units
    raise InputContractError(
        f"X has values in {low:.4g} to {high:.4g}. Expected 8-bit pixels in 0-255 (or those as 0-1 or "
        "-1-1). Images of 16 bits have to be divided by 257 first."
    )


def _darkest_possible(low: float, high: float) -> bool:
    """Whether everything lies within 1/64 of black, in units of 0-1 or of -1-1."""
    return (low >= 0 and high <= _TWICE) or (abs(low + 1) <= _SLACK and high <= -1 + 2 * _TWICE)


def _refuse_mixed(images: np.ndarray) -> None:
    """Raise if some images are in 0-1 and others in 0-255."""
    if images.dtype.kind in "ui":
        return
    highest = np.concatenate([images[rows].max(axis=(1, 2, 3)) for rows in _blocks(len(images))])
    small = np.flatnonzero((highest <= 1 + _SLACK) & (highest > 0))
    odd = [int(row) for row in small[:1000] if not _is_whole(images[row : row + 1], 1.0, 0.0)]
    if odd:
        raise InputContractError(
            f"X is a mixed bag: {len(odd)} images are in 0-1 (rows "
            f"{odd[:10]}{'...' if len(odd) > 10 else ''}), the others in 0-255. Expected one range; scale "
            "all of them, or none."
        )


def _guess_units(images: np.ndarray, low: float, high: float) -> str:
    whole = _recognise_whole(images, skip="")
    if whole is not None:
        return whole
    fitting = [units for units in ("0-1", "-1-1", "0-255") if _fits(units, low, high)]
    return fitting[0] if fitting else "no range of pixels"


def _recognise_whole(images: np.ndarray, skip: str) -> str | None:
    """Name the units in which the images are whole 8-bit numbers; None if there are none."""
    candidates = {**_TO_PIXELS, **_MISTAKES}
    low, high = _range_of(images)
    for units, (scale, offset) in candidates.items():
        has_contrast = (high - low) * scale > 0.5  # one even level fits many units, and tells nothing
        if units != skip and has_contrast and _is_whole(images, scale, offset):
            return units
    return None


def _is_whole(images: np.ndarray, scale: float, offset: float) -> bool:
    """Whether the images become whole numbers in 0-255, in a sample of them."""
    step = max(1, len(images) // _N_SAMPLED)
    values = images[::step].astype("float32") * np.float32(scale) + np.float32(offset)
    if values.min() < -0.02 or values.max() > 255.02 or 1e-4 < values.max() < 0.5:
        return False  # the last: not black, but darker than any 8-bit pixel
    return bool(np.abs(values - np.rint(values)).max() < 0.02)


def _stretch(units: str, low: np.ndarray, high: np.ndarray) -> InputContract:
    """Map the range of each column or channel to 0-255; a constant one to 0."""
    low, high = low.astype("float64"), high.astype("float64")
    width = np.where(high > low, high - low, np.inf)
    scale = 255.0 / width
    return InputContract(units, scale.astype("float32"), (-low * scale).astype("float32"), whole=False)


def _limits(units: str) -> tuple[float, float]:
    scale, offset = _TO_PIXELS[units]
    slack = 255.0 * _SLACK
    return (-slack - offset) / scale, (255.0 + slack - offset) / scale


def _fits(units: str, low: float, high: float) -> bool:
    floor, ceiling = _limits(units)
    return floor <= low and high <= ceiling


def _range_of(images: np.ndarray) -> tuple[float, float]:
    return float(images.min()), float(images.max())


def _cell(value: float) -> np.ndarray:
    return np.full((1, 1), value, dtype="float32")


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, _BLOCK):
        yield slice(start, start + _BLOCK)
