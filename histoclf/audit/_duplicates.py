"""Find images that show the same tissue: exact copies, and copies that were changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from histoclf.audit._canvas import Canvases, open_canvases
from histoclf.audit._keypoints import Keypoints, find_keypoints, join
from histoclf.audit._matching import find_candidates
from histoclf.audit._registration import register

MIN_SIMILARITY = 0.85
_BLOCK = 64  # images described at a time


@dataclass(frozen=True)
class Duplicates:
    """Pairs of images that show the same tissue.

    Parameters
    ----------
    pairs : ndarray of shape (n_pairs, 2), int
        Row numbers, the smaller one first; sorted by row.
    similarity : ndarray of shape (n_pairs,), float
        1 for exact copies; else the correlation of the fine structure where the one lies on the other, up to
        1.
    exact : ndarray of shape (n_pairs,), bool
        Whether the two have the same content to the last bit.
    n_images : int
        Number of images compared.
    n_blank : int
        Images that show nothing, among them: they are copies of nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.audit import find_duplicates
    >>> from histoclf import make_patches
    >>> images = make_patches(n_patients=2, patches_per_patient=4, random_state=0).images
    >>> found = find_duplicates(np.concatenate([images, images[2:3, ::-1]]))
    >>> found.pairs.tolist(), found.exact.tolist()
    ([[2, 8]], [False])
    >>> found.clusters.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 2]
    """

    pairs: np.ndarray
    similarity: np.ndarray
    exact: np.ndarray
    n_images: int
    n_blank: int

    @property
    def clusters(self) -> np.ndarray:
        """Number of the cluster of each image, shape (n_images,): copies of copies are in one cluster."""
        edges = coo_array(
            (np.ones(len(self.pairs)), (self.pairs[:, 0], self.pairs[:, 1])), shape=(self.n_images,) * 2
        )
        return connected_components(edges, directed=False)[1]


def find_duplicates(
    X: Any,
    *,
    min_similarity: float = MIN_SIMILARITY,
    image_shape: tuple[int, int, int] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Duplicates:
    """Find images that show the same tissue.

    Copies are found that were flipped, turned, rotated, shifted, cropped, sheared or resized a little, that
    have another brightness, contrast, stain or compression, or all of that: what oversampling and
    augmentation make. Neighbours on a slide do not count, unless they overlap by about a third. Points of
    the tissue's pattern say which images may show the same; those pairs are registered pixel by pixel, and
    their fine structure is compared. Names, labels and patients have no say. Images whose structure
    runs in one direction only, and those of less than 16 pixels, are found as exact copies; blank ones are
    copies of nothing.

    Parameters
    ----------
    X : array-like of n_images rows
        Paths of image files; images of shape (n_images, height, width, 1 or 3); or the same flattened, with
        `image_shape`.
    min_similarity : float, default=0.85
        Correlation of the fine structure from which two images are copies, 0.5 to 1. Of copies it is above
        0.9 as a rule; between images of different tissue it hardly ever exceeds 0.75.
    image_shape : tuple of (int, int, int), default=None
        Height, width and channels of flattened images.
    n_jobs : int, default=None
        Threads. None is one per core for reading files, else one.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    duplicates : Duplicates
        Pairs and clusters. Of two sets of exact copies, the one changed from the other, each image is paired
        with the first of the other set only; the clusters hold all of them.

    Raises
    ------
    ImageReadError
        If files cannot be read. It names every one.
    InputContractError
        If X holds no images.
    ValueError
        If `min_similarity` is not between 0.5 and 1: below, most pairs would be chance.

    References
    ----------
    M. Brown, R. Szeliski, S. Winder. Multi-image matching using multi-scale oriented patches. CVPR 2005.

    G. D. Evangelidis, E. Z. Psarakis. Parametric image alignment using enhanced correlation coefficient
    maximization. IEEE TPAMI 30(10), 1858-1865, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.audit import find_duplicates
    >>> from histoclf import make_patches
    >>> images = make_patches(n_patients=2, patches_per_patient=4, random_state=0).images
    >>> find_duplicates(images).pairs.tolist()
    []
    >>> find_duplicates(np.concatenate([images, np.rot90(images[5:6], axes=(1, 2))])).pairs.tolist()
    [[5, 8]]
    """
    canvases = open_canvases(X, image_shape=image_shape, n_jobs=n_jobs, verbose=verbose)
    return search(canvases, min_similarity=min_similarity, n_jobs=n_jobs, verbose=verbose)


def search(
    canvases: Canvases,
    *,
    side_of: np.ndarray | None = None,
    min_similarity: float = MIN_SIMILARITY,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Duplicates:
    """Find duplicates among images that are read already.

    Parameters
    ----------
    canvases : Canvases
        Images.
    side_of : ndarray of shape (n_images,), default=None
        Changed copies are only looked for between images with different entries.
    min_similarity, n_jobs, verbose
        As in `find_duplicates`.

    Returns
    -------
    duplicates : Duplicates
    """
    if not 0.5 <= min_similarity <= 1:
        raise ValueError(
            f"min_similarity={min_similarity}: expected 0.5 to 1; different tissue reaches 0.75."
        )
    shows = np.flatnonzero(~canvases.flat)
    exact = _exact_pairs(canvases.keys, shows)
    # One of each content: fifty oversampled copies are compared once. Each side keeps one of its own.
    names = [(canvases.keys[row], None if side_of is None else side_of[row]) for row in shows]
    kept = shows[sorted({name: place for place, name in reversed(list(enumerate(names)))}.values())]
    kept = kept[canvases.large[kept]]
    points = _describe(canvases.gray, kept, n_jobs, verbose)
    candidates = find_candidates(points, None if side_of is None else side_of[kept], n_jobs, verbose)
    candidates = replace(candidates, first=kept[candidates.first], second=kept[candidates.second])
    changed, similarity = register(canvases.gray, candidates, min_similarity, n_jobs, verbose)
    near = np.stack([changed.first, changed.second], axis=1)
    new = canvases.keys[near[:, 0]] != canvases.keys[near[:, 1]]
    near, similarity = _with_twins(near[new], np.minimum(similarity[new], 1.0), names, shows)
    pairs = np.concatenate([exact, near])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Duplicates(
        pairs[order],
        np.concatenate([np.ones(len(exact)), similarity])[order],
        (np.arange(len(pairs)) < len(exact))[order],
        len(canvases),
        len(canvases) - len(shows),
    )


def _with_twins(
    pairs: np.ndarray, similarity: np.ndarray, names: list[Any], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pair the exact copies of either image (those of its name) with the other one, too."""
    of_name: dict[Any, list[int]] = {}
    for name, row in zip(names, rows.tolist(), strict=True):
        of_name.setdefault(name, []).append(row)
    twins = dict(zip(rows.tolist(), (of_name[name] for name in names), strict=True))
    found = {
        tuple(sorted(pair)): alike
        for (one, other), alike in zip(pairs.tolist(), similarity.tolist(), strict=True)
        for pair in [*((twin, other) for twin in twins[one]), *((one, twin) for twin in twins[other])]
    }
    return np.array(list(found), dtype=np.int64).reshape(-1, 2), np.array(list(found.values()))


def _exact_pairs(keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pair every image with the first one of the same content."""
    first: dict[bytes, int] = {}
    pairs = [(first[keys[row]], row) for row in rows.tolist() if first.setdefault(keys[row], row) != row]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _describe(gray: np.ndarray, rows: np.ndarray, n_jobs: int | None, verbose: int) -> Keypoints:
    """Find the points of images; `Keypoints.image` counts within `rows`."""
    starts = range(0, len(rows), _BLOCK)
    jobs = (delayed(find_keypoints)(gray[rows[start : start + _BLOCK]], start) for start in starts)
    # Threads: the filters let go of the interpreter lock.
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs)
    found = tqdm(found, total=len(starts), desc="Describing images", unit="block", disable=verbose < 1)
    return join([find_keypoints(gray[:0]), *found])
