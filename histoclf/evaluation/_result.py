"""What an evaluation found, and how it says so."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from histoclf.audit._report import LeakageReport
from histoclf.evaluation._copies import describe_audit
from histoclf.evaluation._curve import LearningCurve
from histoclf.evaluation._identity import IdentityProbe
from histoclf.evaluation._inflation import Inflation
from histoclf.evaluation._paired import Comparison
from histoclf.evaluation._report import write_report
from histoclf.evaluation._rows import Row
from histoclf.evaluation._spread import limits
from histoclf.evaluation._tables import details_table, footnotes, format_p_value, headline_table, wrap


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Result of :func:`histoclf.evaluate`; ``print(evaluation)`` shows the table.

    Parameters
    ----------
    rows : tuple of Row
        The classifier, the shortcuts that it was compared with, and the majority class, in this order. For a
        classifier that looks at neighbours, the shortcuts have the same context.
    comparisons : tuple of Comparison
        The classifier with each of the other rows.
    out_of_fold : dict of str to ndarray of shape (n_samples, n_classes)
        Probabilities by the name of the row; NaN in rows of X that no fold tested.
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the columns.
    y : ndarray of shape (n_samples,)
        True labels.
    groups : ndarray of shape (n_samples,) or None
        Patients.
    folds : ndarray of shape (n_samples,), int
        Number of the fold that tested each sample, from 0; -1 for none.
    fit_times : tuple of float
        Seconds that the fit of each fold took.
    warnings : tuple of str
        What to know before believing the numbers, in words.
    training_score : float
        Balanced accuracy of the classifier on what it learned from; mean over the folds.
    inflation : Inflation or None
        What a random split would have claimed; None if it was not run.
    learning_curve : LearningCurve or None
        Scores with parts of the training data; None if it was not run.
    identity : tuple of IdentityProbe
        How well colour tells which patient, and which site, a patch is from.
    notes : tuple of str
        What else was found, or was not looked for, in words.
    settings : dict of str to (str, int or None)
        Seed, folds, classifier and versions, to repeat it.
    audit : LeakageReport or None
        Which patients and which copies of patches are on both sides of the folds; None if copies were not
        looked for.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from histoclf import evaluate, make_patches
    >>> made = make_patches(n_patients=4, patches_per_patient=10, image_size=16, random_state=0)
    >>> evaluation = evaluate(DummyClassifier(), made.images, made.labels, groups=made.groups, cv=2)
    >>> evaluation.probabilities.shape, evaluation.rows[0].name
    ((40, 2), 'DummyClassifier')
    >>> evaluation.beats_shortcuts
    False
    """

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    out_of_fold: dict[str, np.ndarray]
    classes: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None
    folds: np.ndarray
    fit_times: tuple[float, ...]
    warnings: tuple[str, ...]
    training_score: float = math.nan
    inflation: Inflation | None = None
    learning_curve: LearningCurve | None = None
    identity: tuple[IdentityProbe, ...] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    audit: LeakageReport | None = None

    @property
    def model(self) -> Row:
        """Row of the classifier."""
        return self.rows[0]

    @property
    def probabilities(self) -> np.ndarray:
        """Out-of-fold probabilities of the classifier, shape (n_samples, n_classes)."""
        return self.out_of_fold[self.model.name]

    @property
    def value_added(self) -> Comparison:
        """Comparison with the best shortcut, by balanced accuracy."""
        return min(self.comparisons, key=lambda comparison: comparison.difference)

    @property
    def beats_shortcuts(self) -> bool:
        """Whether the classifier is better than every shortcut by more than chance.

        Each of them is tested at 5 %. As all tests must say so, no correction for their number is needed (R.
        L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982).
        """
        return all(comparison.is_better for comparison in self.comparisons)

    @property
    def verdict(self) -> str:
        """Whether the classifier found more than shortcuts tell, in words."""
        model, found = self.model, self.value_added
        second = next(row for row in self.rows if row.name == found.second)
        best = f"the best of {len(self.comparisons)} baselines, the {second.name}"
        if len(self.comparisons) == 1:
            best = f"the {second.name}"
        if not found.difference > 0:
            return (
                f"{model.name} does NOT beat {best}: balanced accuracy {model.balanced_accuracy:.3f} against "
                f"{second.balanced_accuracy:.3f}."
            )
        said = f"{model.name} adds {100 * found.difference:.1f} points of balanced accuracy to {best}"
        if math.isnan(found.interval[0]):
            return f"{said}, on too few {self._units} for an interval: that may be chance."
        facts = f"({limits(found.interval)}, p = {format_p_value(found.p_value)})"
        if self.beats_shortcuts:
            return f"{said} {facts}, and beats each of them by more than chance."
        return f"{said} {facts}: that may be chance."

    @property
    def summary(self) -> str:
        """What was evaluated, in words."""
        known = "patients unknown" if self.groups is None else f"{self._n_patients} patients"
        tested = int((self.folds >= 0).sum())
        return (
            f"{tested:,} patches, {len(self.classes)} classes, {known}; {len(self.fit_times)} folds, "
            f"{sum(self.fit_times):.0f} s of training; {describe_audit(self.audit)}"
        )

    def to_text(self, *, details: bool = False) -> str:
        """Write the table for people, at most 100 columns wide where names are short.

        Parameters
        ----------
        details : bool, default=False
            Whether to add a second table, with the scores that need a threshold or judge probabilities.

        Returns
        -------
        text : str
            Several lines.
        """
        known = self.groups is not None
        lines = [self.summary, "", *headline_table(self.rows, known), ""]
        if details:
            lines += [*details_table(self.rows), ""]
        lines += wrap(footnotes(self.rows, self._n_patients, self.classes if details else None))
        lines += ["", *wrap([self.verdict]), *wrap(f"- {note}" for note in self.notes)]
        return "\n".join([*lines, *wrap(f"Warning: {text}" for text in self.warnings)])

    def to_dict(self) -> dict[str, Any]:
        """Return the scores and how they came about, as JSON takes them.

        Returns
        -------
        content : dict
            Of strings, numbers, lists and None (what is not defined); single patches are left out.
        """
        added = self.value_added
        content = {
            "n_patches": len(self.y),
            "n_patients": self._n_patients,
            "classes": self.classes.tolist(),
            "n_folds": len(self.fit_times),
            "fit_seconds": list(self.fit_times),
            "test_patients": self._test_patients,
            "settings": self.settings,
            "rows": [row.to_dict() for row in self.rows],
            "compared_with": added.second,
            "value_added": added.difference,
            "value_added_interval": list(added.interval),
            "value_added_p_value": added.p_value,
            "beats_shortcuts": self.beats_shortcuts,
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "training_balanced_accuracy": self.training_score,
            "training_gap": self.training_score - self.model.balanced_accuracy,
            "estimated_inflation": None if self.inflation is None else self.inflation.to_dict(),
            "learning_curve": None if self.learning_curve is None else self.learning_curve.to_dict(),
            "audit": None if self.audit is None else self.audit.to_dict(),
            "identity": [probe.to_dict() for probe in self.identity],
            "verdict": self.verdict,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }
        return without_nan(content)

    def to_html(
        self,
        path: str | os.PathLike[str],
        X: Any = None,
        *,
        coords: Any = None,
        title: str | None = None,
        max_items: int = 24,
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        """Write a page with all of it: words first, then tables, figures, and how it was made.

        The file holds everything it shows and asks nothing of any network. Names of patients are in it, and
        of files if X has some, and pictures of up to six pairs of copies that cross the folds. All figures
        show the out-of-fold probabilities; nothing is fitted.

        Parameters
        ----------
        path : str or path-like
            HTML file to write; an existing one is replaced.
        X : array-like of n_samples rows, default=None
            The X that was evaluated: paths, images, or flattened images beside `image_shape`. The most
            confident errors are shown from it. None leaves these out.
        coords : array-like of shape (n_samples, 2), default=None
            Position of each patch on its patient's slide, for maps of up to eight slides. None reads them
            from the paths in X, and leaves maps out if they do not tell.
        title : str, default=None
            Heading of the page; None names the classifier.
        max_items : int, default=24
            Number of errors shown, at most.
        image_shape : tuple of (int, int, int), default=None
            Height, width and channels of flattened images.

        Raises
        ------
        ValueError
            If X has another number of rows or holds no images, or `coords` do not fit.
        MissingDependencyError
            If Jinja or matplotlib is not installed: ``pip install "histoclf[report]"``.

        Examples
        --------
        >>> from sklearn.dummy import DummyClassifier
        >>> from histoclf import evaluate, make_patches
        >>> made = make_patches(n_patients=4, patches_per_patient=10, image_size=16, random_state=0)
        >>> evaluation = evaluate(DummyClassifier(), made.images, made.labels, groups=made.groups, cv=2)
        >>> evaluation.to_html("report.html", made.images, coords=made.coords)  # doctest: +SKIP
        """
        title = f"Evaluation of {self.model.name}" if title is None else title
        write_report(self, path, X, coords, title, max_items, image_shape)

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    @property
    def _n_patients(self) -> int | None:
        return None if self.groups is None else len(np.unique(self.groups))

    @property
    def _test_patients(self) -> list[list[str]] | None:
        """Name the patients whom each fold tested."""
        if self.groups is None:
            return None
        tested = [self.groups[self.folds == number] for number in range(len(self.fit_times))]
        return [np.unique(patients).astype(str).tolist() for patients in tested]

    @property
    def _units(self) -> str:
        return "patches" if self.groups is None else "patients"


def without_nan(content: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(content, dict):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    if isinstance(content, float):
        return None if math.isnan(content) else float(content)
    return content
