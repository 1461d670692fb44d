"""StainNormalizer: bring the stains of all images to one reference."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from histoclf._validation import Interval, StrOptions, fit_context
from histoclf.exceptions import InputContractError
from histoclf.preprocessing._pixels import PixelTransformer, check_not_cast, row_blocks
from histoclf.preprocessing._stain_methods import Macenko, Profile, Reinhard, StainMethod

__all__ = ["StainNormalizer"]


class StainNormalizer(PixelTransformer):
    """Bring the stains of all images to those of one reference.

    Two laboratories stain the same tissue differently, and a model that learned the colour of one fails on
    the other. This transformer estimates the stains of every image by itself and moves them to those of a
    reference, learned in `fit`. Labels are not used, and an image's result depends on no other image that is
    given with it to `transform`.

    Images are a 4-D array, or a 2-D array of flattened images with `image_shape`; RGB, 0 to 255, uint8 or
    float (which is rounded). A 2-D array *without* `image_shape` is taken for a plain table: numbers
    cannot be stained, so it is returned unchanged, unless it looks like flattened images, which is an error.

    An image whose stains cannot be told is returned unchanged: blank glass, one even colour, gray. See Notes.

    Parameters
    ----------
    method : {"macenko", "reinhard"}, default="macenko"
        "macenko" [1]_ separates two stains in optical density, where they add up, and moves the direction and
        the largest concentration of each. "reinhard" [2]_ moves the mean and standard deviation of lightness
        and colour, whatever made them.
    reference : array-like of shape (height, width, 3) or (n, height, width, 3), default=None
        Image that all others shall look like, or several, of any size, 0 to 255. None takes the images seen
        in `fit`. Of several images, the median of what the method measures is the reference, so that a few
        odd ones do no harm.
    image_shape : tuple of int, default=None
        ``(height, width, 3)``, needed only if images come as the rows of a 2-D array.
    light : float, default=240.0
        Pixel value of unstained glass, more than 0 and up to 255. "macenko" only.
    threshold : float, default=0.15
        Optical density (natural logarithm) that a pixel must reach in red, green and blue to count as
        stained, more than 0. "macenko" only.
    angle_percentile : float, default=1.0
        The two stains are the directions at this percentile, from 0 to less than 50, and at 100 minus it,
        of the angles of all stained pixels. "macenko" only.

    Attributes
    ----------
    stain_matrix_ : ndarray of float64, shape (2, 3)
        Optical density in red, green and blue of haematoxylin (first row) and eosin in the reference, of
        length 1. "macenko" only, and not for a table.
    max_concentrations_ : ndarray of float64, shape (2,)
        99th percentile of the concentration of each stain in the reference. "macenko" only, and not for a
        table.
    means_, stds_ : ndarray of float64, shape (3,)
        Mean and standard deviation of L*, a* and b* in the reference. "reinhard" only, and not for a table.
    image_shape_ : tuple of int or None
        ``(height, width, 3)``; None for a plain table.
    n_features_in_ : int
        Number of values in a row; for images ``height * width * 3``.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Names of the columns, where X was a DataFrame.

    Raises
    ------
    InputContractError
        If images are not RGB on the scale 0 to 255, or none of the images seen in `fit` shows its stains.

    See Also
    --------
    Augmentation : Varies the stains in training instead of removing their differences.

    Notes
    -----
    Returned unchanged are, with "macenko", images of which less than 1 % of the pixels are stained, whose two
    stains lie less than 10 degrees apart (one stain only, or gray), whose weaker stain reaches `threshold`
    nowhere, or in which the stains found do not explain the image (the 1st percentile of a concentration is
    below minus half the 99th; pale tissue would be bleached to white); with "reinhard", images in which
    lightness or colour spreads by less than 1 unit of CIELAB.

    Reinhard et al. worked in the space l-alpha-beta, which takes logarithms and so has no place for black
    pixels. CIELAB has the same three axes (lightness, two opponent colours), is finite everywhere, and is
    what other histology libraries use for this method.

    References
    ----------
    .. [1] M. Macenko et al., "A method for normalizing histology slides for quantitative analysis", IEEE
       International Symposium on Biomedical Imaging (2009), 1107-1110.
    .. [2] E. Reinhard, M. Ashikhmin, B. Gooch and P. Shirley, "Color transfer between images", IEEE Computer
       Graphics and Applications 21(5) (2001), 34-41.

    Examples
    --------
    >>> from histoclf.datasets import make_patches
    >>> from histoclf.preprocessing import StainNormalizer
    >>> images = make_patches(n_patients=4, patches_per_patient=5, random_state=0).images
    >>> normalizer = StainNormalizer().fit(images)
    >>> normalizer.stain_matrix_.shape
    (2, 3)
    >>> normalized = normalizer.transform(images)
    >>> normalized.shape, normalized.dtype.name
    ((20, 48, 48, 3), 'uint8')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "method": [StrOptions({"macenko", "reinhard"})],
        "reference": ["array-like", None],
        "image_shape": [tuple, list, None],
        "light": [Interval(Real, 0, 255, closed="right")],
        "threshold": [Interval(Real, 0, None, closed="neither")],
        "angle_percentile": [Interval(Real, 0, 50, closed="left")],
    }

    _cure_for_scaled = (
        "Stains can only be told in pixels: delete the scaling in front of StainNormalizer (a division by "
        "255, a normalisation, a PixelScaler), or move it behind."
    )

    def __init__(
        self,
        method: str = "macenko",
        *,
        reference: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        light: float = 240.0,
        threshold: float = 0.15,
        angle_percentile: float = 1.0,
    ) -> None:
        self.method = method
        self.reference = reference
        self.image_shape = image_shape
        self.light = light
        self.threshold = threshold
        self.angle_percentile = angle_percentile

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> "StainNormalizer":
        """Learn the reference.

        Parameters
        ----------
        X : array-like of shape (n, height, width, 3) or (n, n_features)
            Images from 0 to 255, or a table.
        y : None
            Ignored.

        Returns
        -------
        self : StainNormalizer
            The fitted normalizer.

        Raises
        ------
        InputContractError
            If `X` or `reference` holds no RGB images on the scale 0 to 255, or none that shows its stains.
        """
        rows = self._read_first(X)
        if self.image_shape_ is None:
            _refuse_flattened(rows)
            return self
        _require_rgb(self.image_shape_)
        first, second = self._learn(rows if self.reference is None else self._reference_rows())
        if self.method == "macenko":
            self.stain_matrix_, self.max_concentrations_ = first, second
        else:
            self.means_, self.stds_ = first, second
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Move the stains of every image to those of the reference.

        Parameters
        ----------
        X : array-like of shape (n, height, width, 3) or (n, n_features)
            Images from 0 to 255, or a table.

        Returns
        -------
        X_normalized : ndarray of uint8, same shape as X
            The images, 0 to 255; a table comes back as it is.

        Raises
        ------
        InputContractError
            If `X` is not what `fit` saw: images of another shape or scale.
        """
        check_is_fitted(self)
        rows, shape = self._read_again(X)
        if self.image_shape_ is None:
            return rows.copy()
        method, target = self._engine(), self._target()
        out = np.empty(rows.shape, dtype=np.uint8)
        for block in row_blocks(rows):
            planes = _as_planes(rows[block])
            _normalize(planes, method, target)
            out[block] = planes.swapaxes(1, 2).reshape(len(planes), -1)
        return out.reshape(shape)

    def _engine(self) -> StainMethod:
        if self.method == "reinhard":
            return Reinhard()
        return Macenko(self.light, self.threshold, self.angle_percentile)

    def _target(self) -> Profile:
        if self.method == "reinhard":
            return self.means_, self.stds_
        return self.stain_matrix_, self.max_concentrations_

    def _reference_rows(self) -> NDArray[Any]:
        images = np.asarray(self.reference)
        images = images[np.newaxis] if images.ndim == 3 else images
        if images.ndim != 4 or images.shape[3] != 3 or images.size == 0:
            raise InputContractError(
                "reference must be one image of shape (height, width, 3) or several of shape (n, height, "
                f"width, 3), got the shape {np.asarray(self.reference).shape}."
            )
        rows = images.reshape(len(images), -1)
        try:
            self._check_pixels(rows)
            check_not_cast(rows)
        except InputContractError as error:
            raise InputContractError(f"reference is no image to learn from: {error}") from None
        return rows

    def _learn(self, rows: NDArray[Any]) -> Profile:
        """Return the profile in the middle of the images that have one."""
        method = self._engine()
        found = []
        for block in row_blocks(rows):
            (first, second), usable = method.measure(_as_planes(rows[block]))
            found.append((first[usable], second[usable]))
        profile = np.concatenate([f for f, _ in found]), np.concatenate([s for _, s in found])
        if not len(profile[0]):
            raise InputContractError(
                f"None of the {len(rows)} images in {'X' if self.reference is None else 'reference'} shows "
                "its stains: all are blank, of one colour or gray. Expected stained tissue in RGB; give an "
                "image of it as reference."
            )
        return method.typical(profile)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # images become uint8
        return tags


def _as_planes(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a copy of flattened RGB images as uint8 of shape (n, 3, n_pixels)."""
    if rows.dtype.kind == "f":
        rows = np.rint(rows)
    pixels = rows.reshape(len(rows), -1, 3).astype(np.uint8, copy=False)
    return pixels.swapaxes(1, 2).copy()


def _normalize(planes: NDArray[np.uint8], method: StainMethod, target: Profile) -> None:
    """Change, in place, the images whose stains can be told."""
    (first, second), usable = method.measure(planes)
    moved = method.move(planes[usable], (first[usable], second[usable]), target)
    planes[usable] = np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def _require_rgb(shape: tuple[int, ...]) -> None:
    if shape[2] != 3:
        cure = "drop alpha with X[..., :3]" if shape[2] == 4 else "leave StainNormalizer out for gray images"
        raise InputContractError(
            f"StainNormalizer needs RGB images, got {shape[2]} channel(s): {cure}. Flattened RGB images need "
            "image_shape=(height, width, 3)."
        )


def _refuse_flattened(rows: NDArray[Any]) -> None:
    """Raise if a table looks like pixels, which would silently stay as they are."""
    if rows.shape[1] % 3 == 0 and rows.min() >= 0 and 1 < rows.max() <= 255 and np.all(rows == np.rint(rows)):
        raise InputContractError(
            f"X is a table with {rows.shape[1]} columns of whole numbers from 0 to 255, which looks like "
            "flattened images. Give StainNormalizer their image_shape=(height, width, 3), or the images as "
            "a 4-D array."
        )
