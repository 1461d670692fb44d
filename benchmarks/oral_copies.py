"""Precision and recall of the audit on the published split of the oral cancer set, against pairs looked at.

``oral_copies.csv`` beside this script holds 345 pairs of a training and a test image that were looked
at, with the verdict: "copy" (the same tissue, at least 44 % of the image), "neighbour" (another field
of the slide that shares up to 35 %) or "different". They were proposed by a search that has nothing in common
with the audit: every one of the 40,512 pairs was correlated, windows of the one image in 96 directions, 7
stretches and 5 places against all places of the other, and the best ones registered by Powell's method. What
the audit itself proposes was added, and what follows from it: copies of one image. Neither names nor labels
were used. Neighbours count neither for nor against the audit.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

from _report import print_table, versions, write_json

from histoclf import audit_split, find_patches

Pair = tuple[str, str]
TRUTH = Path(__file__).with_name("oral_copies.csv")


def read_verdicts() -> dict[Pair, str]:
    """Read the verdict of each pair of files, named from the folder of the set."""
    with TRUTH.open(encoding="utf-8", newline="") as file:
        return {(row["train"], row["test"]): row["verdict"] for row in csv.DictReader(file)}


def find_pairs(folder: Path) -> set[Pair]:
    """Audit the published split."""
    train, test = (find_patches(folder / part, groups=None).paths for part in ("train", "test"))
    report = audit_split(train, test)
    pairs = (*report.exact_duplicates, *report.near_duplicates)
    return {
        (Path(one).relative_to(folder).as_posix(), Path(other).relative_to(folder).as_posix())
        for one, other, _ in pairs
    }


def main() -> None:
    """Compare what the audit finds with the verdicts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the set, with train/ and test/")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args()
    verdicts, found = read_verdicts(), find_pairs(arguments.data)
    copies = {pair for pair, verdict in verdicts.items() if verdict == "copy"}
    wrong = {pair for pair in found if verdicts.get(pair, "never looked at") != "copy"}
    wrong -= {pair for pair in wrong if verdicts.get(pair) == "neighbour"}
    results = {
        "looked at": dict(Counter(verdicts.values())),
        "found": len(found),
        "precision": 1 - len(wrong) / max(len(found), 1),
        "recall": len(found & copies) / len(copies),
        "wrong": sorted(wrong),
        "missed": sorted(copies - found),
    }
    print_table(
        ["pairs looked at", *results["looked at"], "found", "precision", "recall"],
        [
            [
                str(len(verdicts)),
                *map(str, results["looked at"].values()),
                str(len(found)),
                f"{results['precision']:.3f}",
                f"{results['recall']:.3f}",
            ]
        ],
    )
    for name in ("wrong", "missed"):
        for pair in results[name]:
            print(f"{name}: {' and '.join(pair)}")
    write_json(arguments.json, {"versions": versions(), **results})


if __name__ == "__main__":
    main()
