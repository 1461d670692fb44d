"""The sheet on which someone who knows decides about doubtful labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from histoclf.classifiers._label_corrections import COLUMNS, DECISIONS
from histoclf.report._template import render_template


@dataclass(frozen=True)
class Card:
    """One patch to decide about.

    Attributes
    ----------
    item : str
        What it is called in the exported file.
    name : str
        What it is called on the sheet.
    given, suggested : str
        Labels.
    picture : str or None
        As ``data:image/...``; None if there is none.
    facts : sequence of (str, str)
        Names and values to print beside the picture.
    """

    item: str
    name: str
    given: str
    suggested: str
    picture: str | None
    facts: Sequence[tuple[str, str]]


def render_review_sheet(
    title: str, cards: Sequence[Card], classes: Sequence[str], summary: str = "", warnings: Sequence[str] = ()
) -> str:
    """Write the sheet.

    Parameters
    ----------
    title : str
        Heading.
    cards : sequence of Card
        In the order to look at them.
    classes : sequence of str
        Labels to choose from.
    summary : str, default=""
        A sentence or two below the heading.
    warnings : sequence of str, default=()
        What to know before deciding.

    Returns
    -------
    html : str
        One file's content, with the script that keeps and exports the decisions.

    Raises
    ------
    MissingDependencyError
        If Jinja is not installed.
    """
    return render_template(
        "review.html.jinja",
        title=title,
        script="review.js",
        cards=cards,
        classes=classes,
        columns=",".join(COLUMNS),
        decisions=DECISIONS,
        summary=summary,
        warnings=warnings,
        review=_name([(card.item, card.given) for card in cards]),
    )


def _name(content: object) -> str:
    """Name a review by what is asked, so that the browser keeps the decisions of each apart."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
