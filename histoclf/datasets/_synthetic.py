"""Synthetic haematoxylin-eosin patches: tissue-like images of several patients, made in memory."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState
from sklearn.utils import Bunch, check_random_state

# Optical density of red, green and blue light per unit of stain. Haematoxylin after Ruifrok and Johnston
# (2001). Their eosin, (0.07, 0.99, 0.11), lets nearly all blue through, which on a screen is magenta; a slide
# scanner sees the salmon pink of this one.
_HAEMATOXYLIN = (0.65, 0.70, 0.29)
_EOSIN = (0.18, 0.85, 0.49)

_CHUNK = 128  # patches drawn at a time: few enough to stay in the cache
_GRID = 10  # candidate nuclei per side of a patch


def make_patches(
    *,
    n_patients: int = 8,
    patches_per_patient: int = 40,
    image_size: int = 48,
    n_classes: int = 2,
    stain_shift: float = 0.5,
    class_balance: Sequence[float] | None = None,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make synthetic histology patches of several patients.

    Nuclei lie on fibrous eosinophilic stroma with some white lumen. From the first class to the last they
    become more numerous, larger, less regular in size and shape, and paler inside, with nucleoli. The stains
    of each patient differ in hue and strength, and the classes are in different proportions in each patient.
    So colour predicts the class among the patients of a training set and fails on the next one, while size
    and shape of the nuclei hold: the trap that real slides set.

    Parameters
    ----------
    n_patients : int, default=8
        Number of patients.
    patches_per_patient : int, default=40
        Patches of each patient; at least `n_classes`, as every patient has every class.
    image_size : int, default=48
        Height and width in pixels, at least 16. The field of view stays the same: nuclei grow with it.
    n_classes : int, default=2
        Number of classes: "benign", "malignant" with 2, "benign", "atypical", "malignant" with 3,
        "grade 0", "grade 1", ... with more.
    stain_shift : float, default=0.5
        How much the stains of the patients differ in hue, strength and light, at least 0. 0 is one stain for
        all; at 1, the colour of a patch tells more of the patient than of the class.
    class_balance : sequence of float of length `n_classes`, default=None
        Share of each class in an average patient. None is equal shares.
    random_state : int, RandomState instance or None, default=None
        Seed of everything random.

    Returns
    -------
    patches : `sklearn.utils.Bunch`
        With the attributes:

        images : ndarray of shape (n_patches, image_size, image_size, 3), dtype uint8
            RGB, 0-255. Patches of one patient are adjacent.
        labels : ndarray of shape (n_patches,), dtype str
            Class of each patch.
        groups : ndarray of shape (n_patches,), dtype str
            Patient of each patch: "P01", "P02", ...
        coords : ndarray of shape (n_patches, 2), dtype float64
            Position (x, y) in pixels on the patient's slide. Neighbours tend to be of one class.
        classes : list of str
            The classes, from mildest to worst.
        description : str
            The data set in one sentence.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    A. C. Ruifrok, D. A. Johnston. Quantification of histochemical staining by color deconvolution. Analytical
    and Quantitative Cytology and Histology 23(4), 291-299, 2001.

    Examples
    --------
    >>> from histoclf.datasets import make_patches
    >>> patches = make_patches(n_patients=3, patches_per_patient=10, random_state=0)
    >>> patches.images.shape, patches.classes
    ((30, 48, 48, 3), ['benign', 'malignant'])
    >>> patches.description
    '30 synthetic patches of 48 x 48 pixels, 2 classes, 3 patients, stain shift 0.5'
    """
    _check("n_patients", n_patients, 1)
    _check("image_size", image_size, 16)
    _check("n_classes", n_classes, 2)
    _check("patches_per_patient", patches_per_patient, n_classes)
    if not stain_shift >= 0:
        raise ValueError(f"stain_shift must be at least 0, got {stain_shift!r}.")
    shares = _shares(class_balance, n_classes)
    rng = check_random_state(random_state)

    plans = [_plan_patient(rng, patches_per_patient, shares) for _ in range(n_patients)]
    grades = np.concatenate([grades for grades, _ in plans])
    patients = np.repeat(np.arange(n_patients), patches_per_patient)
    stains = _Stains.draw(rng, n_patients, stain_shift)
    images = np.empty((len(grades), image_size, image_size, 3), dtype=np.uint8)
    for start in range(0, len(grades), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        amounts = _draw_tissue(rng, grades[chunk] / (n_classes - 1), image_size)
        images[chunk] = stains.render(amounts, patients[chunk])

    classes = _class_names(n_classes)
    width = max(2, len(str(n_patients)))
    return Bunch(
        images=images,
        labels=np.array(classes)[grades],
        groups=np.array([f"P{number + 1:0{width}d}" for number in patients]),
        coords=np.concatenate([cells for _, cells in plans]) * float(image_size),
        classes=classes,
        description=(
            f"{len(images):,} synthetic patches of {image_size} x {image_size} pixels, {n_classes} classes, "
            f"{n_patients} patients, stain shift {stain_shift:g}"
        ),
    )


def _check(name: str, value: int, low: int) -> None:
    if not isinstance(value, numbers.Integral) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}.")


