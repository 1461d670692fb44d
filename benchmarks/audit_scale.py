"""Seconds and memory of the audit as a set grows, and to which power of its size they grow.

Patches are made by cutting the images of the given folders into tiles that do not overlap. Each size is
measured in a process of its own. The tiles are different tissue, so that every pair found is an error, but
for pictures that the folders hold more than once. The largest size is that of all tiles, or --most.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from _comparison import Comparison, report
from _report import in_fresh_process, power, print_machine, print_table
from PIL import Image

from histoclf import find_duplicates, find_patches

BAR = 1.2  # power
SHARES = (8, 4, 2, 1)  # sizes are the largest one divided by these
_EMPTY = 8.0  # gray levels: standard deviation below which a tile shows nothing


def cut_tiles(folders: list[Path], side: int, most: int) -> np.ndarray:
    """Cut images into squares, leave out the empty ones, and choose some of all at random."""
    tiles = []
    for folder in folders:
        for path in find_patches(folder, groups=None).paths:
            image = np.asarray(Image.open(path).convert("RGB"))
            rows, columns = (size // side for size in image.shape[:2])
            inner = image[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
            cut = inner.swapaxes(1, 2).reshape(-1, side, side, 3)
            tiles.extend(cut[cut.mean(axis=3).std(axis=(1, 2)) > _EMPTY])
    order = np.random.default_rng(0).permutation(len(tiles))
    return np.stack([tiles[number] for number in order[:most]])


def measure(folders: list[Path], side: int, most: int, n_jobs: int) -> dict[str, float]:
    """Audit once, in this process."""
    tiles = cut_tiles(folders, side, most)
    start = time.perf_counter()
    found = find_duplicates(tiles, n_jobs=n_jobs)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
    return {
        "patches": len(tiles),
        "seconds": seconds,
        "MB": peak,
        "MB of patches": tiles.nbytes / 2**20,
        "pairs": len(found.pairs),
        "changed": int((~found.exact).sum()),
    }


def compare(results: list[dict[str, float]]) -> list[Comparison]:
    """Write the lines: the power, and what the largest size took."""
    sizes, seconds = ([result[name] for result in results] for name in ("patches", "seconds"))
    largest = results[-1]
    note = f"{largest['MB']:.0f} MB at most, of which images {largest['MB of patches']:.0f}"
    return [
        Comparison(
            f"audit, growth of the time from {sizes[0]:,} to {sizes[-1]:,} tiles",
            "linear growth",
            "power",
            [power(sizes, seconds)],
            bar=f"at most {BAR:g}",
        ),
        Comparison(f"audit of {sizes[-1]:,} tiles", "no peer", "s", [seconds[-1]], note=note),
    ]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="folders of images")
    parser.add_argument("--most", type=int, default=50_000, help="tiles at most (default: 50,000)")
    parser.add_argument("--side", type=int, default=32, help="pixels of a tile's side (default: 32)")
    parser.add_argument("--jobs", type=int, default=2, help="threads (default: 2)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure each size."""
    arguments = parse()
    if arguments.one:
        print(json.dumps(measure(arguments.data, arguments.side, arguments.most, arguments.jobs)))
        return
    print_machine()
    settings = [*map(str, arguments.data), "--side", str(arguments.side), "--jobs", str(arguments.jobs)]
    n_tiles = len(cut_tiles(arguments.data, arguments.side, arguments.most))
    results = []
    for share in SHARES:
        results.append(in_fresh_process(sys.argv[0], *settings, "--most", str(n_tiles // share), "--one"))
        print(results[-1], flush=True)
    print_table(list(results[0]), [[f"{value:,.0f}" for value in result.values()] for result in results])
    report(arguments.json, compare(results), results=results)


if __name__ == "__main__":
    main()
