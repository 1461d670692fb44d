"""What folders tell: which level of a folder tree names the class, and which the patient."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoclf.exceptions import PatchNameError

_SPLIT = re.compile(r"train(ing)?|test(ing)?|val(id|idation)?|dev|fold[ _-]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class FolderTree:
    """The folders between the root and each image.

    Attributes
    ----------
    levels : list of ndarray of shape (n_files,), dtype str
        Folder names, one array per level that may name a class or a patient, from the root downwards.
    splits : list of str
        Folders that name a split (train, test, ...); their level is not among `levels`.
    uneven : list of str
        Images that do not lie as deep as the others; if there are any, `levels` is empty.
    """

    levels: list[np.ndarray]
    splits: list[str]
    uneven: list[str]

    @classmethod
    def read(cls, files: Sequence[str]) -> FolderTree:
        depth = Counter(file.count("/") for file in files)
        usual = depth.most_common(1)[0][0]
        if len(depth) > 1:
            return cls([], [], [file for file in files if file.count("/") != usual])
        columns = np.array([file.split("/")[:-1] for file in files], dtype=str).reshape(len(files), usual).T
        levels, splits = [], []
        for column in columns:
            names = np.unique(column).tolist()
            if all(_SPLIT.fullmatch(name) for name in names):
                splits += names
            else:
                levels.append(column)
        return cls(levels, splits, [])

    def without(self, groups: np.ndarray | None) -> list[np.ndarray]:
        """Levels left for the class: those that only repeat the patient, or never vary, are taken out."""
        left = [level for level in self.levels if groups is None or not _repeats(level, groups)]
        varying = [level for level in left if len(np.unique(level)) > 1]
        return varying or left[-1:]


def class_and_patient(
    tree: FolderTree, name_labels: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray]:
    """Find the level of the classes (None if there is none) and the level of the patients.

    Raises
    ------
    PatchNameError
        If the tree does not tell.
    """
    levels = tree.levels
    if len(levels) > 2:
        levels = [level for level in levels if len(np.unique(level)) > 1]
    if len(levels) == 1:
        return None, levels[0]
    if len(levels) != 2:
        raise PatchNameError(
            "groups='folder' expects PATIENT/file, PATIENT/CLASS/file or CLASS/PATIENT/file, but "
            f"{_depth(tree, levels)}. Say which part is the patient, such as groups=r'^([^/]+)/' for the "
            "first folder."
        )
    orders = (levels, levels[::-1])
    agreeing = [o for o in orders if name_labels is not None and not disagreements(o[0], name_labels).any()]
    if len(agreeing) == 1:
        return agreeing[0][0], agreeing[0][1]
    (few, label), (many, patient) = sorted(
        ((len(np.unique(level)), level) for level in levels), key=lambda p: p[0]
    )
    if few == many or few == 1:
        raise PatchNameError(
            f"groups='folder' cannot tell patients from classes: the first folders are {_some(levels[0])}, "
            f"the second {_some(levels[1])}. If patients come first, pass groups=r'^([^/]+)/'; if classes "
            "do, groups=r'^[^/]+/([^/]+)/'."
        )
    return label, patient


def disagreements(folders: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mark the files whose class in the name is not that of their class folder.

    Folders that speak the names' own words must say the same; other folders ("malignant" for "1") must each
    hold one class.
    """
    if set(folders) == set(labels):
        return folders != labels
    usual: dict[str, str] = {}
    for (folder, label), _ in Counter(zip(folders.tolist(), labels.tolist(), strict=True)).most_common():
        usual.setdefault(folder, label)
    return np.array([usual[folder] for folder in folders.tolist()]) != labels


def listing(names: Sequence[str], total: int) -> str:
    """Name the first ten of some files."""
    more = f", and {len(names) - 10:,} more" if len(names) > 10 else ""
    return f"{len(names):,} of {total:,} files: {', '.join(names[:10])}{more}."


def _repeats(level: np.ndarray, groups: np.ndarray) -> bool:
    """Whether each folder of the level names the one patient in it."""
    pairs = set(zip(level.tolist(), groups.tolist(), strict=True))
    return len(pairs) == len(set(level)) and all(group in folder for folder, group in pairs)


def _depth(tree: FolderTree, levels: Sequence[np.ndarray]) -> str:
    if tree.uneven:
        return f"images lie at different depths, among them {', '.join(tree.uneven[:10])}"
    return f"the images lie {len(levels)} folders deep"


def _some(level: np.ndarray) -> str:
    names = np.unique(level).tolist()
    return ", ".join(names[:4]) + (f", ... ({len(names)})" if len(names) > 4 else "")
