"""As many image files as wanted, quickly: all with contents of their own, over a few thousand pictures."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

SIDE, N_PICTURES = 50, 5000  # pixels; different pictures, of which each file is one with a number behind it


def write_files(folder: str, n_files: int) -> None:
    """Write PNGs; decoders ignore what stands behind the end of a picture, and the content is another one."""
    from histoclf import make_patches
    from histoclf.io import save_patches

    made = make_patches(n_patients=10, patches_per_patient=N_PICTURES // 10, image_size=SIDE, random_state=0)
    with TemporaryDirectory() as pictures:
        saved = save_patches(made.images, made.labels, made.groups, made.coords, pictures)
        contents = [Path(path).read_bytes() for path in saved]
    codes = (made.labels == made.classes[1]).astype(int)
    for number in range(n_files):
        picture = number % len(contents)
        file = Path(folder, f"{number:07d}_{codes[picture]}.png")
        file.write_bytes(contents[picture] + number.to_bytes(4, "big"))


def list_files(folder: str, n_files: int) -> tuple[np.ndarray, np.ndarray]:
    """List the first of them: paths, and class numbers."""
    paths = np.array([str(file) for file in sorted(Path(folder).iterdir())[:n_files]], dtype=object)
    return paths, np.array([int(path[-len("0.png")]) for path in paths])
