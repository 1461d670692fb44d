"""Load many patches into one array, in parallel and within a stated memory budget."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from time import time_ns

import numpy as np
from joblib import cpu_count, effective_n_jobs, parallel_config
from tqdm import tqdm

from histoclf.exceptions import ImageReadError, InputContractError, SkippedImagesWarning
from histoclf.io._decode import decode_image, probe_size
from histoclf.io._fingerprint import first_rows, read_stamp
from histoclf.io._room import make_room

_CHUNK = 32  # files per task: enough to drown the cost of a task, few enough for a smooth progress bar
_MOST_TASKS, _MOST_AT_ONCE = 1000, 512  # of many files: a task takes a kilobyte until all of them are done
_N_PROBED = 1000  # headers that `common_size` reads at most


@dataclass(frozen=True)
class LoadedPatches:
    """Decoded patches, and what became of each file.

    Attributes
    ----------
    images : ndarray of shape (n_loaded, height, width, 3), dtype uint8
        RGB, 0-255; a memory map where it exceeds the memory budget.
    kept : ndarray of shape (n_loaded,), dtype int64
        Position in the list of paths of each loaded image.
    failures : dict of str to str
        Unreadable files and why; empty unless ``on_error="skip"``.
    """

    images: np.ndarray
    kept: np.ndarray
    failures: dict[str, str]


def load_patches(
    paths: Sequence[str] | np.ndarray,
    *,
    image_size: tuple[int, int],
    on_error: str = "raise",
    max_bytes: int | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LoadedPatches:
    """Decode image files and resize them into one array.

    Each image goes straight into its place: at most one full-size image per thread exists at a time. An array
    that exceeds `max_bytes` lies in a temporary file, removed together with the array. A path that occurs
    several times (oversampling) is decoded once.

    Parameters
    ----------
    paths : sequence of str, length n_samples
        Image files.
    image_size : tuple of (int, int)
        Height and width in pixels to which every image is resized.
    on_error : {"raise", "skip"}, default="raise"
        Whether unreadable files are an error, or are left out with a `SkippedImagesWarning`.
    max_bytes : int, default=None
        Bytes that the array may take in memory. None takes ``working_memory`` of
        `sklearn.set_config` (1 GiB unless changed).
    n_jobs : int, default=None
        Number of decoding threads. None uses every core, or this worker's share of them in a parallel search.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    loaded : LoadedPatches
        The images, which files they are, and which failed.

    Raises
    ------
    ImageReadError
        If files cannot be read (all of them, under ``on_error="skip"``). It names every one.
    OSError
        If the array needs more room than the disk for temporary files has.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf.datasets import make_patches
    >>> from histoclf.io import load_patches, save_patches
    >>> made = make_patches(n_patients=1, patches_per_patient=4, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    ...     loaded = load_patches(paths, image_size=(48, 48))
    >>> bool((loaded.images == made.images).all()), loaded.kept.tolist(), loaded.failures
    (True, [0, 1, 2, 3], {})
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}.")
    loaded = decode_files(paths, image_size=image_size, max_bytes=max_bytes, n_jobs=n_jobs, verbose=verbose)
    settle_failures(loaded.failures, loaded.kept, len(set(map(os.fspath, paths))), on_error)
    return loaded


