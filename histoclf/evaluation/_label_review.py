"""Doubtful labels, and the sheet on which a pathologist decides."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf.classifiers._label_corrections import COLUMNS, protect_cell
from histoclf.io._atomic import write_atomically
from histoclf.io._items import is_content
from histoclf.report._page import write_page
from histoclf.report._review_sheet import Card, render_review_sheet
from histoclf.report._thumbnails import make_thumbnails

CONFLICT = "duplicates with different labels"
UNLIKELY = "another class is more likely"


@dataclass(frozen=True)
class LabelIssue:
    """One doubtful label.

    Parameters
    ----------
    row : int
        Row of X.
    item : str
        Path of the image, or a name made from its content.
    patient : str or None
        As in `groups`.
    given : object
        Its label.
    suggested : object
        The label that most of its duplicates have, or the most probable one. For one member of a conflict it
        may be the given one.
    self_confidence : float
        Out-of-fold probability of the given label, in 0-1; NaN if not tested.
    normalized_margin : float
        By how much the given label leads the best other one, mapped from -1 to 1 to 0-1.
    reason : str
        Why it is listed.
    duplicates : tuple of int
        Rows that show the same.

    Examples
    --------
    >>> from histoclf.evaluation import LabelIssue
    >>> LabelIssue(7, "a.png", "P1", "benign", "malignant", 0.1, 0.1, "another class is more likely").row
    7
    """

    row: int
    item: str
    patient: str | None
    given: Any
    suggested: Any
    self_confidence: float
    normalized_margin: float
    reason: str
    duplicates: tuple[int, ...] = ()


@dataclass(frozen=True, repr=False)
class LabelReview:
    """Result of :func:`histoclf.review_labels`: the doubtful labels, the most doubtful ones first.

    Parameters
    ----------
    issues : tuple of LabelIssue
        Conflicts between duplicates, then what confident learning found.
    classes : ndarray of shape (n_classes,)
        Labels.
    n_samples : int
        Number of all samples.
    n_patients : int or None
        Number of all patients.
    confident_joint : ndarray of shape (n_classes, n_classes), int
        Estimated number of samples by given label (row) and true label (column).
    warnings : tuple of str
        What to know before believing it, in words.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf import review_labels
    >>> y = np.repeat(["benign", "malignant"], 20)
    >>> probabilities = np.where(y[:, None] == ["benign", "malignant"], 0.9, 0.1)
    >>> y[3] = "malignant"
    >>> review = review_labels(probabilities, np.arange(40.0)[:, None], y, groups=np.arange(40) // 4)
    >>> [(issue.row, issue.given, issue.suggested) for issue in review.issues]
    [(3, 'malignant', 'benign')]
    """

    issues: tuple[LabelIssue, ...]
    classes: np.ndarray
    n_samples: int
    n_patients: int | None
    confident_joint: np.ndarray
    warnings: tuple[str, ...]

    def to_text(self) -> str:
        """Say in a few lines what was found.

        Returns
        -------
        text : str
            Several lines, with the first ten issues.
        """
        lines = [self._summary(), *(f"Warning: {text}" for text in self.warnings)]
        for issue in self.issues[:10]:
            perhaps = "right" if issue.suggested == issue.given else issue.suggested
            lines.append(f"  {issue.item}: {issue.given}, perhaps {perhaps} ({issue.reason})")
        if len(self.issues) > 10:
            lines.append(f"  ... and {len(self.issues) - 10:,} more")
        return "\n".join(lines)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the list for a spreadsheet, with an empty column for the decisions.

        Decisions are "keep", "relabel", with the label in ``new_label``, or "drop"; empty is undecided.
        `LabelCorrections.from_csv` reads it back. A cell that a spreadsheet would compute, as it begins with
        "=", "+", "-" or "@", has a quote before it.

        Parameters
        ----------
        path : str or path-like
            File to write; an existing one is replaced.
        """
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow([*COLUMNS, "suggested_label", "normalized_margin"])
        for issue in self.issues:
            margin = "" if np.isnan(issue.normalized_margin) else f"{issue.normalized_margin:.4f}"
            item, given, suggested = (
                protect_cell(str(text)) for text in (issue.item, issue.given, issue.suggested)
            )
            table.writerow([item, given, "", "", suggested, margin])
        write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))

    def to_html(
        self,
        path: str | os.PathLike[str],
        X: Any,
        *,
        max_items: int = 200,
        image_shape: tuple[int, int, int] | None = None,
        title: str = "Label review",
    ) -> None:
        """Write a sheet of pictures on which someone decides: keep, relabel or drop.

        The file holds everything it needs and asks nothing of any network. It keeps the decisions in the
        browser where that is allowed, and its button exports them as CSV for `LabelCorrections.from_csv`.
        File names, and so perhaps names of patients, are in it.

        Parameters
        ----------
        path : str or path-like
            HTML file to write; an existing one is replaced.
        X : array-like of n_samples rows
            The X that was reviewed: paths, images, or flattened images.
        max_items : int, default=200
            Number of issues shown, the first ones; a sheet of 200 has one or two megabytes.
        image_shape : tuple of (int, int, int), default=None
            Height, width and channels of flattened images.
        title : str, default="Label review"
            Heading of the sheet.

        Raises
        ------
        ValueError
            If X has another number of rows, or holds no images.
        MissingDependencyError
            If Jinja is not installed.
        """
        if len(X) != self.n_samples:
            raise ValueError(f"X has {len(X)} rows. Expected the {self.n_samples} that were reviewed.")
        shown = self.issues[:max_items]
        pictures = make_thumbnails(X, [issue.row for issue in shown], image_shape=image_shape)
        names = {issue.row: _name(issue) for issue in self.issues}
        cards = [_card(issue, picture, names) for issue, picture in zip(shown, pictures, strict=True)]
        summary = self._summary()
        if len(shown) < len(self.issues):
            summary += f" The first {len(shown)} are shown."
        html = render_review_sheet(
            title, cards, [str(name) for name in self.classes.tolist()], summary, self.warnings
        )
        write_page(path, html)

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def _summary(self) -> str:
        counts = Counter(issue.reason for issue in self.issues)
        patients = "" if self.n_patients is None else f" of {self.n_patients:,} patients"
        n_likely_right = int(np.trace(self.confident_joint))
        share = 1 - n_likely_right / max(1, int(self.confident_joint.sum()))
        return (
            f"{len(self.issues):,} of {self.n_samples:,} labels{patients} are doubtful: "
            f"{counts[CONFLICT]:,} of duplicates with different labels, {counts[UNLIKELY]:,} where another "
            f"class is more likely. Estimated share of wrong labels: {100 * share:.1f} %, if the classifier "
            "errs only where labels do."
        )


def _name(issue: LabelIssue) -> str:
    return f"row {issue.row}" if is_content(issue.item) else os.path.basename(issue.item)


def _card(issue: LabelIssue, picture: str | None, names: dict[int, str]) -> Card:
    facts = [("Reason", issue.reason)]
    if issue.patient is not None:
        facts.append(("Patient", issue.patient))
    if not np.isnan(issue.self_confidence):
        facts.append((f"Probability of {issue.given}", f"{100 * issue.self_confidence:.0f} %"))
    if issue.duplicates:
        facts.append(("Same as", ", ".join(names[row] for row in issue.duplicates)))
    return Card(issue.item, names[issue.row], str(issue.given), str(issue.suggested), picture, facts)
