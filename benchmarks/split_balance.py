"""How even are folds by patient? StratifiedPatientKFold beside scikit-learn's, medians over seeds.

Cohorts are simulated, a new one for each seed; with DATA, the patients and labels of a folder are split with
each seed as well. No image is read.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _report import print_table, versions, write_json
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from histoclf import StratifiedPatientKFold, find_patches
from histoclf.exceptions import SplitError, UnfairSplitWarning

SPLITTERS: dict[str, Callable[[int, int], Any]] = {
    "StratifiedPatientKFold": lambda k, seed: StratifiedPatientKFold(k, duplicates=None, random_state=seed),
    "StratifiedGroupKFold": lambda k, seed: StratifiedGroupKFold(k, shuffle=True, random_state=seed),
    "GroupKFold": lambda k, seed: GroupKFold(k),  # shuffled, it does not look at sizes
}
MEASURES = ("size", "size, worst", "class shares", "folds lacking a class")


@dataclass(frozen=True)
class Cohort:
    """Labels and patients."""

    y: np.ndarray
    groups: np.ndarray


def simulate(n_patients: int, n_classes: int, confounded: bool, seed: int) -> Cohort:
    """Draw patients of very different size; confounded, each has one class, and each class three at least."""
    generator = np.random.default_rng(seed)
    sizes = np.ceil(200 * np.exp(generator.standard_normal(n_patients))).astype(int)
    if confounded:
        own = np.arange(n_patients) % n_classes
        own[3 * n_classes :] = generator.integers(0, n_classes, max(0, n_patients - 3 * n_classes))
        shares = np.eye(n_classes)[own]
    else:
        shares = generator.dirichlet(np.ones(n_classes), n_patients)
    labels = [generator.choice(n_classes, size, p=share) for size, share in zip(sizes, shares, strict=True)]
    return Cohort(np.concatenate(labels), np.repeat(np.arange(n_patients), sizes))


def read(root: Path) -> Cohort:
    """Take labels and patients from a folder of patches."""
    patches = find_patches(root)
    return Cohort(np.unique(patches.labels, return_inverse=True)[1], patches.groups)


def measure(cohort: Cohort, splitter: Any) -> tuple[float, ...] | None:
    """Compare folds with even ones; None if the splitter refuses.

    Mean and largest distance of a fold's size from an even one, in percent of that; mean distance of the
    shares of the classes in a fold from those of the cohort, in points; folds that lack a class, to test or
    to train.
    """
    n_classes = cohort.y.max() + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnfairSplitWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        try:
            folds = [test for _, test in splitter.split(cohort.y, cohort.y, cohort.groups)]
        except SplitError:
            return None
    counts = np.array([np.bincount(cohort.y[test], minlength=n_classes) for test in folds])
    sizes, total = counts.sum(axis=1), counts.sum(axis=0)
    uneven = np.abs(sizes / sizes.mean() - 1)
    shares = counts / np.maximum(sizes, 1)[:, np.newaxis]
    lacking = ((counts == 0) | (counts == total)).any(axis=1).sum()
    return (
        100 * uneven.mean(),
        100 * uneven.max(),
        100 * np.abs(shares - total / total.sum()).mean(),
        float(lacking),
    )


def compare(make: Callable[[int], Cohort], n_folds: int, n_seeds: int) -> dict[str, list[float]]:
    """Take the medians over seeds; of lacking classes the mean."""
    found = {}
    for name, splitter in SPLITTERS.items():
        measured = [measure(make(seed), splitter(n_folds, seed)) for seed in range(n_seeds)]
        values = np.array([values for values in measured if values is not None])
        found[name] = [*np.median(values[:, :-1], axis=0).tolist(), values[:, -1].mean(), len(values)]
    return found


def cohorts(data: Path | None) -> dict[str, tuple[Callable[[int], Cohort], int]]:
    """Name what is split, and into how many folds."""
    found: dict[str, tuple[Callable[[int], Cohort], int]] = {}
    for confounded, how in ((True, "one class a patient"), (False, "mixed")):
        for n_patients, n_classes, n_folds in ((14, 2, 3), (20, 2, 5), (40, 4, 5), (200, 3, 10)):
            name = f"{n_patients} patients, {n_classes} classes, {how}, {n_folds} folds"
            options = (n_patients, n_classes, confounded)
            found[name] = (lambda seed, options=options: simulate(*options, seed), n_folds)
    if data is not None:
        cohort = read(data)
        for n_folds in (3, 5):
            found[f"{data.name}, {n_folds} folds"] = (lambda seed: cohort, n_folds)
    return found


def main() -> None:
    """Split, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="folder of patches whose names tell patients")
    parser.add_argument("--seeds", type=int, default=50, help="cohorts of each kind")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    arguments = parser.parse_args()
    results = {}
    for name, (make, n_folds) in cohorts(arguments.data).items():
        results[name] = compare(make, n_folds, arguments.seeds)
        print(f"\n{name}")
        rows = [
            [who, f"{v[0]:.1f} %", f"{v[1]:.1f} %", f"{v[2]:.1f}", f"{v[3]:.2f}", f"{v[4]}"]
            for who, v in results[name].items()
        ]
        print_table(["splitter", *MEASURES, "seeds"], rows)
    write_json(arguments.json, {"measures": MEASURES, "results": results, "versions": versions()})


if __name__ == "__main__":
    main()
