"""The crops that are learned from: squares of the real and synthetic patches, at two resolutions.

Read are only sets whose licence (CC0) lets weights derived from them be passed on, and `make_patches`, which
is ours: `idc_breast` and `oral_originals`. No other folder is opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from histoclf import find_patches
from histoclf.datasets import make_patches

TEACHER_SIDE, STUDENT_SIDE = 96, 64
LICENCES = {
    "idc_breast": "CC0-1.0",
    "oral_originals": "CC0-1.0",
    "histoclf.datasets.make_patches": "BSD-3-Clause (made by this package)",
}
_SMALLEST = {"idc": 30, "oral": 48}  # pixels of a crop's side, before it is enlarged
_ORAL_CROPS = 16  # of each image: it is twenty times as large as a patch of breast
_SYNTHETIC = ((64, 0), (96, 1))  # image_size and seed

Facts = tuple[str, str, int, bool, int]  # source, group, number of the image, whether it is all of it, class


@dataclass(frozen=True)
class Crops:
    """All crops, one entry or row for each.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, 64, 64, 3)
        What the student is shown.
    sharp : ndarray of uint8, shape (n, 96, 96, 3)
        The same, as teachers are shown it.
    source : ndarray of str
        "idc", "oral" or "make".
    group : ndarray of str
        Patient of "idc", digest of the image of "oral", synthetic patient of "make".
    number : ndarray of int
        Of the image within its source.
    whole : ndarray of bool
        Whether it is the whole image.
    positive : ndarray of int
        Class, 0 or 1; only used where labels are asked for.
    coords : ndarray of float, shape (number of images of "idc", 2)
        Position on the slide.
    """

    images: np.ndarray
    sharp: np.ndarray
    source: np.ndarray
    group: np.ndarray
    number: np.ndarray
    whole: np.ndarray
    positive: np.ndarray
    coords: np.ndarray


def load_crops(data: Path, cache: Path) -> Crops:
    """Cut the crops of a folder with `idc_breast` and `oral_originals`, or read what was cut before."""
    if not (cache / "facts.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        _cut(data, cache)
    facts = json.loads((cache / "facts.json").read_text(encoding="utf-8"))
    columns = [np.array(column) for column in zip(*facts, strict=True)]
    arrays = [np.load(cache / f"{name}.npy", mmap_mode="r") for name in ("images", "sharp")]
    return Crops(*arrays, *columns, coords=np.load(cache / "coords.npy"))


def _cut(data: Path, cache: Path) -> None:
    draw = np.random.default_rng(0)
    patches = find_patches(data / "idc_breast")
    images, sharp, facts = [], [], []
    for part in (_breast(patches, draw), _oral(data / "oral_originals", draw), _synthetic()):
        for picture, about in part:
            enlarged = picture.size[0] <= STUDENT_SIDE
            small = Image.Resampling.BICUBIC if enlarged else Image.Resampling.LANCZOS
            images.append(np.asarray(picture.resize((STUDENT_SIDE,) * 2, small)))
            sharp.append(np.asarray(picture.resize((TEACHER_SIDE,) * 2, Image.Resampling.BICUBIC)))
            facts.append(about)
    np.save(cache / "images.npy", np.stack(images))
    np.save(cache / "sharp.npy", np.stack(sharp))
    np.save(cache / "coords.npy", patches.coords)
    (cache / "facts.json").write_text(json.dumps(facts), encoding="utf-8")  # last: it says that all is there


def _breast(patches: object, draw: np.random.Generator) -> Iterator[tuple[Image.Image, Facts]]:
    """Each patch whole, and a random square of it."""
    for number, (path, label, patient) in enumerate(
        zip(patches.paths, patches.labels, patches.groups, strict=True)
    ):
        picture = Image.open(path).convert("RGB")
        positive = int(label == patches.classes[1])
        yield picture, ("idc", str(patient), number, True, positive)
        side = int(draw.integers(_SMALLEST["idc"], min(picture.size) + 1))
        yield _square(picture, side, draw), ("idc", str(patient), number, False, positive)


def _oral(folder: Path, draw: np.random.Generator) -> Iterator[tuple[Image.Image, Facts]]:
    """Each image whole, and squares of it of all sizes, as many small ones as large ones on a log scale."""
    for number, path in enumerate(sorted(folder.glob("*/*"))):
        picture = Image.open(path).convert("RGB")
        largest = min(picture.size)
        digest = hashlib.sha256(picture.tobytes()).hexdigest()[:12]
        for count in range(_ORAL_CROPS):
            side = (
                largest
                if count == 0
                else int(np.exp(draw.uniform(np.log(_SMALLEST["oral"]), np.log(largest))))
            )
            positive = int("OSCC" in path.parent.name)
            yield _square(picture, side, draw), ("oral", digest, number, count == 0, positive)


def _synthetic() -> Iterator[tuple[Image.Image, Facts]]:
    for side, seed in _SYNTHETIC:
        made = make_patches(
            n_patients=20,
            patches_per_patient=25,
            image_size=side,
            n_classes=3,
            stain_shift=1.0,
            random_state=seed,
        )
        for image, patient in zip(made.images, made.groups, strict=True):
            yield Image.fromarray(image), ("make", f"{seed}-{patient}", 0, True, 0)


def _square(picture: Image.Image, side: int, draw: np.random.Generator) -> Image.Image:
    x, y = (int(draw.integers(0, length - side + 1)) for length in picture.size)
    return picture.crop((x, y, x + side, y + side))