def _shares(class_balance: Sequence[float] | None, n_classes: int) -> np.ndarray:
    shares = np.ones(n_classes) if class_balance is None else np.asarray(class_balance, dtype=float)
    if shares.shape != (n_classes,) or not np.all(shares > 0):
        raise ValueError(
            f"class_balance must be {n_classes} positive shares, one per class, got {class_balance!r}."
        )
    return shares / shares.sum()


def _class_names(n_classes: int) -> list[str]:
    known = {2: ["benign", "malignant"], 3: ["benign", "atypical", "malignant"]}
    return known.get(n_classes) or [f"grade {number}" for number in range(n_classes)]


def _plan_patient(rng: RandomState, n: int, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class index and cell (column, row) on the slide of each patch of one patient."""
    n_classes = len(shares)
    # One patch of every class for certain, the others in this patient's own proportions.
    own = rng.dirichlet(4 * n_classes * shares)
    grades = np.sort(np.append(np.arange(n_classes), rng.choice(n_classes, size=n - n_classes, p=own)))
    side = int(np.ceil(np.sqrt(n)))
    cells = np.stack(np.divmod(np.arange(n), side)[::-1], axis=1)
    # Patches are handed out, mildest first, along a smooth landscape: lesions are contiguous.
    landscape = _noise(rng, 1, side, 3)[0].ravel()[:n] + 0.3 * rng.standard_normal(n)
    placed = np.empty(n, dtype=np.int64)
    placed[np.argsort(landscape)] = grades
    return placed, cells


@dataclass(frozen=True)
class _Stains:
    """The stains of each patient.

    `vectors` (patients, 2, 3) are optical densities, `white` (patients, 3) is the light without tissue.
    """

    vectors: np.ndarray
    white: np.ndarray

    @classmethod
    def draw(cls, rng: RandomState, n_patients: int, shift: float) -> _Stains:
        hues = np.array([_HAEMATOXYLIN, _EOSIN]) + 0.07 * shift * rng.standard_normal((n_patients, 2, 3))
        hues = np.clip(hues, 0.02, None)
        hues /= np.linalg.norm(hues, axis=2, keepdims=True)
        strengths = np.exp(0.45 * shift * rng.standard_normal((n_patients, 2, 1)))
        white = 0.97 - 0.08 * min(shift, 2.0) * rng.random_sample((n_patients, 1)) * [1.0, 0.9, 0.8]
        return cls((hues * strengths).astype(np.float32), white.astype(np.float32))

    def render(self, amounts: np.ndarray, patients: np.ndarray) -> np.ndarray:
        """Light through the stain `amounts` (n, height, width, 2) after Beer and Lambert, as uint8 RGB."""
        density = amounts.reshape(len(amounts), -1, 2) @ self.vectors[patients]
        light = self.white[patients][:, np.newaxis] * np.exp(-density)
        return (255 * light).round().astype(np.uint8).reshape(*amounts.shape[:3], 3)


def _draw_tissue(rng: RandomState, severity: np.ndarray, size: int) -> np.ndarray:
    """Amounts of haematoxylin and eosin, (n, size, size, 2) float32, of patches of `severity` 0 to 1."""
    n = len(severity)
    angle = rng.uniform(0, np.pi, n)
    cellular = _noise(rng, n, size, 4)  # where cells crowd: nests of tumour, or lymphocytes
    lumen = _lumen(rng, n, size)
    fibres = _fibres(rng, n, size, angle)
    grain = _noise(rng, n, size, size // 2)

    density = rng.lognormal(0, 0.5, n)  # cellularity varies within a class too
    nuclei = _draw_nuclei(rng, severity, density, angle, cellular, size) * (1 + 0.18 * grain) * (1 - lumen)
    nest = (1 / (1 + np.exp(-4 * (cellular - 0.4)))) * severity.astype(np.float32)[:, np.newaxis, np.newaxis]
    thickness = rng.lognormal(0, 0.2, (n, 1, 1)).astype(np.float32)
    stroma = (0.36 + 0.36 * fibres + 0.05 * grain) * (1 - 0.15 * nest) * (1 - lumen) * thickness
    haematoxylin = nuclei + (0.08 + 0.1 * nest + 0.03 * grain) * (1 - lumen) * thickness
    eosin = stroma * (1 - 0.55 * np.minimum(nuclei, 1))
    return np.maximum(np.stack([haematoxylin, eosin], axis=-1), 0).astype(np.float32)


def _noise(rng: RandomState, n: int, size: int, cells: int) -> np.ndarray:
    """Smooth random landscapes (n, size, size) of mean 0, variance 1, with about `cells` hills per side."""
    grid = np.arange(-1, cells + 1)
    weights = np.exp(-0.5 * ((np.linspace(0, cells - 1, size)[:, np.newaxis] - grid) / 0.6) ** 2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    weights = weights.astype(np.float32)
    return weights @ rng.standard_normal((n, len(grid), len(grid))).astype(np.float32) @ weights.T


def _lumen(rng: RandomState, n: int, size: int) -> np.ndarray:
    """Cover (0-1) by the empty spaces in tissue: ducts, vessels, fat; none in most patches."""
    threshold = rng.uniform(1.0, 3.0, (n, 1, 1)).astype(np.float32)
    return np.clip((_noise(rng, n, size, 4) - threshold) * 6 + 0.5, 0, 1)


def _fibres(rng: RandomState, n: int, size: int, angle: np.ndarray) -> np.ndarray:
    """Wavy collagen bundles (0-1) that run along `angle`."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    across = np.sin(-angle)[:, None, None] * x + np.cos(angle)[:, None, None] * y
    bend = 0.9 * _noise(rng, n, size, 3)
    pitch = rng.uniform(4, 8, (n, 1, 1))
    coarse = np.sin(2 * np.pi * pitch * across + 2.2 * bend)
    fine = np.sin(2 * np.pi * 2.3 * pitch * across + 4 * bend + 1)
    frayed = 0.5 + 0.3 * _noise(rng, n, size, 6)  # no bundle is equally thick from end to end
    return (0.5 + (0.33 * coarse + 0.17 * fine) * frayed).astype(np.float32)


def _draw_nuclei(
    rng: RandomState,
    severity: np.ndarray,
    density: np.ndarray,
    angle: np.ndarray,
    cellular: np.ndarray,
    size: int,
) -> np.ndarray:
    """Haematoxylin of the nuclei of each patch, (n, size, size) float32."""
    patch, x, y = _place_nuclei(rng, severity, density, cellular, size)
    nuclei = _Nuclei.draw(
        rng, severity[patch], angle[patch], cellular[patch, y.astype(int), x.astype(int)], size / 48
    )
    margin = int(np.ceil(1.4 * nuclei.long.max(initial=1))) + 1
    window = np.arange(-margin, margin + 1)
    column, row = x.astype(int)[:, None] + window, y.astype(int)[:, None] + window
    stamps = nuclei.stamp((column - x[:, None])[:, None, :], (row - y[:, None])[:, :, None])
    padded = np.zeros((len(severity), size + 2 * margin, size + 2 * margin), dtype=np.float32)
    place = (patch[:, None, None], (row + margin)[:, :, None], (column + margin)[:, None, :])
    np.maximum.at(padded, place, stamps)
    return padded[:, margin:-margin, margin:-margin]


def _place_nuclei(
    rng: RandomState, severity: np.ndarray, density: np.ndarray, cellular: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patch, x and y of every nucleus: a jittered grid, thinned, because nuclei do not lie on one another."""
    n, step = len(severity), size / _GRID
    y, x = np.mgrid[:_GRID, :_GRID] + 0.5
    x = (x + rng.uniform(-0.45, 0.45, (n, _GRID, _GRID))) * step
    y = (y + rng.uniform(-0.45, 0.45, (n, _GRID, _GRID))) * step
    crowding = np.exp(0.8 * cellular[np.arange(n)[:, None, None], y.astype(int), x.astype(int)])
    chance = ((0.19 + 0.03 * severity) * density)[:, None, None] * crowding
    patch, row, column = np.nonzero(rng.random_sample(chance.shape) < chance)
    return patch, x[patch, row, column], y[patch, row, column]


@dataclass(frozen=True)
class _Nuclei:
    """One entry per nucleus: half axes in pixels, direction, outline, darkness, pallor inside, nucleolus."""

    long: np.ndarray
    short: np.ndarray
    angle: np.ndarray
    outline: np.ndarray
    darkness: np.ndarray
    pallor: np.ndarray
    nucleolus: np.ndarray

    @classmethod
    def draw(
        cls, rng: RandomState, severity: np.ndarray, fibre: np.ndarray, crowded: np.ndarray, scale: float
    ) -> _Nuclei:
        n = len(severity)
        tumour = rng.random_sample(n) < 0.1 + 0.8 * severity
        spindle = ~tumour & (
            crowded < rng.normal(0.4, 0.5, n)
        )  # fibroblasts between fibres, else lymphocytes
        radius = np.where(tumour, rng.normal(2.5, 0.25 + 0.5 * severity, n), rng.normal(1.75, 0.15, n))
        ratio = np.where(spindle, 0.4, np.where(tumour, 1 - np.abs(rng.normal(0, 0.28, n)), 0.92))
        ratio, radius = np.clip(ratio, 0.35, 1), np.clip(radius, 1.2, 4.2) * scale
        aligned = fibre + rng.normal(0, 0.2, n)
        return cls(
            long=(radius / np.sqrt(ratio)).astype(np.float32),
            short=(radius * np.sqrt(ratio)).astype(np.float32),
            angle=np.where(spindle, aligned, rng.uniform(0, np.pi, n)).astype(np.float32),
            outline=(rng.standard_normal((4, n)) * np.where(tumour, 0.03 + 0.05 * severity, 0.03)).astype(
                np.float32
            ),
            darkness=(np.where(tumour, 1.1, 1.5) * rng.lognormal(0, 0.18, n)).astype(np.float32),
            pallor=np.where(tumour, rng.uniform(0.1, 0.3 + 0.5 * severity, n), 0.0).astype(np.float32),
            nucleolus=np.where(tumour & (rng.random_sample(n) < severity), 0.6, 0.0).astype(np.float32),
        )

    def stamp(self, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
        """Haematoxylin at the offsets (`dx`, `dy`) from each centre, (n, window, window) float32."""
        each = (slice(None), None, None)
        cos, sin = np.cos(self.angle)[each], np.sin(self.angle)[each]
        dx, dy = dx.astype(np.float32), dy.astype(np.float32)
        u = (dx * cos + dy * sin) / self.long[each]
        v = (dy * cos - dx * sin) / self.short[each]
        r = np.sqrt(u * u + v * v) + np.float32(1e-6)
        c1, s1 = u / r, v / r
        c2, s2 = c1 * c1 - s1 * s1, 2 * c1 * s1
        c3, s3 = c1 * c2 - s1 * s2, s1 * c2 + c1 * s2
        a, b, c, d = (wave[each] for wave in self.outline)
        r /= 1 + a * c2 + b * s2 + c * c3 + d * s3
        cover = np.clip((1 - r) * self.short[each] + 0.5, 0, 1)  # the edge is one pixel wide
        inside = 1 - self.pallor[each] * np.clip(1 - r * r, 0, 1)
        spot = self.nucleolus[each] * np.exp(-8 * ((u - 0.2) ** 2 + v * v))
        return cover * (self.darkness[each] * inside + spot)
