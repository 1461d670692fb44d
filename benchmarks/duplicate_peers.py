"""Copies of patches among files: find_duplicates beside imagehash and cleanvision, time and what is found.

Copies of real patches, made in every way of `duplicates.py`, are written among the others, and each tool gets
the files. cleanvision is asked for exact and near duplicates with its defaults. Of imagehash the perceptual
hash (phash, 64 bits) is computed file by file and compared pair by pair; a pair is called a copy if so many
bits differ at the most as give it the highest recall with no more wrong pairs than ours has: a threshold
that no user could know, chosen in its favour. A pair is right if both show one patch.

A tool that finds less is faster for nothing, so that seconds have a bar only where it finds as much as ours.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _comparison import Comparison, report
from _report import print_machine, print_table
from duplicates import CHANGES
from PIL import Image

from histoclf import find_duplicates, find_patches
from histoclf.io import load_patches

OURS = "find_duplicates"
Pairs = set[tuple[int, int]]


@dataclass(frozen=True)
class Planted:
    """Files of which some are copies of others.

    Attributes
    ----------
    paths : list of str
        Originals first.
    origin : ndarray of shape (n_files,), int
        Number of the original that a file shows.
    kinds : list of str
        How each copy was changed; the copies are the last files.
    """

    paths: list[str]
    origin: np.ndarray
    kinds: list[str]

    def recall(self, pairs: Pairs) -> dict[str, float]:
        """Return the share of the copies that were found with their original, by kind of change."""
        first = len(self.paths) - len(self.kinds)
        found: dict[str, list[bool]] = {}
        for number, kind in enumerate(self.kinds, start=first):
            found.setdefault(kind, []).append((int(self.origin[number]), number) in pairs)
        return {kind: float(np.mean(each)) for kind, each in found.items()}

    def wrong(self, pairs: Pairs) -> int:
        """Count the pairs of different patches."""
        return sum(self.origin[one] != self.origin[other] for one, other in pairs)


def plant(data: Path, every: int, n_copies: int, side: int, folder: Path) -> Planted:
    """Write every n-th patch of a folder, and so many copies of each kind."""
    paths = find_patches(data, groups=None).paths[::every]
    images = list(load_patches(paths, image_size=(side, side)).images)
    origin, kinds, rng = [*range(len(images))], [], np.random.default_rng(0)
    for kind, change in CHANGES.items():
        for row in rng.permutation(len(paths))[:n_copies]:
            images.append(change(images[row], rng))
            origin.append(int(row))
            kinds.append(kind)
    written = [str(folder / f"{number:06d}.png") for number in range(len(images))]
    for image, path in zip(images, written, strict=True):
        Image.fromarray(image).save(path)
    return Planted(written, np.array(origin), kinds)


def by_us(planted: Planted) -> Pairs:
    """Search with this package."""
    return {(int(one), int(other)) for one, other in find_duplicates(planted.paths).pairs}


def by_cleanvision(planted: Planted) -> Pairs:
    """Search for exact and near duplicates; sets of files are taken for all pairs of each."""
    from cleanvision import Imagelab

    with contextlib.redirect_stdout(io.StringIO()):
        lab = Imagelab(filepaths=planted.paths)
        lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, verbose=False)
    number = {path: row for row, path in enumerate(planted.paths)}
    sets = [each for kind in ("exact", "near") for each in lab.info[f"{kind}_duplicates"]["sets"]]
    return {pair for files in sets for pair in combinations(sorted(number[file] for file in files), 2)}


def imagehash_distances(planted: Planted) -> np.ndarray:
    """Hash all files, and count the bits in which each pair differs."""
    import imagehash

    hashes = []
    for path in planted.paths:
        with Image.open(path) as image:
            hashes.append(imagehash.phash(image).hash.ravel())
    bits = np.array(hashes, dtype=np.float32) * 2 - 1
    return ((bits.shape[1] - bits @ bits.T) / 2).astype(int)


def closest(distances: np.ndarray, planted: Planted, n_wrong: int) -> tuple[Pairs, int]:
    """Return the pairs of the largest distance that has no more wrong pairs than that, and the distance."""
    one, other = np.triu_indices(len(distances), k=1)
    differ = distances[one, other]
    is_wrong = planted.origin[one] != planted.origin[other]
    most = max((d for d in range(65) if (is_wrong & (differ <= d)).sum() <= n_wrong), default=-1)
    near = differ <= most
    return {*zip(one[near].tolist(), other[near].tolist(), strict=True)}, most


def timed(search: Callable[[Planted], object], planted: Planted, rounds: int) -> tuple[list[float], object]:
    """Time a search, several times."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = search(planted)
        seconds.append(time.perf_counter() - start)
    return seconds, found


def run(planted: Planted, rounds: int) -> dict[str, tuple[list[float], Pairs]]:
    """Let each tool search: seconds, and pairs."""
    seconds, ours = timed(by_us, planted, rounds)
    results = {OURS: (seconds, ours)}
    if find_spec("imagehash"):
        seconds, distances = timed(imagehash_distances, planted, rounds)
        pairs, most = closest(distances, planted, planted.wrong(ours))
        results[f"imagehash, phash, {most} bits"] = (seconds, pairs)
    if find_spec("cleanvision"):
        results["cleanvision"] = timed(by_cleanvision, planted, rounds)
    return results


def compare(planted: Planted, results: dict[str, tuple[list[float], Pairs]]) -> list[Comparison]:
    """Write two lines for each peer: what is found, and seconds."""
    recalls = {
        name: float(np.mean([*planted.recall(pairs).values()])) for name, (_, pairs) in results.items()
    }
    wrong = {name: planted.wrong(pairs) for name, (_, pairs) in results.items()}
    work = f"copies among {len(planted.paths):,} files"
    lines = []
    for name, (seconds, _) in results.items():
        if name == OURS:
            continue
        note = (
            f"recall {recalls[OURS]:.3f} with {wrong[OURS]} wrong pairs, theirs {recalls[name]:.3f} with "
            f"{wrong[name]}"
        )
        bar = "at most 1" if recalls[name] >= recalls[OURS] else ""
        lines += [
            Comparison(f"{work}: recall", name, "", [recalls[OURS]], [recalls[name]], "at least 1", note),
            Comparison(f"{work}: time", name, "s", results[OURS][0], seconds, bar, note),
        ]
    return lines


def main() -> None:
    """Plant copies, search for them, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of patches of different places")
    parser.add_argument("--every", type=int, default=5, help="use every n-th patch (default: 5)")
    parser.add_argument("--copies", type=int, default=40, help="copies of each kind (default: 40)")
    parser.add_argument("--side", type=int, default=50, help="pixels of a side (default: 50)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    print_machine()
    with TemporaryDirectory() as folder:
        planted = plant(arguments.data, arguments.every, arguments.copies, arguments.side, Path(folder))
        results = run(planted, arguments.rounds)
    recalls = [planted.recall(pairs) for _, pairs in results.values()]
    print_table(
        ["recall", *results], [[kind, *(f"{each[kind]:.3f}" for each in recalls)] for kind in CHANGES]
    )
    report(arguments.json, compare(planted, results))


if __name__ == "__main__":
    main()
