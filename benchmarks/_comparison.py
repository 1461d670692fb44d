"""One line of what the suite reports: we and a peer at the same work, round by round, and the bar."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from _report import machine, print_table, spread, versions, write_json


@dataclass(frozen=True)
class Comparison:
    """What was measured of one piece of work, of us and of one peer.

    Attributes
    ----------
    work : str
        What both did, with its size: "decode and resize, 2,000 PNGs of 50 px".
    peer : str
        Whom we are compared with; "a bar" of seconds or megabytes has no peer, and `theirs` is empty.
    unit : str
        Of `ours` and `theirs`: "patches/s", "s", "MB".
    ours, theirs : list of float
        One number for each round; the rounds alternate.
    bar : str
        "at least 1.5" or "at most 1.05", of the ratio ours / theirs, or of ours where there is no peer; "" if
        there is none.
    note : str
        What a reader must know: the limit that explains a miss, versions, accuracy beside speed.
    """

    work: str
    peer: str
    unit: str
    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    bar: str = ""
    note: str = ""

    @property
    def values(self) -> list[float]:
        """What the bar is about: the rounds' ratios, or our numbers where there is no peer."""
        if not self.theirs:
            return self.ours
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def limit(self) -> float:
        """The number in `bar`."""
        return float(self.bar.removeprefix("at least ").removeprefix("at most "))

    @property
    def verdict(self) -> str:
        """Say whether the median is within the bar: "met", "missed", or "" without a bar."""
        if not self.bar:
            return ""
        value = median(self.values)
        met = value <= self.limit if self.bar.startswith("at most ") else value >= self.limit
        return "met" if met else "missed"


def report(path: Path | None, comparisons: list[Comparison], **more: Any) -> None:
    """Print the comparisons, and write them, with machine and versions, as JSON that the suite reads."""
    print_comparisons(comparisons)
    found = [{**asdict(each), "verdict": each.verdict} for each in comparisons]
    write_json(path, {"comparisons": found, **more, "machine": machine(), "versions": versions()})


def print_comparisons(comparisons: list[Comparison]) -> None:
    """Print one line each: both medians, the ratio with its smallest and largest round, bar and verdict."""
    rows = [
        [
            each.work,
            each.peer,
            f"{median(each.ours):.4g} {each.unit}",
            f"{median(each.theirs):.4g} {each.unit}" if each.theirs else "",
            spread(each.values, 3) if each.theirs else "",
            f"{each.bar} {each.verdict}".strip(),
        ]
        for each in comparisons
    ]
    print_table(["work", "peer", "ours", "theirs", "ours / theirs", "bar"], rows)
    for each in comparisons:
        if each.note:
            print(f"  {each.work}, {each.peer}: {each.note}")
