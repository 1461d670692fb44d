"""Images per second from files to one array of one size: ours, Pillow in a loop, Keras' folder reader.

Three kinds of patches, of synthetic tissue: PNG of 50 px to 64, JPEG of 224 px to 96 and TIFF of 1024 px to
224, bilinear. All read the same files, in turns, from the page cache. Pillow has one thread, antialiases, and
is what each core can do at best: the bar is 0.9 times the number of cores. What two processes of it do at
once, without sharing an array, is measured beside it: it is the limit of the machine. Keras'
`image_dataset_from_directory` does not antialias, makes float32, reads in parallel, and knows no TIFF.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _comparison import Comparison, report
from _report import print_machine
from joblib import cpu_count
from PIL import Image

from histoclf import make_patches
from histoclf.io import load_patches

PER_CORE_BAR, FOLDER_BAR = 0.9, 1.5
KERAS_BATCH = 32


@dataclass(frozen=True)
class Kind:
    """One kind of files: its ending, how Pillow writes it, its side and the side wanted, in pixels."""

    name: str
    suffix: str
    save: dict[str, Any]
    side: int
    wanted: int
    share: float  # of --images, so that every kind takes about as long


KINDS = (
    Kind("PNG", ".png", {}, 50, 64, 1.0),
    Kind("JPEG", ".jpg", {"quality": 90}, 224, 96, 0.5),
    Kind("TIFF", ".tif", {"compression": "tiff_lzw"}, 1024, 224, 0.05),
)


def write_files(kind: Kind, n_images: int, folder: Path) -> list[str]:
    """Write so many files into a folder of one class, as Keras wants them."""
    (folder / "class").mkdir(parents=True)
    n_made = max(4, min(n_images, 2_000_000 // kind.side**2))  # large ones take long to make
    made = make_patches(n_patients=1, patches_per_patient=n_made, image_size=kind.side, random_state=0).images
    paths = []
    for number in range(n_images):
        path = folder / "class" / f"{number:06d}{kind.suffix}"
        Image.fromarray(made[number % n_made]).save(path, **kind.save)
        paths.append(str(path))
    return paths


def by_pillow(paths: list[str], side: int) -> np.ndarray:
    """Read one file after the other."""
    images = np.empty((len(paths), side, side, 3), dtype=np.uint8)
    for row, path in enumerate(paths):
        with Image.open(path) as image:
            images[row] = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    return images


def by_processes(pool: Any, paths: list[str], side: int) -> None:
    """Read with one process for each core; what they read stays where it is."""
    n = cpu_count()
    pool.starmap(_read_and_forget, [(paths[start::n], side) for start in range(n)], chunksize=1)


def _read_and_forget(paths: list[str], side: int) -> None:
    by_pillow(paths, side)


def by_keras(folder: Path, side: int) -> int:
    """Read the folder with Keras, batch by batch."""
    import keras

    batches = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(side, side), batch_size=KERAS_BATCH, shuffle=False, verbose=0
    )
    return sum(len(batch) for batch in batches)


def measure(kind: Kind, n_images: int, rounds: int, folder: Path, pool: Any) -> dict[str, list[float]]:
    """Return images per second of each reader, one number a round, after a round that is not counted."""
    paths = write_files(kind, n_images, folder)
    size = (kind.wanted, kind.wanted)
    readers: dict[str, Callable[[], Any]] = {
        "ours": lambda: load_patches(paths, image_size=size),
        "Pillow": lambda: by_pillow(paths, kind.wanted),
        "processes": lambda: by_processes(pool, paths, kind.wanted),
    }
    if kind.name != "TIFF":
        readers["Keras"] = lambda: by_keras(folder, kind.wanted)
    rates: dict[str, list[float]] = {name: [] for name in readers}
    for round_ in range(rounds + 1):
        for name, read in readers.items():
            start = time.perf_counter()
            read()
            if round_:
                rates[name].append(n_images / (time.perf_counter() - start))
    return rates


def compare(kind: Kind, n_images: int, rates: dict[str, list[float]]) -> list[Comparison]:
    """Write one line for each peer."""
    work = f"decode and resize, {n_images:,} x {kind.name} {kind.side} px to {kind.wanted}"
    lines = [
        (
            "Pillow, one thread",
            "Pillow",
            f"at least {PER_CORE_BAR * cpu_count():g}",
            f"{PER_CORE_BAR} x cores",
        ),
        ("Pillow, a process for each core", "processes", "", "the limit of the machine"),
    ]
    if "Keras" in rates:
        note = "does not antialias"
        lines.append(("image_dataset_from_directory", "Keras", f"at least {FOLDER_BAR:g}", note))
    return [
        Comparison(work, peer, "images/s", rates["ours"], rates[name], bar, note)
        for peer, name, bar, note in lines
    ]


def main() -> None:
    """Write files, read them, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=6000, help="PNGs; fewer of the larger kinds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    # Not a fork: Keras' threads would not survive it.
    with multiprocessing.get_context("forkserver").Pool(cpu_count()) as pool, TemporaryDirectory() as folder:
        print_machine()
        found = []
        for kind in KINDS:
            n_images = max(20, round(arguments.images * kind.share))
            rates = measure(kind, n_images, arguments.rounds, Path(folder) / kind.name, pool)
            found += compare(kind, n_images, rates)
    report(arguments.json, found)


if __name__ == "__main__":
    main()
