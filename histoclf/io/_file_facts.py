"""What image files tell without their pixels: format, size, bytes, quality and encoder."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from histoclf.exceptions import ImageReadError
from histoclf.io._decode import FileTraits, read_traits
from histoclf.io._store import unreadable

# The luminance table of the JPEG standard (ITU-T T.81, table K.1) adds up to this; its scale is the quality.
_STANDARD = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True)
class FileFacts:
    """Facts of image files.

    Attributes
    ----------
    format : ndarray of str
        Such as "PNG" or "JPEG", from the content.
    height, width : ndarray of int
        Size in pixels, as stored.
    n_bytes : ndarray of int
        Size of the file.
    jpeg_quality : ndarray of float
        Nearest quality of the Independent JPEG Group, 1-100; NaN for other formats.
    encoder : ndarray of str
        How the file was made: colour mode, settings and, of a JPEG, a digest of its quantisation tables.
        Equal for files that the same program wrote in the same way; different programs may agree.
    """

    format: np.ndarray
    height: np.ndarray
    width: np.ndarray
    n_bytes: np.ndarray
    jpeg_quality: np.ndarray
    encoder: np.ndarray


def read_file_facts(paths: Sequence[str] | np.ndarray) -> FileFacts:
    """Read what image files tell without their pixels.

    Where classes were collected in different places, such facts may tell them apart, and a classifier that
    seems to know tissue may know files.

    Parameters
    ----------
    paths : sequence of str, length n_files
        Image files. Only their headers are read.

    Returns
    -------
    facts : FileFacts
        In the order of the paths.

    Raises
    ------
    ImageReadError
        If files cannot be read. It names every one.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf.datasets import make_patches
    >>> from histoclf.io import read_file_facts, save_patches
    >>> made = make_patches(n_patients=1, patches_per_patient=2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    ...     facts = read_file_facts(paths)
    >>> facts.format.tolist(), facts.height.tolist(), facts.encoder.tolist()
    (['PNG', 'PNG'], [48, 48], ['RGB', 'RGB'])
    """
    found: dict[str, tuple[FileTraits, int]] = {}
    failures: dict[str, str] = {}
    for path in dict.fromkeys(map(os.fspath, paths)):
        try:
            found[path] = read_traits(path), os.stat(path).st_size
        except ImageReadError as error:
            failures.update(error.failures)
    if failures:
        raise unreadable(failures, len(found) + len(failures))
    rows = [found[os.fspath(path)] for path in paths]
    return FileFacts(
        format=np.array([traits.format for traits, _ in rows]),
        height=np.array([traits.size[0] for traits, _ in rows]),
        width=np.array([traits.size[1] for traits, _ in rows]),
        n_bytes=np.array([n_bytes for _, n_bytes in rows]),
        jpeg_quality=np.array([jpeg_quality(traits.tables) for traits, _ in rows]),
        encoder=np.array([_encoder(traits) for traits, _ in rows]),
    )


def jpeg_quality(tables: Sequence[Sequence[int]]) -> float:
    """Find the quality on the Independent JPEG Group's scale that makes tables as coarse; NaN without any."""
    if not tables:
        return math.nan
    qualities = np.arange(1, 101)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)[:, np.newaxis]
    sums = ((np.array(_STANDARD) * percent + 50) // 100).clip(1, 255).sum(axis=1)
    return float(qualities[np.abs(sums - sum(tables[0])).argmin()])


def _encoder(traits: FileTraits) -> str:
    parts = [traits.mode, *traits.settings]
    if traits.tables:
        digest = blake2b(repr([sorted(table) for table in traits.tables]).encode(), digest_size=4)
        parts.append(f"tables {digest.hexdigest()}")
    return ", ".join(parts)
