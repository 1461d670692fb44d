"""Look for copies of patches: what an evaluation and a label review do unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from histoclf.audit._leakage import audit_cv
from histoclf.audit._report import LeakageReport
from histoclf.classifiers._folds import Folds
from histoclf.exceptions import ImageReadError, InputContractError

# Patches that are searched without being asked: two or three minutes on one core.
MOST_SEARCHED = 10_000

Found = TypeVar("Found")


def search_if_cheap(
    search: Callable[[], Found], wanted: bool | None, n_samples: int
) -> tuple[Found | None, str | None]:
    """Run a search for copies, if it is wanted, or if nothing stands against it.

    Parameters
    ----------
    search : callable
        Of no arguments.
    wanted : bool or None
        None leaves it out where it takes long, or where X holds nothing that can be compared.
    n_samples : int
        Number of patches.

    Returns
    -------
    found : object or None
        What `search` returned.
    reason : str or None
        Why it was left out, though nobody said so.
    """
    if wanted is False:
        return None, None
    if wanted is None and n_samples > MOST_SEARCHED:
        return None, f"{n_samples:,} patches take minutes or more"
    try:
        return search(), None
    except (ImageReadError, InputContractError) as error:
        if wanted:
            raise
        return None, _shorten(error)


def audit_folds(
    wanted: bool | None,
    folds: Folds,
    X: Any,
    y: np.ndarray,
    patients: np.ndarray | None,
    **settings: Any,
) -> tuple[LeakageReport | None, list[str]]:
    """Look for copies that cross the folds of an evaluation.

    Parameters
    ----------
    wanted : bool or None
        None does so where it is cheap.
    folds : list of (train, test)
        Row numbers.
    X : array-like of n_samples rows
        Paths or images, if anything is to be found.
    y : ndarray of shape (n_samples,)
        Labels.
    patients : ndarray of shape (n_samples,) or None
        Patients, as far as they are known.
    **settings
        Further parameters of `audit_cv`.

    Returns
    -------
    report : LeakageReport or None
        None if it was left out.
    notes : list of str
        Why, if nobody said so.
    """
    report, reason = search_if_cheap(lambda: audit_cv(folds, X, y, patients, **settings), wanted, len(y))
    if reason is None:
        return report, []
    if len(y) > MOST_SEARCHED:
        reason += "; audit=True looks for them"
    return None, [f"copies of patches were not looked for: {reason}."]


def _shorten(error: ImageReadError | InputContractError) -> str:
    """Say what is wrong without the names of files."""
    if isinstance(error, ImageReadError):
        return f"{len(error.failures):,} image files cannot be read"
    return str(error).partition(". ")[0]


def describe_audit(report: LeakageReport | None) -> str:
    """Say in a few words whether patients and copies cross the folds."""
    if report is None:
        return "copies not looked for"
    patients = f"{len(report.shared_groups):,} patients CROSS THE FOLDS, " if report.shared_groups else ""
    if report.n_copies:
        return f"{patients}{report.n_copies:,} patches have COPIES ACROSS FOLDS"
    return f"{patients}no copies cross the folds"


def warn_of_copies(report: LeakageReport | None) -> list[str]:
    """Say what copies do to the scores, and what to do about them; names no files, as cards must not."""
    if report is None:
        return []
    found = []
    if report.n_copies:
        share = 100 * report.n_copies / report.n_images
        kinds = {"exact": len(report.exact_duplicates), "changed": len(report.near_duplicates)}
        pairs = " and ".join(f"{n:,} {kind}" for kind, n in kinds.items() if n)
        pairs += " pair" if sum(kinds.values()) == 1 else " pairs"
        found.append(
            f"{report.n_copies:,} patches ({share:.2g} %) have a copy on the other side of a fold ({pairs}): "
            "a classifier can remember these. Keep copies together with cv=StratifiedPatientKFold(n) "
            "(--copies-together), or drop all but one of each (find_duplicates)."
        )
    if report.label_conflicts:
        n = len(report.label_conflicts)
        said = "1 pair of copies has" if n == 1 else f"{n:,} pairs of copies have"
        found.append(
            f"{said} different labels: at least one of two is wrong. review_labels lists them first."
        )
    return found
