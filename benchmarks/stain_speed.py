"""Patches per second of stain normalisation: StainNormalizer, and torchstain with numpy and with torch.

Both methods, Macenko's and Reinhard's, on the same patches as uint8 arrays, towards the same reference, in
turns: real ones of 50 px, and synthetic ones of 224. torchstain takes one image at a time, as its users call
it, and is not asked for the stains apart. Left out beforehand are patches at which one of its two versions
fails or ours returns the image unchanged: nobody is timed on them. That it is the same work is shown by the
mean difference of gray levels.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchstain
from _comparison import Comparison, report
from _report import print_machine

from histoclf import find_patches, make_patches
from histoclf.io import load_patches
from histoclf.preprocessing import StainNormalizer

BAR = 1.0
METHODS, BACKENDS = ("macenko", "reinhard"), ("numpy", "torch")
FAILURES = (np.linalg.LinAlgError, ValueError, IndexError, RuntimeError)

Normalize = Callable[[np.ndarray], np.ndarray]


def peer(method: str, backend: str, reference: np.ndarray) -> Normalize:
    """Fit torchstain to the reference; what is returned normalises one image."""
    make = {
        "macenko": torchstain.normalizers.MacenkoNormalizer,
        "reinhard": torchstain.normalizers.ReinhardNormalizer,
    }[method]
    normalizer = make(backend=backend)
    options = {"stains": False} if method == "macenko" else {}
    normalizer.fit(_for(backend, reference))

    def normalize(image: np.ndarray) -> np.ndarray:
        found = normalizer.normalize(_for(backend, image), **options)
        normalized = np.asarray(found[0] if method == "macenko" else found)
        return normalized if normalized.shape == image.shape else np.moveaxis(normalized, 0, 2)

    return normalize


def _for(backend: str, image: np.ndarray) -> np.ndarray | torch.Tensor:
    if backend == "numpy":
        return image
    return torch.from_numpy(image).permute(2, 0, 1)  # its channels come first


def works(normalize: Normalize, image: np.ndarray) -> bool:
    """Whether a peer can do the image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # blank glass divides by zero
        try:
            return bool(np.isfinite(normalize(image)).all())
        except FAILURES:
            return False


def seconds(work: Callable[[], object]) -> float:
    """Time it once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(images: np.ndarray, method: str, rounds: int) -> list[Comparison]:
    """Compare one method with both versions of torchstain."""
    reference = images[0]
    ours = StainNormalizer(method=method, reference=reference).fit(images[:1])
    peers = {backend: peer(method, backend, reference) for backend in BACKENDS}
    changed = (ours.transform(images) != images).any(axis=(1, 2, 3))
    able = [all(works(each, image) for each in peers.values()) for image in images]
    kept = images[changed & able]
    if len(kept) == 0:
        raise SystemExit(
            f"{method}: torchstain failed, or ours changed nothing, on all {len(images)} patches."
        )
    rates: dict[str, list[float]] = {name: [] for name in ("ours", *BACKENDS)}
    for _ in range(rounds):
        rates["ours"].append(len(kept) / seconds(lambda: ours.transform(kept)))
        for backend, each in peers.items():
            rates[backend].append(len(kept) / seconds(lambda each=each: [each(image) for image in kept]))
    result, bar = ours.transform(kept).astype(float), f"at least {BAR:g}"
    work = f"{method}, {len(kept):,} patches of {images.shape[1]} px"
    return [
        Comparison(
            work,
            f"torchstain, {backend}",
            "patches/s",
            rates["ours"],
            rates[backend],
            bar,
            difference(result, each, kept),
        )
        for backend, each in peers.items()
    ]


def difference(result: np.ndarray, normalize: Normalize, images: np.ndarray) -> str:
    """Say how far the results are apart; the median patch too, as few can be far."""
    theirs = np.stack([normalize(image) for image in images]).astype(float)
    apart = np.abs(result - theirs).mean(axis=(1, 2, 3))
    return f"{apart.mean():.2f} gray levels apart on average, {np.median(apart):.2f} in the median patch"


def read(folder: Path, n_patches: int, side: int) -> np.ndarray:
    """Read patches spread over a folder."""
    paths = find_patches(folder, groups=None).paths
    chosen = np.linspace(0, len(paths) - 1, min(n_patches, len(paths))).astype(int)
    return load_patches([paths[row] for row in chosen], image_size=(side, side)).images


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of real patches, read at 50 px")
    parser.add_argument("--patches", type=int, default=1000, help="of 50 px; a tenth of 224 px")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser.parse_args()


def main() -> None:
    """Compare each method at each size."""
    arguments = parse()
    print_machine()
    large = make_patches(
        n_patients=5, patches_per_patient=max(2, arguments.patches // 50), image_size=224, random_state=0
    )
    sets = (read(arguments.data, arguments.patches, 50), large.images)
    found = [
        each for images in sets for method in METHODS for each in compare(images, method, arguments.rounds)
    ]
    report(arguments.json, found)


if __name__ == "__main__":
    main()
