"""Weigh what names, folders and the user's rules say about the class and the patient of each image."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from histoclf.exceptions import PatchNameError
from histoclf.io._folders import FolderTree, class_and_patient, disagreements, listing
from histoclf.io._names import CONVENTIONS, NameInfo, file_stems, info_from_matches, match_names

Rule = str | Callable[[str], str] | None

_KEYWORDS = ("auto", "name", "folder")


@dataclass(frozen=True)
class Evidence:
    """Classes and patients of images, None where unknown; where each comes from, and what is to be said."""

    labels: np.ndarray | None
    labels_from: str
    groups: np.ndarray | None
    groups_from: str
    names: NameInfo | None
    notes: list[str]


def weigh(files: Sequence[str], paths: Sequence[str], groups: Rule, labels: Rule) -> Evidence:
    """Settle the patients, then the classes: a folder level that only repeats the patient is no class.

    Parameters
    ----------
    files : sequence of str
        Paths below the root, with ``/``: what regular expressions search.
    paths : sequence of str
        The same paths in full: what callables are given.
    groups, labels : {"auto", "name", "folder"}, str, callable or None
        As in `find_patches`.

    Raises
    ------
    PatchNameError
        If the evidence is contradictory or ambiguous.
    """
    insisted = "name" in (groups, labels)
    names, notes = _read_names(files, insisted, strict=insisted or groups == "auto")
    tree = FolderTree.read(files)
    if tree.splits:
        notes.append(f"Folders {', '.join(tree.splits)} were taken for a split and pooled.")
    class_levels: list[np.ndarray] | None = None
    patients: np.ndarray | None
    if groups == "folder":
        level, patients = class_and_patient(tree, names.labels if names else None)
        patients_from, class_levels = "folders", [] if level is None else [level]
    elif groups in ("auto", "name"):
        patients, patients_from = (names.groups, _source(names)) if names else (None, "")
        notes += [names.note] if names and names.note else []
    else:
        patients, patients_from = _by_rule(files, paths, groups, "patient")
    if labels in ("auto", "name", "folder"):
        levels = tree.without(patients) if class_levels is None else class_levels
        classes, classes_from = _classes(str(labels), files, tree, levels, names)
    else:
        classes, classes_from = _by_rule(files, paths, labels, "label")
    return Evidence(classes, classes_from, patients, patients_from, names, notes)


def check_rule(name: str, rule: Rule) -> None:
    """Refuse a rule that is no keyword, expression, callable or None; suggest the keyword that was meant."""
    keywords = ", ".join(map(repr, _KEYWORDS))
    if not (rule is None or callable(rule) or isinstance(rule, str)):
        raise TypeError(
            f"{name} must be one of {keywords}, a regular expression, a callable or None, got {rule!r}."
        )
    if isinstance(rule, str) and "(" not in rule and rule not in _KEYWORDS:
        close = difflib.get_close_matches(rule, _KEYWORDS, n=1)
        cure = (
            f"Did you mean {close[0]!r}?"
            if close
            else "Put brackets around the part of the path that is meant."
        )
        raise PatchNameError(
            f"{name}={rule!r} is none of {keywords}, and no regular expression with a group. {cure}"
        )


def _read_names(files: Sequence[str], insisted: bool, strict: bool) -> tuple[NameInfo | None, list[str]]:
    """Read the names; a convention that only some of them follow is an error if `strict`, else a note."""
    stems = file_stems(files)
    partial = []
    for convention in CONVENTIONS:
        matches = match_names(stems, convention)
        if all(matches):
            info = info_from_matches(matches, convention)
            return info, _mixed_magnifications(info)
        if any(matches):
            others = [file for file, match in zip(files, matches, strict=True) if not match]
            partial.append(f"Names follow {convention.name}, but not in {listing(others, len(files))}")
    if partial and strict:
        cure = (
            "Patients must be known for all images or for none: move those files elsewhere, or say who "
            "the patients are with groups='folder', a regular expression, a callable, or groups=None."
        )
        raise PatchNameError("\n".join([*partial, cure]))
    if insisted:
        known = ", ".join(convention.name for convention in CONVENTIONS)
        raise PatchNameError(f"No convention that is known here ({known}) fits {listing(files, len(files))}")
    return None, [f"{text} The names were not used." for text in partial]


def _mixed_magnifications(info: NameInfo) -> list[str]:
    powers = [] if info.magnifications is None else np.unique(info.magnifications).tolist()
    return [f"Magnifications are mixed: {', '.join(map(str, powers))}."] if len(powers) > 1 else []


def _source(names: NameInfo | None) -> str:
    return f"{names.convention} file names" if names else "the file names"


def _classes(
    keyword: str, files: Sequence[str], tree: FolderTree, levels: Sequence[np.ndarray], names: NameInfo | None
) -> tuple[np.ndarray | None, str]:
    """Classes by folder or name; where both tell, and the user did not choose, they must agree."""
    named = names.labels if names else None
    if keyword == "name" and named is None:
        raise PatchNameError(f"labels='name', but {_source(names)} carry no class.")
    if keyword == "name" or (keyword == "auto" and named is not None and len(levels) != 1):
        return named, _source(names)
    if len(levels) == 1 and (keyword == "folder" or named is None):
        return levels[0], "folders"
    if len(levels) == 1 and named is not None:
        return _agreed(files, levels[0], named, _source(names))
    if keyword == "folder" or levels or tree.uneven:
        raise PatchNameError(_no_class_level(tree, levels, len(files)))
    return None, ""


def _agreed(
    files: Sequence[str], folders: np.ndarray, named: np.ndarray, source: str
) -> tuple[np.ndarray, str]:
    """Take the folders' word for the class, as long as the names do not contradict it."""
    if len(np.unique(folders)) == 1 and len(np.unique(named)) > 1:
        return named, source  # one folder around all images is no class
    wrong = disagreements(folders, named)
    if wrong.any():
        odd = [f"{files[row]} (class {named[row]} by name)" for row in np.flatnonzero(wrong).tolist()]
        raise PatchNameError(
            f"Class folders and {source} contradict each other in {listing(odd, len(files))} Move the files, "
            "or say whom to believe: labels='folder' or labels='name'."
        )
    return folders, source if set(folders) == set(named) else "folders"


