"""What an audit found, in words and as a page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from histoclf.report._page import Figure, Gallery, Notice, Section, Table, Text, render_page, write_page
from histoclf.report._thumbnails import make_thumbnails

_SHOWN = 5  # of a kind, in the summary

Pair = tuple[Any, Any, float]


@dataclass(frozen=True)
class LeakageReport:
    """What stands on both sides of a split; ``print(report)`` says it in words.

    Parameters
    ----------
    protocol : str
        What was audited.
    shared_groups : tuple
        Patients on both sides.
    exact_duplicates : tuple of (train item, test item, similarity)
        Images on both sides, the same to the last bit. Items are paths, or row numbers where images came as
        arrays; similarity is 1.
    near_duplicates : tuple of (train item, test item, similarity)
        Images on one side of which a changed copy is on the other.
    label_conflicts : tuple of (item, item, label, label)
        Copies that have different labels, wherever they stand.
    n_images : int
        Images compared.
    n_groups : int or None
        Patients; None if unknown.
    n_blank : int
        Images that show nothing: no copies are looked for of them.
    n_copies : int
        Images on either side that have a copy on the other.

    Examples
    --------
    >>> from histoclf import audit_split, make_patches
    >>> made = make_patches(n_patients=4, patches_per_patient=5, random_state=0)
    >>> report = audit_split(
    ...     made.images[:8], made.images[8:], train_groups=made.groups[:8], test_groups=made.groups[8:]
    ... )
    >>> print(report)
    LEAKAGE in 8 images to train on, 12 to test on: 1 of 4 patients on both sides.
    Patients on both sides: P02. Split by patient, such as with StratifiedGroupKFold.
    """

    protocol: str
    shared_groups: tuple[Any, ...]
    exact_duplicates: tuple[Pair, ...]
    near_duplicates: tuple[Pair, ...]
    label_conflicts: tuple[tuple[Any, Any, Any, Any], ...]
    n_images: int
    n_groups: int | None
    n_blank: int
    n_copies: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found on both sides. Label conflicts do not count: they are no leak."""
        return not (self.shared_groups or self.exact_duplicates or self.near_duplicates)

    def summary(self) -> str:
        """Say in words what was found, and what to do about it.

        Returns
        -------
        text : str
            A line for each finding.
        """
        return "\n".join([self._headline(), *self._findings()])

    __str__ = summary

    def to_dict(self) -> dict[str, Any]:
        """Return everything that was found, as JSON takes it.

        Returns
        -------
        content : dict
            The fields, and "ok".
        """
        return {"ok": self.ok, **asdict(self)}

    def to_html(
        self,
        path: str | os.PathLike[str],
        train: Any = None,
        test: Any = None,
        *,
        max_pairs: int = 60,
        title: str = "Leakage audit",
    ) -> None:
        """Write a page with pictures of the copies.

        Parameters
        ----------
        path : str or path-like
            HTML file to write; an existing one is replaced. It holds everything it needs.
        train, test : array-like, default=None
            The images that were audited, if they came as arrays: the report holds no pixels. Of a
            cross-validation, only the first.
        max_pairs : int, default=60
            Number of pairs of each kind that are shown, the most similar ones first.
        title : str, default="Leakage audit"
            Heading of the page.

        Raises
        ------
        MissingDependencyError
            If Jinja is not installed.
        """
        draw = _Pictures(train, train if test is None else test, self._name)
        sections = [Section("What was found", [Text("\n\n".join(self._findings())), *self._notices()])]
        if self.shared_groups:
            rows = [(str(group),) for group in self.shared_groups]
            sections.append(Section("Patients on both sides", [Table(("patient",), rows)]))
        for name, pairs in (
            ("Exact copies", self.exact_duplicates),
            ("Changed copies", self.near_duplicates),
        ):
            if pairs:
                best = sorted(pairs, key=lambda pair: -pair[2])[:max_pairs]
                shown = [(one, other, f"similarity {alike:.2f}") for one, other, alike in best]
                sections.append(Section(f"{name} ({len(pairs):,})", list(draw(shown))))
        if self.label_conflicts:
            shown = [(a, b, f"labels {la} and {lb}") for a, b, la, lb in self.label_conflicts[:max_pairs]]
            title_of = f"Copies with different labels ({len(self.label_conflicts):,})"
            sections.append(Section(title_of, list(draw(shown))))
        write_page(path, render_page(title, sections, summary=self._headline()))

    def _headline(self) -> str:
        if self.ok:
            known = "" if self.n_groups is None else f", and none of {self.n_groups} patients"
            return f"No leakage found in {self.protocol}: no copies{known} on both sides."
        found = []
        if self.shared_groups:
            found.append(f"{len(self.shared_groups):,} of {self.n_groups:,} patients on both sides")
        if self.n_copies:
            share = 100 * self.n_copies / self.n_images
            found.append(f"{self.n_copies:,} images ({share:.0f} %) have a copy on the other side")
        return f"LEAKAGE in {self.protocol}: {'; '.join(found)}."

    def _findings(self) -> list[str]:
        found = []
        if self.shared_groups:
            found.append(
                f"Patients on both sides: {_listed(self.shared_groups)}. Split by patient, such as with "
                "StratifiedGroupKFold."
            )
        for what, pairs in (("Exact", self.exact_duplicates), ("Changed", self.near_duplicates)):
            if pairs:
                named = [
                    f"{self._name(one)} and {self._name(other)} ({alike:.2f})" for one, other, alike in pairs
                ]
                found.append(
                    f"{what} copies, {len(pairs):,} pairs: {_listed(named)}. Keep one of each cluster of "
                    "copies (find_duplicates), or the whole cluster on one side."
                )
        if self.label_conflicts:
            named = [
                f"{self._name(a)} ({la}) and {self._name(b)} ({lb})" for a, b, la, lb in self.label_conflicts
            ]
            found.append(
                f"Copies with different labels, {len(named):,} pairs: {_listed(named)}. At least one of two "
                "is wrong."
            )
        if self.n_groups is None:
            found.append(
                "Patients are unknown: whether they are on both sides was not looked at. Pass groups."
            )
        if self.n_blank:
            found.append(f"{self.n_blank:,} images are blank, and were not looked for copies of.")
        return found

    @cached_property
    def _folder(self) -> str:
        """The folder that all files named here are in."""
        pairs = (*self.exact_duplicates, *self.near_duplicates, *self.label_conflicts)
        files = [item for pair in pairs for item in pair[:2] if isinstance(item, str)]
        try:
            return os.path.join(os.path.commonpath(map(os.path.dirname, files)), "") if files else ""
        except ValueError:  # on several drives, or some absolute and some not
            return ""

    def _name(self, item: Any) -> str:
        return str(item).removeprefix(self._folder)

    def _notices(self) -> list[Notice]:
        return [] if self.ok else [Notice("A score on this split says little about new patients.", "Leakage")]


class _Pictures:
    """Draws pairs of items side by side."""

    def __init__(self, train: Any, test: Any, name: Callable[[Any], str]) -> None:
        self._images, self._name = (train, test), name

    def __call__(self, pairs: list[tuple[Any, Any, str]]) -> Iterator[Gallery | Text]:
        for one, other, caption in pairs:
            drawn = [
                self._draw(item, images, caption)
                for item, images in zip((one, other), self._images, strict=True)
            ]
            if all(drawn):
                yield Gallery([figure for figure in drawn if figure])
            else:
                yield Text(f"{self._name(one)} and {self._name(other)}: {caption}")

    def _draw(self, item: Any, images: Any, caption: str) -> Figure | None:
        if isinstance(item, str):
            (source,) = make_thumbnails([item], [0])
        elif images is None:
            return None
        else:
            (source,) = make_thumbnails(images, [item])
        name = self._name(item)
        return None if source is None else Figure(source, f"Patch {name}, {caption}", f"{name}: {caption}")


def _listed(items: Any) -> str:
    more = f", and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(str(item) for item in items[:_SHOWN]) + more
