"""How well one image lies on another: register their pixels, and compare the fine structure.

What decides is the pattern of nuclei and fibres where both images have some, after the local brightness and
contrast were taken out: there two copies agree nearly perfectly, and two places of the same slide not at all.
Edges of tissue, folds and cover slips agree with each other along their length, and are no evidence: only
places count where the structure runs in two directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from histoclf.audit._keypoints import SIDE, blur, sample
from histoclf.audit._matching import Candidates, join_candidates

Floats = NDArray[np.floating]

_BLOCKS = 6  # the overlap is judged in _BLOCKS x _BLOCKS blocks
# Share of the blocks that count, the best ones: where a copy was shifted, what was mirrored into the gap
# agrees with nothing.
_BEST = 0.6
_LEAST_OVERLAP = 0.25  # share of the image in blocks that both have structure in
# (4 / 3) ** 2 is what pressing images of 4 : 3 into squares does to one of two copies that was turned.
_LARGEST_GROWTH, _LARGEST_ANISOTROPY = 1.7, 1.8
_ROUGH, _FINE = (2.0, 8.0), (1.0, 3.5)  # bands of spatial frequency, as two blurs in pixels
_NOISE = 4.0  # gray levels: contrast below which the local contrast is not brought to one
_MARGIN = 3  # pixels at the border that are left out: what compression and resampling changed
_CAUTION = 1e-3  # of the steps of the registration
_LONGEST_STEP = 4.0  # pixels
_CHUNK = 256  # pairs at a time
# Similarity that a pair must have before the registration, in either band, and after its first half: of real
# copies 99 in 100 had 0.8, 0.45 and 0.7, and to register the others would take most of the time.
_PROMISE = (0.6, 0.35, 0.45)


def register(
    canvases: np.ndarray, candidates: Candidates, least: float, n_jobs: int | None = None, verbose: int = 0
) -> tuple[Candidates, np.ndarray]:
    """Register pairs of images and score them.

    Parameters
    ----------
    canvases : ndarray of shape (n_images, SIDE, SIDE), uint8
        Gray images.
    candidates : Candidates
        Pairs, with a guess of how they lie on each other.
    least : float
        Pairs with a lower similarity are left out.
    n_jobs : int, default=None
        Threads.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    pairs : Candidates
        Those that are left, registered.
    similarity : ndarray of shape (n_pairs,)
        Correlation of the fine structure in the best part of the overlap, `least` to 1.
    """
    starts = range(0, len(candidates), _CHUNK)
    jobs = (
        delayed(_register)(canvases, candidates.take(slice(start, start + _CHUNK)), least) for start in starts
    )
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs)
    found = tqdm(found, total=len(starts), desc="Registering pairs", unit="block", disable=verbose < 1)
    pairs, similarity = zip((candidates.take(slice(0)), np.empty(0)), *found, strict=True)
    return join_candidates(pairs), np.concatenate(similarity)


def _register(canvases: np.ndarray, pairs: Candidates, least: float) -> tuple[Candidates, np.ndarray]:
    images, numbers = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    first, second = np.split(numbers, 2)
    local = Candidates(first, second, pairs.matrix, pairs.shift)
    gray = canvases[images].astype(np.float32)
    rough, fine = (_band(gray, *band) for band in (_ROUGH, _FINE))
    solid = _solid(fine)
    keep = _score(rough, solid, local, step=4) > _PROMISE[0]
    keep[keep] = _score(fine, solid, local.take(keep), step=4) > _PROMISE[1]
    local, pairs = local.take(keep), pairs.take(keep)
    local = _align(rough, local, step=4, n_steps=4)
    keep = (_score(fine, solid, local, step=2) > _PROMISE[2]) & _is_plausible(local.matrix)
    local, pairs = local.take(keep), pairs.take(keep)
    local = _align(fine, local, step=2, n_steps=8)
    similarity = _score(fine, solid, local, step=2)
    keep = (similarity >= least) & _is_plausible(local.matrix)
    return (
        Candidates(pairs.first, pairs.second, local.matrix, local.shift).take(keep),
        similarity[keep],
    )


def _band(gray: Floats, low: float, high: float) -> Floats:
    """Keep a band of spatial frequencies, at a local contrast of about one."""
    band = blur(gray, low) - blur(gray, high)
    return band / (np.sqrt(blur(band**2, 2 * high)) + _NOISE)


def _solid(fine: Floats) -> Floats:
    """Mark with 1 where there is structure, and in two directions (the structure tensor has full rank)."""
    size = SIDE / _BLOCKS / 2
    slope_y, slope_x = np.gradient(fine, axis=(1, 2))
    xx, yy, xy = (blur(product, size) for product in (slope_x**2, slope_y**2, slope_x * slope_y))
    mean, apart = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    two_ways = mean - apart > 0.2 * (mean + apart)
    return (two_ways & (blur(fine**2, size) > 0.25**2)).astype(np.float32)


def _is_plausible(matrix: np.ndarray) -> np.ndarray:
    """Whether a map neither grows, shrinks nor shears an image beyond what makes a copy of it."""
    stretch = np.linalg.svd(matrix, compute_uv=False)
    large, small = stretch[:, 0], stretch[:, 1]
    return (large < _LARGEST_GROWTH) & (small * _LARGEST_GROWTH > 1) & (large < _LARGEST_ANISOTROPY * small)


def _grid(step: int) -> np.ndarray:
    line = np.arange(_MARGIN, SIDE - _MARGIN, step, dtype=float)
    x, y = np.meshgrid(line, line)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _locate(pairs: Candidates, places: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return x and y of places of the first images on the second ones, and 1 where these have them."""
    there = pairs.on(places)
    return there, ((there >= 0) & (there <= SIDE - 1)).all(axis=2).astype(np.float32)