def _no_class_level(tree: FolderTree, levels: Sequence[np.ndarray], n_files: int) -> str:
    if tree.uneven:
        problem = f"Not all images lie equally deep: {listing(tree.uneven, n_files)}"
    elif levels:
        example = "/".join(str(level[0]) for level in levels)
        problem = f"There are {len(levels)} levels of folders ({example}/...), any of which may be the class."
    else:
        problem = "There are no class folders."
    return (
        f"{problem} Say groups='folder' if one level is the patient, or what the class is: "
        "labels=r'([^/]+)/[^/]+$' is the folder of the image, labels=r'^([^/]+)/' the first one, "
        "labels=None none."
    )


def _by_rule(
    files: Sequence[str], paths: Sequence[str], rule: Rule, what: str
) -> tuple[np.ndarray | None, str]:
    """Apply the user's own rule: an expression on the path below the root, or a function of the path."""
    if rule is None:
        return None, ""
    found: list[str | None]
    if callable(rule):
        found, source = [rule(path) for path in paths], "a function"
    else:
        pattern, group = _compiled(rule, what)
        found = [match[group] if (match := pattern.search(file)) else None for file in files]
        source = "a regular expression"
    missing = [file for file, value in zip(files, found, strict=True) if value is None or value == ""]
    if missing:
        raise PatchNameError(f"The rule for the {what} finds none in {listing(missing, len(files))}")
    return np.array([str(value) for value in found]), source


def _compiled(rule: str, what: str) -> tuple[re.Pattern[str], int | str]:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise PatchNameError(
            f"{rule!r}, given for the {what}, is no valid regular expression: {error}."
        ) from error
    if pattern.groups == 1:
        return pattern, 1
    if what in pattern.groupindex:
        return pattern, what
    raise PatchNameError(
        f"The regular expression {rule!r} has {pattern.groups} groups; expected one, (...), that captures "
        f"the {what}, or one of several named (?P<{what}>...)."
    )
