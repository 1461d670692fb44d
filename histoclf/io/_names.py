"""What file names tell: the patient, the class and the place on the slide, by published conventions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from posixpath import splitext
from re import Match, Pattern

import numpy as np


@dataclass(frozen=True)
class NameConvention:
    """One way in which a data set writes facts into its file names.

    Parameters
    ----------
    name : str
        Name of the convention, as it is said to the user ("from IDC file names").
    pattern : re.Pattern
        Matched against the whole file name without its extension. Named groups say what is where: ``patient``
        (required), and where the names carry them ``label``, ``x`` and ``y`` (pixels on the slide) and
        ``magnification``.
    labels : dict of str to str
        Translation of the label as written; a label that is not in it stands as written.
    note : str
        What a user must know before trusting it, or nothing.
    """

    name: str
    pattern: Pattern[str]
    labels: dict[str, str] = field(default_factory=dict)
    note: str = ""


# A new data set is one more line here; a name must match one pattern only.
CONVENTIONS = (
    NameConvention(
        "IDC",
        re.compile(r"(?P<patient>.+)_idx\d+_x(?P<x>\d+)_y(?P<y>\d+)_class(?P<label>[^_]+)", re.IGNORECASE),
    ),
    NameConvention(
        "BreaKHis",
        re.compile(
            r"[A-Z]+_(?P<label>[BM])_[A-Z]+-(?P<patient>\d+-\w+)-(?P<magnification>\d+)-\d+", re.IGNORECASE
        ),
        {"B": "benign", "M": "malignant", "b": "benign", "m": "malignant"},
    ),
    # No coordinates from these three: one patient has several slides or regions, each with an origin of its
    # own.
    NameConvention(
        "TCGA", re.compile(r"(?:.*[^A-Za-z0-9])?(?P<patient>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})(?![A-Za-z0-9]).*")
    ),
    NameConvention(
        "Kather texture",
        re.compile(r"[0-9A-F]+_(?P<patient>CRC-Prim-HE-\d+)(?:[_.].*)?"),
        note="These names carry no patient; each tissue slide is taken for one.",
    ),
    NameConvention("osteosarcoma", re.compile(r"(?P<patient>Case-\d+)-[A-Z]\d.*-\d+-\d+")),
)


@dataclass(frozen=True)
class NameInfo:
    """What the names of some image files tell; one entry per file, in their order.

    Attributes
    ----------
    convention : str
        Name of the convention that every name follows.
    groups : ndarray of shape (n_files,), dtype str
        Patients.
    labels : ndarray of shape (n_files,), dtype str, or None
        Classes.
    coords : ndarray of shape (n_files, 2), dtype float64, or None
        Position (x, y) of the patch on its patient's slide, in pixels.
    magnifications : ndarray of shape (n_files,), dtype int64, or None
        Objective magnification.
    note : str
        What a user must know before trusting it, or nothing.
    """

    convention: str
    groups: np.ndarray
    labels: np.ndarray | None
    coords: np.ndarray | None
    magnifications: np.ndarray | None
    note: str


def read_names(paths: Iterable[str]) -> NameInfo | None:
    """Read patients, classes and positions from file names.

    Knows IDC (``8863_idx5_x51_y1251_class1.png``), BreaKHis (``SOB_B_A-14-22549AB-400-001.png``, patient
    ``14-22549AB``), TCGA barcodes (patient ``TCGA-XX-YYYY``), Kather's colorectal textures (the tissue slide
    stands for the patient) and the UT Southwestern osteosarcoma set.

    Parameters
    ----------
    paths : iterable of str
        Image files. They need not exist.

    Returns
    -------
    info : NameInfo or None
        What the names tell; None unless every one of them follows one and the same convention.

    Examples
    --------
    >>> from histoclf.io import read_names
    >>> info = read_names(["8863_idx5_x51_y1251_class1.png", "9176_idx5_x1_y1_class0.png"])
    >>> info.convention, info.groups.tolist(), info.labels.tolist(), info.coords.tolist()
    ('IDC', ['8863', '9176'], ['1', '0'], [[51.0, 1251.0], [1.0, 1.0]])
    >>> read_names(["8863_idx5_x51_y1251_class1.png", "holiday.jpg"]) is None
    True
    """
    stems = file_stems(paths)
    for convention in CONVENTIONS:
        # The first name alone rules out nearly every convention.
        if stems and convention.pattern.fullmatch(stems[0]):
            matches = match_names(stems, convention)
            if all(matches):
                return info_from_matches(matches, convention)
    return None


def file_stems(paths: Iterable[str]) -> list[str]:
    """File names without folders and extension; on any system both kinds of slash separate folders."""
    return [splitext(path.replace("\\", "/").rpartition("/")[2])[0] for path in paths]


def match_names(stems: Sequence[str], convention: NameConvention) -> list[Match[str] | None]:
    """Match every name against one convention."""
    return [convention.pattern.fullmatch(stem) for stem in stems]


def info_from_matches(matches: Sequence[Match[str] | None], convention: NameConvention) -> NameInfo:
    """Collect what the matched groups say; every entry of `matches` must be a match."""
    found = [match.groupdict() for match in matches if match is not None]
    carried = convention.pattern.groupindex
    coords = np.array([(row["x"], row["y"]) for row in found], dtype=np.float64) if "x" in carried else None
    powers = np.array([int(row["magnification"]) for row in found]) if "magnification" in carried else None
    labels = None
    if "label" in carried:
        labels = np.array([convention.labels.get(row["label"], row["label"]) for row in found], dtype=str)
    return NameInfo(
        convention=convention.name,
        groups=np.array([row["patient"] for row in found], dtype=str),
        labels=labels,
        coords=coords,
        magnifications=powers,
        note=convention.note,
    )
