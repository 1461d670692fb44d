"""How many planted copies the audit finds, by kind of change, and what it wrongly calls a copy.

Copies of real patches are made in every way that augmentation and oversampling make them, and planted among
the others. The patches themselves must be of different places, as those of the IDC breast set are.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _report import print_table, versions, write_json
from PIL import Image, ImageFilter
from scipy import ndimage

from histoclf import find_duplicates, find_patches
from histoclf.io import load_patches

STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
STAINS /= np.linalg.norm(STAINS, axis=1, keepdims=True)

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def warp(
    image: np.ndarray, degrees: float, zoom: float = 1, shift: object = (0, 0), shear: float = 0
) -> np.ndarray:
    """Turn, enlarge, shift (as a share of the side) and shear, mirrored beyond the border."""
    turn, centre = np.deg2rad(degrees), (np.array(image.shape[:2]) - 1) / 2
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = matrix @ np.array([[1, shear], [0, 1]]) / zoom
    offset = centre + np.asarray(shift) * image.shape[:2] - matrix @ centre
    planes = [
        ndimage.affine_transform(plane.astype(float), matrix, offset, order=1, mode="mirror")
        for plane in np.moveaxis(image, 2, 0)
    ]
    return np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """Save as JPEG and read again."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def crop(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Cut away a share of each side, and enlarge what is left."""
    height, width = image.shape[:2]
    lost = int(height * share), int(width * share)
    top, left = rng.integers(0, lost[0] + 1), rng.integers(0, lost[1] + 1)
    inner = image[top : height - lost[0] + top, left : width - lost[1] + left]
    return resize(inner, (width, height))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (width, height)."""
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def shrink(image: np.ndarray, factor: float) -> np.ndarray:
    """Make smaller, and large again."""
    height, width = image.shape[:2]
    return resize(resize(image, (int(width * factor), int(height * factor))), (width, height))


def light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change contrast and brightness."""
    return (image * rng.uniform(0.75, 1.25) + rng.uniform(-15, 15)).clip(0, 255).astype(np.uint8)


def stain(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Change the amount of each stain, in optical density."""
    amounts = -np.log((image.astype(float) + 1) / 256) @ np.linalg.inv(STAINS)
    amounts = amounts * (1 + rng.uniform(-strength, strength, 3)) + 0.5 * rng.uniform(-strength, strength, 3)
    return (256 * np.exp(-amounts @ STAINS) - 1).clip(0, 255).astype(np.uint8)


def symmetry(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn by a right angle or two or three, and mirror every other time."""
    turned = np.rot90(image, rng.integers(1, 4))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


def everything(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change it in every way at once."""
    moved = warp(
        symmetry(image, rng), rng.uniform(-8, 8), rng.uniform(0.95, 1.1), rng.uniform(-0.08, 0.08, 2), 0.05
    )
    return compress(stain(light(moved, rng), 0.1, rng), 75)


CHANGES: dict[str, Change] = {
    "mirrored": lambda image, rng: np.ascontiguousarray(image[:, ::-1]),
    "turned by 90, 180 or 270°, mirrored": symmetry,
    "rotated by up to 8°": lambda image, rng: warp(image, rng.uniform(-8, 8)),
    "rotated by up to 20°": lambda image, rng: warp(image, rng.uniform(-20, 20)),
    "shifted by up to 20 %, mirrored border": lambda image, rng: warp(
        image, 0, shift=rng.uniform(-0.2, 0.2, 2)
    ),
    "cropped by 10 % of each side": lambda image, rng: crop(image, 0.1, rng),
    "cropped by 15 %": lambda image, rng: crop(image, 0.15, rng),
    "cropped by 20 %": lambda image, rng: crop(image, 0.2, rng),
    "cropped by 25 %": lambda image, rng: crop(image, 0.25, rng),
    "JPEG, quality 50": lambda image, rng: compress(image, 50),
    "60 % of the size, and back": lambda image, rng: shrink(image, 0.6),
    "blurred, 1 pixel": lambda image, rng: np.asarray(
        Image.fromarray(image).filter(ImageFilter.GaussianBlur(1))
    ),
    "contrast by 25 %, brightness by 15": light,
    "stains by 20 %": lambda image, rng: stain(image, 0.2, rng),
    "turned, rotated, sheared, lit, stained, JPEG": everything,
}


def main() -> None:
    """Plant copies of each kind, and count what is found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of patches of different places")
    parser.add_argument("--every", type=int, default=10, help="use every n-th patch (default: 10)")
    parser.add_argument("--copies", type=int, default=150, help="copies of each kind (default: 150)")
    parser.add_argument("--side", type=int, default=50, help="pixels of a side (default: 50)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args()
    paths = find_patches(arguments.data, groups=None).paths[:: arguments.every]
    images = load_patches(paths, image_size=(arguments.side, arguments.side)).images
    rows, results = [], {}
    for name, change in CHANGES.items():
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(images))[: arguments.copies]
        copies = np.stack([change(images[row], rng) for row in chosen])
        start = time.perf_counter()
        found = {tuple(pair) for pair in find_duplicates(np.concatenate([images, copies])).pairs.tolist()}
        seconds = time.perf_counter() - start
        planted = {(int(row), len(images) + number) for number, row in enumerate(chosen)}
        results[name] = {"recall": len(found & planted) / len(planted), "wrong": len(found - planted)}
        rows.append([name, f"{results[name]['recall']:.3f}", str(len(found - planted)), f"{seconds:.0f} s"])
        print(*rows[-1], flush=True)
    print_table([f"{len(images):,} patches, {len(chosen)} copies", "found", "wrong pairs", "time"], rows)
    if arguments.json:
        write_json(arguments.json, {"versions": versions(), "changes": results})


if __name__ == "__main__":
    main()
