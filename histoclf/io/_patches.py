"""Find the patches in a folder, and say what was understood about them."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
from sklearn.utils import Bunch

from histoclf.exceptions import PatchNameError
from histoclf.io._evidence import Evidence, Rule, check_rule, weigh
from histoclf.io._scan import scan_images


def find_patches(
    root: str | os.PathLike[str], *, groups: Rule = "auto", labels: Rule = "auto", verbose: bool = False
) -> Bunch:
    """List the image files below a folder, with the class and the patient of each.

    Nothing is guessed: what the folders and names do not say clearly is None or an error, and `description`
    says where each fact comes from. The files are not opened, so that a broken one shows only when it is
    read.

    Parameters
    ----------
    root : str or path-like
        Folder, searched with all its subfolders. Hidden files are left out, and folders named train, test,
        val or fold1 are neither classes nor patients.
    groups : {"auto", "name", "folder"}, str, callable or None, default="auto"
        Who the patients are. "auto" reads them from names that follow a known convention (see `read_names`);
        "name" insists on it. "folder" is a folder per patient, above or below the class folders. Any other
        string is a regular expression, searched in the path below `root` (with ``/``); its only group, or the
        one named ``patient``, is the patient. A callable takes a path and returns the patient. None: no
        patients.
    labels : {"auto", "name", "folder"}, str, callable or None, default="auto"
        Which classes there are. "auto" takes class folders and else the names; where both tell, they must
        agree. "folder", "name", expressions (group ``label``), callables and None as for `groups`.
    verbose : bool, default=False
        Whether to print the description.

    Returns
    -------
    patches : `sklearn.utils.Bunch`
        With the attributes:

        paths : ndarray of shape (n_patches,), dtype object
            Paths (str), beginning with `root`, in natural order.
        labels : ndarray of shape (n_patches,), dtype str, or None
            Classes.
        groups : ndarray of shape (n_patches,), dtype str, or None
            Patients.
        coords : ndarray of shape (n_patches, 2), dtype float64, or None
            Position (x, y) of the patch on its slide in pixels, where the names carry it.
        magnifications : ndarray of shape (n_patches,), dtype int64, or None
            Objective magnification, where the names carry it.
        classes : list of str or None
            The different labels, sorted.
        convention : str or None
            The convention that all names follow.
        ignored : dict of str to int
            Files left out, counted by extension.
        description : str
            What was understood; the first line is the summary.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If `root` is no folder.
    PatchNameError
        If there are no images, or folders, names and rules do not tell clearly what was asked of them.

    See Also
    --------
    histoclf.io.read_names : What file names alone tell.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf.datasets import make_patches
    >>> from histoclf.io import find_patches, save_patches
    >>> made = make_patches(n_patients=3, patches_per_patient=4, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    ...     patches = find_patches(folder)
    >>> print(patches.description.splitlines()[0])
    12 images, 2 classes from folders, 3 patients from IDC file names
    >>> patches.classes
    ['benign', 'malignant']
    """
    check_rule("groups", groups)
    check_rule("labels", labels)
    root = os.fspath(root)
    files, ignored = scan_images(root)
    if not files:
        raise PatchNameError(
            f"No images (PNG, JPEG, TIFF, BMP, WebP) in '{root}'. {_say_ignored(ignored)}".rstrip()
        )
    paths = [os.path.join(root, file.replace("/", os.sep)) for file in files]
    evidence = weigh(files, paths, groups, labels)
    names = evidence.names
    patches = Bunch(
        paths=np.array(paths, dtype=object),
        labels=evidence.labels,
        groups=evidence.groups,
        coords=names and names.coords,
        magnifications=names and names.magnifications,
        classes=None if evidence.labels is None else np.unique(evidence.labels).tolist(),
        convention=names and names.convention,
        ignored=dict(ignored.most_common()),
        description=_describe(evidence, len(files), ignored),
    )
    if verbose:
        print(patches.description)
    return patches


def _describe(evidence: Evidence, n_files: int, ignored: Counter[str]) -> str:
    """Say what was understood; the first line is the summary, the others what one should know beside it."""
    lines = [_summary(evidence, n_files)]
    if evidence.labels is not None:
        counts = sorted(Counter(evidence.labels.tolist()).items())
        lines.append("Classes: " + ", ".join(f"{name} ({count:,})" for name, count in counts) + ".")
        if len(counts) == 1:
            lines.append("There is only one class; a classifier needs at least two.")
    if evidence.groups is None:
        lines.append(
            "Patients unknown: say who they are with groups='folder' (a folder per patient), a regular "
            "expression or a callable. Without them, patches of one patient may lie on both sides of a "
            "split, which makes scores too good."
        )
    return "\n".join([*lines, *evidence.notes, _say_ignored(ignored)]).rstrip()


def _summary(evidence: Evidence, n_files: int) -> str:
    said = [f"{n_files:,} {'image' if n_files == 1 else 'images'}"]
    shared = evidence.labels_from if evidence.labels_from == evidence.groups_from else ""
    for plural, singular, values, source in (
        ("classes", "class", evidence.labels, evidence.labels_from),
        ("patients", "patient", evidence.groups, evidence.groups_from),
    ):
        count = 0 if values is None else len(np.unique(values))
        known = f"{count:,} {singular if count == 1 else plural}" + ("" if shared else f" from {source}")
        said.append(f"{plural} unknown" if values is None else known)
    return ", ".join(said) + (f", from {shared}" if shared else "")


def _say_ignored(ignored: Counter[str]) -> str:
    if not ignored:
        return ""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in ignored.most_common(10))
    total = sum(ignored.values())
    return f"{total:,} other {'file' if total == 1 else 'files'} ignored: {kinds}."
