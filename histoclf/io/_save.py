"""Write patches to disk under names that `find_patches` understands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from histoclf.io._decode import encode_png


def save_patches(
    images: np.ndarray,
    labels: Sequence[str] | np.ndarray,
    groups: Sequence[str] | np.ndarray,
    coords: np.ndarray | None,
    folder: str | os.PathLike[str],
) -> np.ndarray:
    """Save patches as PNG files in folders and under names after the IDC data set.

    Each becomes ``PATIENT/CLASS/PATIENT_idx5_xX_yY_classC.png``, where C is the class itself if all classes
    are numbers, and else the number of the class in sorted order.

    Parameters
    ----------
    images : ndarray of shape (n_patches, height, width, 3), dtype uint8
        RGB, 0-255.
    labels : array-like of shape (n_patches,)
        Class of each patch.
    groups : array-like of shape (n_patches,)
        Patient of each patch.
    coords : ndarray of shape (n_patches, 2) or None
        Position (x, y) of each patch on its patient's slide, in pixels. None lays them in a row.
    folder : str or path-like
        Where to write; made if it does not exist.

    Returns
    -------
    paths : ndarray of shape (n_patches,), dtype object
        The files written, in the order of `images`.

    Raises
    ------
    ValueError
        If lengths differ, a class or patient has a slash in its name, or two patches of one patient and class
        have the same position.

    Examples
    --------
    >>> import os, tempfile
    >>> from histoclf.datasets import make_patches
    >>> from histoclf.io import save_patches
    >>> made = make_patches(n_patients=1, patches_per_patient=2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    ...     sorted(os.path.relpath(path, folder).replace(os.sep, "/") for path in paths)
    ['P01/benign/P01_idx5_x0_y0_class0.png', 'P01/malignant/P01_idx5_x48_y0_class1.png']
    """
    labels, groups = np.asarray(labels).astype(str), np.asarray(groups).astype(str)
    if coords is None:
        coords = np.stack([np.arange(len(images)) * images.shape[2], np.zeros(len(images))], axis=1)
    lengths = [len(images), len(labels), len(groups), len(coords)]
    if len(set(lengths)) > 1:
        raise ValueError(f"images, labels, groups and coords must have one length, got {lengths}.")
    classes = np.unique(labels).tolist()
    if slashed := [name for name in {*classes, *groups.tolist()} if "/" in name or "\\" in name]:
        raise ValueError(
            f"Classes and patients become folders and cannot have a slash in their name: {slashed[:10]}."
        )
    codes = {name: name if all(map(str.isdigit, classes)) else str(code) for code, name in enumerate(classes)}
    paths = [
        Path(folder, group, label, f"{group}_idx5_x{x:.0f}_y{y:.0f}_class{codes[label]}.png")
        for label, group, (x, y) in zip(labels.tolist(), groups.tolist(), coords, strict=True)
    ]
    if len(set(paths)) < len(paths):
        raise ValueError(
            "Two patches of one patient and class have the same coords; they would overwrite each other."
        )
    for image, path in zip(images, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        encode_png(image, path)
    return np.array([str(path) for path in paths], dtype=object)
