"""What augmentation is wanted: plain numbers, without any network library."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator

from histoclf._validation import Interval

PRESETS: dict[str, dict[str, Any]] = {
    "flips": {"flip": True},
    # Chosen by validation on patients, see docs/results.rst.
    "standard": {
        "flip": True,
        "rotation": 30.0,
        "zoom": 0.2,
        "brightness": 0.2,
        "contrast": 0.3,
        "stain": 0.05,
    },
    "strong": {
        "flip": True,
        "rotation": 45.0,
        "zoom": 0.3,
        "brightness": 0.3,
        "contrast": 0.4,
        "stain": 0.2,
    },
}


class Augmentation(BaseEstimator):
    """Random changes of the training images that must not change their class.

    Drawn anew for every image in every epoch, after the validation part has been split off, inside the
    network and switched off in prediction. The fields can be searched over as ``augmentation__stain`` and the
    like.

    Parameters
    ----------
    flip : bool, default=True
        The eight flips and right-angle turns (four for images that are not square). Histology has no up, and
        no pixel is interpolated.
    rotation : float, default=0.0
        Largest angle in degrees, 0 to 180, by which an image is turned either way, mirrored at the border.
    zoom : float, default=0.0
        Largest change of scale, 0 to 1: the logarithm of the scale is uniform in ``[-zoom, zoom]``.
    brightness : float, default=0.0
        Largest shift of all pixels, 0 to 1, as a share of the full range.
    contrast : float, default=0.0
        Largest relative stretch of the pixels around the image's mean, 0 to 1.
    stain : float, default=0.0
        Strength of haematoxylin-eosin jitter, 0 to 1. In optical density, where stains add up [1]_, the
        concentration of haematoxylin, of eosin and of the remainder are each multiplied by a factor uniform
        in ``[1 - stain, 1 + stain]`` and shifted by up to a quarter of `stain` [2]_. Without effect on gray
        images.

    See Also
    --------
    HistoCNNClassifier : Takes it as ``augmentation``.

    References
    ----------
    .. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color
       deconvolution",
       Analytical and Quantitative Cytology and Histology 23 (2001), 291-299.
    .. [2] D. Tellez et al., "Quantifying the effects of data augmentation and stain color normalization in
       convolutional neural networks for computational pathology", Medical Image Analysis 58 (2019), 101544.

    Examples
    --------
    >>> from histoclf import Augmentation
    >>> Augmentation(stain=0.1).get_params()["stain"]
    0.1
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "flip": ["boolean"],
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "zoom": [Interval(Real, 0, 1, closed="both")],
        "brightness": [Interval(Real, 0, 1, closed="both")],
        "contrast": [Interval(Real, 0, 1, closed="both")],
        "stain": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        *,
        flip: bool = True,
        rotation: float = 0.0,
        zoom: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        stain: float = 0.0,
    ) -> None:
        self.flip = flip
        self.rotation = rotation
        self.zoom = zoom
        self.brightness = brightness
        self.contrast = contrast
        self.stain = stain

    @classmethod
    def from_preset(cls, name: str) -> Augmentation:
        """Make the augmentation that a preset's name stands for, to change fields of it or search over them.

        Parameters
        ----------
        name : {"flips", "standard", "strong"}
            What `augmentation` of a classifier takes as well.

        Returns
        -------
        augmentation : Augmentation
            A new object.

        Raises
        ------
        ValueError
            If there is no such preset.

        Examples
        --------
        >>> from histoclf import Augmentation
        >>> Augmentation.from_preset("standard").set_params(stain=0.1).rotation
        30.0
        """
        if name not in PRESETS:
            raise ValueError(f"There is no augmentation preset {name!r}. Expected one of {sorted(PRESETS)}.")
        return cls(**PRESETS[name])


def augmentation_fields(augmentation: str | Augmentation | None) -> tuple[tuple[str, Any], ...] | None:
    """Turn a preset's name or an `Augmentation` into sorted pairs of field and value.

    Raises
    ------
    ValueError
        If a field is out of its range.
    """
    if augmentation is None:
        return None
    if isinstance(augmentation, str):
        augmentation = Augmentation.from_preset(augmentation)
    augmentation._validate_params()
    return tuple(sorted(augmentation.get_params().items()))