def decode_files(
    paths: Sequence[str] | np.ndarray,
    *,
    image_size: tuple[int, int],
    max_bytes: int | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LoadedPatches:
    """Do as `load_patches`, but leave unreadable files to `settle_failures`."""
    paths = [os.fspath(path) for path in paths]
    images = make_room((len(paths), *image_size, 3), np.uint8, max_bytes)
    rows, repeats = first_rows(paths)
    failures = _decode_all(paths, rows, images, n_jobs, verbose)
    for row, first in repeats:
        images[row] = images[first]
    kept = np.arange(len(paths))
    if failures:
        kept = np.array([row for row, path in enumerate(paths) if path not in failures], dtype=np.int64)
        images = _compacted(images, kept)
    return LoadedPatches(images, kept, failures)


def settle_failures(
    failures: dict[str, str], kept: np.ndarray, n_files: int, on_error: str, stacklevel: int = 3
) -> None:
    """Raise for unreadable files, or warn of them; where nothing is left, always raise."""
    if failures and (on_error == "raise" or len(kept) == 0):
        raise unreadable(failures, n_files)
    if failures:
        message = f"Skipped {_listing(failures, n_files)}"
        warnings.warn(message, SkippedImagesWarning, stacklevel=stacklevel)


def common_size(paths: Sequence[str] | np.ndarray, *, limit: int | None = None) -> tuple[int, int]:
    """Find the size that most images have, from their headers.

    Parameters
    ----------
    paths : sequence of str, length n_samples
        Image files, of which at most 1,000 at even distances are looked at.
    limit : int, default=None
        Longest side wanted, in pixels; a larger size is scaled down with its aspect ratio kept.

    Returns
    -------
    height, width : int
        The most frequent size; of equally frequent ones the largest.

    Raises
    ------
    InputContractError
        If there are no paths.
    ImageReadError
        If none of the files looked at can be read.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf.datasets import make_patches
    >>> from histoclf.io import common_size, save_patches
    >>> made = make_patches(n_patients=1, patches_per_patient=2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    ...     common_size(paths), common_size(paths, limit=32)
    ((48, 48), (32, 32))
    """
    if len(paths) == 0:
        raise InputContractError("common_size needs at least one image path, got none.")
    looked_at = np.linspace(0, len(paths) - 1, num=min(len(paths), _N_PROBED)).astype(int)
    counts: Counter[tuple[int, int]] = Counter()
    failures: dict[str, str] = {}
    now = time_ns()
    for row in looked_at:
        try:
            counts[_size_of(paths[row], now)] += 1
        except ImageReadError as error:
            failures.update(error.failures)
    if not counts:
        raise unreadable(failures, len(looked_at))
    height, width = max(counts, key=lambda size: (counts[size], size))
    shrink = min(1.0, limit / max(height, width)) if limit else 1.0
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _size_of(path: str, now: int) -> tuple[int, int]:
    """Probe a file, unless this state of it was probed before: each of many fits asks for all sizes again."""
    try:
        stamp, settled = read_stamp(path, now)
    except (OSError, ValueError):  # the decoder knows what to say
        settled = False
    return _probed(path, stamp) if settled else probe_size(path)


@lru_cache(maxsize=4 * _N_PROBED)
def _probed(path: str, stamp: bytes) -> tuple[int, int]:
    return probe_size(path)


def unreadable(failures: dict[str, str], n_files: int) -> ImageReadError:
    """Build the one error for all the files that could not be read."""
    return ImageReadError(
        f"Cannot read {_listing(failures, n_files)}\nRepair or remove them; the exception's attribute "
        "`failures` holds the whole list.",
        failures,
    )


def _decode_all(
    paths: list[str], rows: Sequence[int], images: np.ndarray, n_jobs: int | None, verbose: int
) -> dict[str, str]:
    """Decode the files of some rows into `images`; the failures, in the order of the files."""
    size = max(_CHUNK, min(_MOST_AT_ONCE, len(rows) // _MOST_TASKS))
    chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
    failures: dict[str, str] = {}
    # Threads, not processes: Pillow lets go of the interpreter lock, and all of them write into one array.
    # Not joblib's, whose dispatch costs more than small files do.
    with (
        tqdm(total=len(rows), desc="Reading images", unit="file", disable=verbose < 1) as bar,
        ThreadPoolExecutor(_n_threads(n_jobs), "histoclf-read") as pool,
    ):
        found = pool.map(partial(_decode_chunk, paths, images), chunks)
        for chunk, failed in zip(chunks, found, strict=True):
            failures.update(failed)
            bar.update(len(chunk))
    return failures


def _decode_chunk(paths: list[str], images: np.ndarray, rows: Sequence[int]) -> dict[str, str]:
    failures: dict[str, str] = {}
    for row in rows:
        try:
            images[row] = decode_image(paths[row], images.shape[1:3])
        except ImageReadError as error:
            failures.update(error.failures)
    return failures


def _n_threads(n_jobs: int | None) -> int:
    """Translate `n_jobs`; None is every core, or in a worker process the share that joblib gave it."""
    if n_jobs is not None:
        with parallel_config(backend="threading"):
            return effective_n_jobs(n_jobs)
    if multiprocessing.parent_process() is None:
        return cpu_count()
    # joblib hands a worker its share of the cores in the variables that limit BLAS threads.
    share = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(cpu_count(), max(1, int(share))) if share.isdecimal() else 1


def _compacted(images: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Move the kept images to the front, in place: a second copy could break the memory budget."""
    for new, old in enumerate(kept):
        if new != old:
            images[new] = images[old]
    return images[: len(kept)]


def _listing(failures: dict[str, str], n_files: int) -> str:
    return f"{len(failures):,} of {n_files:,} image files:\n" + "\n".join(_first_ten(failures))


def _first_ten(failures: dict[str, str]) -> Iterator[str]:
    for number, (path, reason) in enumerate(failures.items()):
        if number == 10:
            yield f"  ... and {len(failures) - 10:,} more"
            return
        yield f"  {path}: {reason}"
