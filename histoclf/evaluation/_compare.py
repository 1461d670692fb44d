"""Several classifiers on the same folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from histoclf.evaluation._paired import LEVEL, Comparison, compare_rows
from histoclf.evaluation._result import Evaluation, without_nan
from histoclf.evaluation._rows import Row, make_rows, spread_of_patches
from histoclf.evaluation._spread import limits
from histoclf.evaluation._tables import footnotes, format_p_value, headline_table, wrap


@dataclass(frozen=True, repr=False)
class EvaluationComparison:
    """Result of :func:`histoclf.compare`; ``print(comparison)`` shows the tables.

    Parameters
    ----------
    rows : tuple of Row
        The classifiers, the best first.
    comparisons : tuple of Comparison
        Each with each of the later ones.
    n_patients : int or None
        How many patients there are.

    Examples
    --------
    >>> from histoclf.evaluation import EvaluationComparison, Row
    >>> rows = (Row("net", 0.9, 0.95), Row("colour", 0.8, 0.9))
    >>> EvaluationComparison(rows, (), 14).to_dict()["rows"][0]["name"]
    'net'
    """

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    n_patients: int | None

    def to_text(self) -> str:
        """Write the tables for people.

        Returns
        -------
        text : str
            Several lines.
        """
        n = len(self.comparisons)
        counted = "1 comparison" if n == 1 else f"{n} comparisons"
        note = f"p-values are of a sign-flip test over patients, adjusted for {counted} (Holm)."
        lines = [*headline_table(self.rows, self.n_patients is not None), ""]
        lines += wrap(f"- {_describe(comparison)}" for comparison in self.comparisons)
        return "\n".join([*lines, "", *wrap([*footnotes(self.rows, self.n_patients, None), note])])

    def to_dict(self) -> dict[str, Any]:
        """Return scores and differences, as JSON takes them.

        Returns
        -------
        content : dict
            Of strings, numbers, lists and None.
        """
        content = {
            "n_patients": self.n_patients,
            "rows": [row.to_dict() for row in self.rows],
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
        }
        return without_nan(content)

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__


def compare(evaluations: Mapping[str, Evaluation] | Sequence[Evaluation]) -> EvaluationComparison:
    """Compare classifiers that were evaluated on the same patches in the same folds.

    Parameters
    ----------
    evaluations : dict of str to Evaluation, or sequence of Evaluation
        At least two. Without names they have those of their classifiers, which must then differ.

    Returns
    -------
    comparison : EvaluationComparison
        Scores, and the difference of each to each, with 95 % intervals over patients, and p-values that are
        adjusted for how many comparisons there are.

    Raises
    ------
    ValueError
        If the evaluations are of other labels, patients or folds; the message says which.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from histoclf import compare, evaluate, make_patches
    >>> made = make_patches(n_patients=6, patches_per_patient=10, image_size=16, random_state=0)
    >>> X = made.images.reshape(60, -1) / 255
    >>> models = LogisticRegression(max_iter=2000), DummyClassifier()
    >>> found = [evaluate(model, X, made.labels, groups=made.groups, cv=2) for model in models]
    >>> compare(found).comparisons[0].second
    'DummyClassifier'
    """
    named = _name(evaluations)
    first = next(iter(named.values()))
    for name, other in named.items():
        _refuse_others(first, other, next(iter(named)), name)
    ranked = sorted(named, key=lambda name: -named[name].model.balanced_accuracy)
    tested = first.folds >= 0
    codes = np.searchsorted(first.classes, first.y[tested])
    patients = None if first.groups is None else first.groups[tested]
    seed = first.settings.get("random_state", 0)
    answers = {name: named[name].probabilities[tested] for name in ranked}
    spread = spread_of_patches(list(answers.values()), codes, patients, seed)
    pairs = list(combinations(range(len(ranked)), 2))
    return EvaluationComparison(
        make_rows(answers, spread, codes, patients, seed),
        compare_rows(answers, pairs, spread, codes, patients, seed),
        None if patients is None else len(np.unique(patients)),
    )


def _name(evaluations: Mapping[str, Evaluation] | Sequence[Evaluation]) -> dict[str, Evaluation]:
    if isinstance(evaluations, Mapping):
        named = dict(evaluations)
    else:
        names = [evaluation.model.name for evaluation in evaluations]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(
                f"{len(names)} evaluations have the name {', '.join(twice)} more than once. Expected a dict "
                "with a name for each, such as compare({'small': ..., 'large': ...})."
            )
        named = dict(zip(names, evaluations, strict=True))
    if len(named) < 2:
        raise ValueError(f"compare needs at least 2 evaluations, got {len(named)}.")
    return named


def _refuse_others(first: Evaluation, other: Evaluation, name: str, other_name: str) -> None:
    pairs: dict[str, tuple[Any, Any]] = {
        "labels (y)": (first.y, other.y),
        "patients (groups)": (first.groups, other.groups),
        "folds (cv, random_state)": (first.folds, other.folds),
    }
    differing = [what for what, (here, there) in pairs.items() if not np.array_equal(here, there)]
    if differing:
        raise ValueError(
            f"{other_name} and {name} differ in their {', '.join(differing)}. Expected evaluations of the "
            "same patches, in the same order and the same folds."
        )


def _describe(found: Comparison) -> str:
    shown = found.interval[0] > 0 and found.adjusted_p_value < LEVEL
    sign = "more than chance" if shown else "may be chance"
    return (
        f"{found.first} - {found.second}: {100 * found.difference:+.1f} points of balanced accuracy "
        f"({limits(found.interval)}, p = {format_p_value(found.adjusted_p_value)}): {sign}"
    )
