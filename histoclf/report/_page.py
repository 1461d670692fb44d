"""What a page is made of, and the page: titled sections of text, tables, figures and warnings.

Other rooms describe what they found in these terms, and know nothing of HTML:

>>> from histoclf.report._page import Notice, Section, Table, Text, render_page
>>> scores = Table(("", "balanced accuracy"), [("model", 0.84), ("mean colour", 0.83)], caption="Scores")
>>> html = render_page("Evaluation", [Section("Result", [Text("14 patients."), scores, Notice("Few
patients.")])])
>>> html.count("<table"), "<h2" in html, "http" in html
(1, True, False)
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from histoclf.io._atomic import write_atomically
from histoclf.report._template import render_template


@dataclass(frozen=True)
class Text:
    """Paragraphs, separated by blank lines."""

    kind: ClassVar[str] = "text"
    text: str

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs one by one."""
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


@dataclass(frozen=True)
class Table:
    """A table whose first row and first column name the others.

    Attributes
    ----------
    header : sequence of str
        Names of the columns; the first may be empty.
    rows : sequence of sequences
        Cells as they are to be read, strings as a rule, which may have several lines; numbers are set to the
        right.
    caption : str
        What the table shows.
    """

    kind: ClassVar[str] = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture, in the page itself.

    Attributes
    ----------
    source : str
        The picture as ``data:image/...``, from `to_data_uri` or `make_thumbnails`.
    alt : str
        What it shows, for those who cannot see it; all that matters in it.
    caption : str
        Printed below it.
    """

    kind: ClassVar[str] = "figure"
    source: str
    alt: str
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.source.startswith("data:image/"):
            raise ValueError(
                f"The source of a figure is {self.source[:40]!r}. Expected 'data:image/...', from "
                "to_data_uri or make_thumbnails: a page must hold its pictures itself."
            )


@dataclass(frozen=True)
class Gallery:
    """Pictures beside each other: small ones, or `large` ones of which two fit."""

    kind: ClassVar[str] = "gallery"
    figures: Sequence[Figure]
    large: bool = False


@dataclass(frozen=True)
class Notice:
    """A sentence that must not be overlooked; `title` says what it is."""

    kind: ClassVar[str] = "notice"
    text: str
    title: str = "Warning"


@dataclass(frozen=True)
class Section:
    """A heading and what is below it, which may be sections again.

    Attributes
    ----------
    title : str
        The heading.
    blocks : sequence of Text, Table, Figure, Gallery, Notice or Section
        In the order of the page.
    """

    kind: ClassVar[str] = "section"
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


Block = Text | Table | Figure | Gallery | Notice | Section


def render_page(title: str, sections: Sequence[Section], *, summary: str = "", language: str = "en") -> str:
    """Write a page of sections.

    Parameters
    ----------
    title : str
        Of the page.
    sections : sequence of Section
        Its content.
    summary : str, default=""
        A sentence or two below the title.
    language : str, default="en"
        Of the text, as a BCP 47 tag.

    Returns
    -------
    html : str
        One file's content: style and pictures are in it, there is no script, and a browser is told to load
        nothing else.

    Raises
    ------
    MissingDependencyError
        If Jinja is not installed.
    """
    return render_template(
        "sections.html.jinja", title=title, language=language, summary=summary, sections=sections
    )


def write_page(path: str | os.PathLike[str], html: str) -> None:
    """Write a page to a file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        File to write; an existing one is replaced.
    html : str
        From `render_page`.
    """
    # A file name may hold bytes that are no text; the page shows them as question marks.
    write_atomically(path, html.encode("utf-8", "replace"))


def to_data_uri(data: bytes, media_type: str) -> str:
    """Turn the content of a picture into the address of a `Figure`.

    Parameters
    ----------
    data : bytes
        Content of the file.
    media_type : str
        Such as "image/png" or "image/svg+xml".

    Returns
    -------
    address : str
        ``data:`` and the content.
    """
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
