"""What to know before believing the numbers, in words."""

from __future__ import annotations

import numpy as np

from histoclf.classifiers._folds import Folds, shared_patients
from histoclf.evaluation._curve import LearningCurve
from histoclf.evaluation._identity import IdentityProbe
from histoclf.evaluation._inflation import Inflation
from histoclf.evaluation._rows import Row
from histoclf.evaluation._shortcuts import METADATA, SITE

_WIDE = 0.05  # half an interval, from which on it is spoken of
_TELLING = 0.1  # of the way from chance to certainty, from which on colour gives patients away
_FEWEST_TO_TEST = 6  # patients: with fewer the sign-flip test cannot go below 0.05


def warn_of_data(
    groups: np.ndarray | None, folds: Folds, tested: np.ndarray, patients: np.ndarray | None
) -> list[str]:
    """Say what the folds do not keep apart, and whom they leave out; `patients` are as file names tell."""
    found = []
    shared = shared_patients(folds, patients)
    if patients is None:
        found.append(
            "patients are unknown, so patches of one patient may be trained on and tested on: expect lower "
            "scores on new patients, and wider intervals. Pass groups."
        )
    elif groups is None:
        found.append(
            f"groups were not given, though file names tell {len(np.unique(patients))} patients, of whom "
            f"{len(shared)} are both trained on and tested on: expect lower scores on new patients, and "
            "wider intervals. Pass groups, as find_patches reads them."
        )
    elif shared:
        found.append(
            f"{len(shared)} patients are both trained on and tested on "
            f"({', '.join(map(str, shared[:10]))}{', ...' if len(shared) > 10 else ''}): the scores flatter. "
            "Use a splitter that keeps groups together, or a number of folds."
        )
    if not tested.all():
        found.append(
            f"{(~tested).sum():,} of {len(tested):,} patches were never tested and are not in the scores."
        )
    return found


def warn_of_inflation(inflation: Inflation | None) -> list[str]:
    """Say by how much the scores flatter, where that was measured."""
    return [inflation.describe()] if inflation is not None and inflation.of_these_folds else []


def warn_of_intervals(model: Row, y: np.ndarray, groups: np.ndarray | None) -> list[str]:
    """Say how little so many patients tell."""
    if groups is None:
        return []
    n_patients = len(np.unique(groups))
    low, high = model.balanced_accuracy_interval
    lonely = [str(label) for label in np.unique(y) if len(np.unique(groups[y == label])) == 1]
    found = []
    if lonely:
        found.append(
            f"only 1 patient has class '{', '.join(lonely)}': how far other patients may differ is unknown, "
            "so there are no intervals."
        )
    elif (high - low) / 2 > _WIDE:
        found.append(
            f"{n_patients} patients: the interval is ±{50 * (high - low):.0f} points of balanced accuracy."
        )
    if n_patients < _FEWEST_TO_TEST:
        found.append(
            f"{n_patients} patients are too few to show a difference: the smallest possible p-value is "
            f"{2 / 2**n_patients:.2g}."
        )
    return found


def warn_of_shortcuts(rows: tuple[Row, ...], n_classes: int) -> list[str]:
    """Say so where classes are told apart by what is not in the picture."""
    found = []
    for row in rows[1:]:
        low = row.balanced_accuracy_interval[0]
        if row.name.startswith((METADATA, SITE)) and low > 1 / n_classes:
            how = "format, size and encoder" if row.name.startswith(METADATA) else "where patches are from"
            found.append(
                f"the {row.name} alone ({how}) has {row.balanced_accuracy:.3f} balanced accuracy: the "
                "classes were collected in different ways, and a classifier may have learned that."
            )
    return found


def describe_extras(
    inflation: Inflation | None,
    curve: LearningCurve | None,
    probes: tuple[IdentityProbe, ...],
    skipped: list[str],
) -> list[str]:
    """Say what was found beside the scores, and how to find more."""
    notes = [] if inflation is None or inflation.of_these_folds else [inflation.describe()]
    for target in dict.fromkeys(probe.target for probe in probes):
        best = max((p for p in probes if p.target == target), key=lambda p: p.balanced_accuracy)
        notes.append(_describe_probe(best))
    notes += [] if curve is None else curve.advice
    if skipped:
        switches = " and ".join(f"{name}=True" for name in skipped)
        notes.append(f"not measured, since each fit trains anew and may take long: {switches} measures it.")
    return notes


def _describe_probe(probe: IdentityProbe) -> str:
    share, chance = 100 * probe.balanced_accuracy, 100 * probe.chance
    said = (
        f"the {probe.shortcut} names the {probe.target} of {share:.0f} % of patches (chance {chance:.0f} %)"
    )
    if share - chance < _TELLING * (100 - chance):
        return f"{said}."
    if probe.target == "patient":
        return f"{said}: where patients are on both sides of a split, their stain gives the answers away."
    return f"{said}: what differs between sites can be mistaken for tissue."