def _read(stack: Floats, pairs: Candidates, places: np.ndarray, there: np.ndarray) -> tuple[Any, Any]:
    """Read both images at the same places of the tissue."""
    whole = places.astype(int)
    first = stack[pairs.first[:, None], whole[:, 1], whole[:, 0]]
    return first, sample(stack, pairs.second[:, None], there[..., 0], there[..., 1])


def _score(stack: Floats, solid: Floats, pairs: Candidates, step: int) -> np.ndarray:
    """Correlate the images in the best blocks of their overlap; 0 where that is too small."""
    places = _grid(step)
    block = np.minimum(places * _BLOCKS // SIDE, _BLOCKS - 1).astype(int) @ [1, _BLOCKS]
    in_block = np.eye(_BLOCKS**2, dtype=np.float32)[block]
    there, inside = _locate(pairs, places)
    first, second = _read(stack, pairs, places, there)
    evidence = _read(solid, pairs, places, there)
    products = (first * second, first**2, second**2, evidence[0] * evidence[1])
    both, one, other, structure = ((product * inside) @ in_block for product in products)
    counts = structure >= 0.5 * in_block.sum(axis=0)
    local = np.where(counts, both / np.sqrt(one * other + 1e-9), -np.inf)
    rank = local.argsort(axis=1)[:, ::-1].argsort(axis=1)
    n_counts = counts.sum(axis=1)
    best = rank < np.ceil(_BEST * n_counts)[:, None]
    both, one, other = ((sums * best).sum(axis=1) for sums in (both, one, other))
    return np.where(n_counts >= _LEAST_OVERLAP * _BLOCKS**2, both / np.sqrt(one * other + 1e-9), 0.0)


def _align(stack: Floats, pairs: Candidates, step: int, n_steps: int) -> Candidates:
    """Improve affine maps by Gauss-Newton steps that maximise the correlation (Evangelidis & Psarakis 2008).

    Pixels that disagree count little: what was mirrored in, or is dirt.
    """
    if len(pairs) == 0:
        return pairs
    places, centre = _grid(step), (SIDE - 1) / 2
    arm = (places - centre) / centre
    slope_y, slope_x = np.gradient(stack, axis=(1, 2))
    best, best_score = pairs, np.full(len(pairs), -np.inf)
    for _ in range(n_steps + 1):
        there, inside = _locate(pairs, places)
        first, second = _read(stack, pairs, places, there)
        n = inside.sum(axis=1, keepdims=True) + 1e-9
        first, second = (
            (values - (values * inside).sum(axis=1, keepdims=True) / n) * inside for values in (first, second)
        )
        both, one, other = (
            (a * b).sum(axis=1) for a, b in ((first, second), (first, first), (second, second))
        )
        score = both / np.sqrt(one * other + 1e-9)
        best, best_score = _better(best, best_score, pairs, score)
        gain = np.maximum(both / (one + 1e-9), 0.05)[:, None]
        missing = (first * gain - second) * inside
        spread = np.sqrt((missing**2).sum(axis=1, keepdims=True) / n) + 1e-6
        trust = inside / (1 + (missing / (1.5 * spread)) ** 2)
        slopes = [
            sample(slope, pairs.second[:, None], there[..., 0], there[..., 1]) for slope in (slope_x, slope_y)
        ]
        pairs = _step(pairs, slopes, arm, trust, missing)
    return best


def _better(
    best: Candidates, best_score: np.ndarray, pairs: Candidates, score: np.ndarray
) -> tuple[Candidates, np.ndarray]:
    """Keep of each pair the better of two maps."""
    better = score > best_score
    matrix = np.where(better[:, None, None], pairs.matrix, best.matrix)
    shift = np.where(better[:, None], pairs.shift, best.shift)
    return Candidates(pairs.first, pairs.second, matrix, shift), np.maximum(score, best_score)


def _step(
    pairs: Candidates, slopes: list[Floats], arm: np.ndarray, trust: Floats, missing: Floats
) -> Candidates:
    """Solve for the change of the six numbers of each map, and make it."""
    centre = (SIDE - 1) / 2
    around = np.concatenate([arm, np.ones((len(arm), 1))], axis=1).astype(np.float32)
    jacobian = np.concatenate([slope[:, :, None] * around for slope in slopes], axis=2)
    weighted = jacobian * trust[:, :, None]
    curvature = weighted.swapaxes(1, 2) @ jacobian
    curvature += np.eye(6) * (_CAUTION * np.trace(curvature, axis1=1, axis2=2)[:, None, None] / 6 + 1e-6)
    change = np.linalg.solve(curvature, weighted.swapaxes(1, 2) @ missing[:, :, None])[..., 0]
    change = np.clip(change, -_LONGEST_STEP, _LONGEST_STEP).reshape(-1, 2, 3)
    turn = change[..., :2] / centre
    shift = pairs.shift + change[..., 2] - turn.sum(axis=2) * centre
    return Candidates(pairs.first, pairs.second, pairs.matrix + turn, shift)
