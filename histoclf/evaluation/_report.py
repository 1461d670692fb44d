"""An evaluation as one page, which holds all it shows."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from histoclf.classifiers._places import find_places
from histoclf.evaluation._curve import CurvePoint
from histoclf.evaluation._report_figures import (
    Tested,
    calibration_figure,
    copy_figures,
    curve_figure,
    error_figures,
    patients_figure,
    rank_slides,
    slide_figures,
)
from histoclf.evaluation._report_tables import (
    comparison_table,
    curve_table,
    fold_table,
    identity_table,
    inflation_table,
    score_tables,
    settings_table,
)
from histoclf.evaluation._tables import estimate, footnotes
from histoclf.io._names import read_names
from histoclf.io._paths import as_paths
from histoclf.networks._optional import require
from histoclf.report._page import Block, Gallery, Notice, Section, Text, render_page, write_page

if TYPE_CHECKING:
    from histoclf.evaluation._result import Evaluation

_MOST_SLIDES = 8  # with a map
_MOST_PAIRS = 6  # of copies, with pictures
_MOST_CLASSES = 6  # with a calibration curve


def require_report() -> None:
    """Raise unless what a report needs is installed.

    Raises
    ------
    MissingDependencyError
        Naming the extra that brings it.
    """
    for package in ("jinja2", "matplotlib"):
        require(package, "An HTML report", "report")


def write_report(
    evaluation: Evaluation,
    path: str | os.PathLike[str],
    X: Any,
    coords: Any,
    title: str,
    max_items: int,
    image_shape: tuple[int, int, int] | None,
) -> None:
    """Write the page; the arguments are those of `Evaluation.to_html`."""
    require_report()
    if X is not None and len(X) != len(evaluation.y):
        raise ValueError(f"X has {len(X)} rows. Expected the {len(evaluation.y)} that were evaluated.")
    if max_items < 0:
        raise ValueError(f"max_items={max_items}: expected 0 or more.")
    coords = _find_coords(evaluation, X, coords)
    tested = _find_tested(evaluation)
    sections = [
        _verdict(evaluation),
        _scores(evaluation),
        _value_added(evaluation),
        _leakage(evaluation, X, image_shape),
        _inflation(evaluation),
        _identity(evaluation),
        _patients(tested),
        _calibration(tested),
        _learning_curve(evaluation),
        _slides(tested, coords),
        _errors(tested, X, max_items, image_shape),
        _protocol(evaluation),
    ]
    shown = [section for section in sections if section is not None]
    write_page(path, render_page(title, shown, summary=f"{evaluation.summary}."))


def _find_tested(evaluation: Evaluation) -> Tested:
    rows = np.flatnonzero(evaluation.folds >= 0)
    return Tested(
        rows,
        np.searchsorted(evaluation.classes, evaluation.y[rows]),
        evaluation.probabilities[rows],
        None if evaluation.groups is None else evaluation.groups[rows],
        evaluation.classes,
    )


def _find_coords(evaluation: Evaluation, X: Any, coords: Any) -> np.ndarray | None:
    """Take positions as given, or else from the names of files; of tested patches, None if unknown."""
    if evaluation.groups is None:
        if coords is not None:
            raise ValueError(
                "coords were given, but it is unknown which slide a patch is from. Expected coords=None, or "
                "an evaluation with groups."
            )
        return None
    if coords is None:
        paths = as_paths(X) if X is not None else None
        names = read_names(paths) if paths is not None else None
        coords = names.coords if names is not None else None
    if coords is None:
        return None
    return find_places(evaluation.y, evaluation.groups, coords).coords[evaluation.folds >= 0]


def _verdict(evaluation: Evaluation) -> Section:
    model, verdict = evaluation.model, evaluation.verdict
    accuracy = estimate(model.balanced_accuracy, model.balanced_accuracy_interval)
    scores = f"Balanced accuracy {accuracy}, AUC {estimate(model.auc, model.auc_interval)}"
    if not math.isnan(model.auc_interval[0]):
        scores += "; in brackets: 95 % intervals"
    return Section(
        "Verdict",
        [
            Text(verdict) if evaluation.beats_shortcuts else Notice(verdict, "Verdict"),
            Text(f"{scores}."),
            *(Notice(text) for text in evaluation.warnings),
            *(Text(text[:1].upper() + text[1:]) for text in evaluation.notes),
        ],
    )


def _scores(evaluation: Evaluation) -> Section:
    n_patients = None if evaluation.groups is None else len(np.unique(evaluation.groups))
    notes = footnotes(evaluation.rows, n_patients, evaluation.classes)
    return Section("Scores", [*score_tables(evaluation.rows), Text("\n\n".join(notes))])


def _value_added(evaluation: Evaluation) -> Section:
    said = (
        "A classifier that is no better than what can be known without a look at the tissue has found "
        "nothing in it. Differences are in points (hundredths), with 95 % intervals in brackets. p is of the "
        "sign-flip test over patients; after Holm it is adjusted for all comparisons of this table."
    )
    return Section("Value added to shortcuts", [comparison_table(evaluation.comparisons), Text(said)])


def _leakage(evaluation: Evaluation, X: Any, image_shape: tuple[int, int, int] | None) -> Section | None:
    report = evaluation.audit
    if report is None:
        return None
    blocks: list[Block] = [Text("\n\n".join(report.summary().splitlines()))]
    figures = [] if X is None else copy_figures(report, X, _MOST_PAIRS, image_shape)
    if figures:
        blocks.append(Gallery(figures))
    return Section("Copies and patients on both sides", blocks)


def _inflation(evaluation: Evaluation) -> Section | None:
    if evaluation.inflation is None:
        return None
    return Section("Estimated inflation", [inflation_table(evaluation.inflation)])


def _identity(evaluation: Evaluation) -> Section | None:
    if not evaluation.identity:
        return None
    said = (
        "Asked of other patches of the same patients, or of other patients of the same sites. The more of it "
        "colour tells, the more a split gives away that has them on both sides."
    )
    return Section("Who is it?", [identity_table(evaluation.identity), Text(said)])


def _patients(tested: Tested) -> Section | None:
    return None if tested.groups is None else Section("Patients", [patients_figure(tested)])


def _calibration(tested: Tested) -> Section | None:
    if tested.groups is None:
        return None
    n_classes = len(tested.classes)
    codes = [1] if n_classes == 2 else list(range(min(n_classes, _MOST_CLASSES)))
    blocks: list[Block] = [Gallery([calibration_figure(tested, code) for code in codes], large=True)]
    if n_classes > _MOST_CLASSES:
        blocks.append(Text(f"{n_classes - _MOST_CLASSES} more classes are not drawn."))
    return Section("Are the probabilities right?", blocks)


def _learning_curve(evaluation: Evaluation) -> Section | None:
    if evaluation.learning_curve is None:
        return None
    points = evaluation.learning_curve.points
    blocks: list[Block] = [curve_table(points)]
    # Where all were tested, what was not tested was learned from.
    if any(point.kind == "patients" for point in points) and (evaluation.folds >= 0).all():
        added = evaluation.value_added
        best = next(row for row in evaluation.rows if row.name == added.second)
        blocks.insert(0, curve_figure(points, _all_patients(evaluation), best))
    return Section("What would help", blocks)


def _all_patients(evaluation: Evaluation) -> CurvePoint:
    """Return the right end of the curve: what the folds themselves learned from."""
    model, groups, folds = evaluation.model, np.asarray(evaluation.groups), evaluation.folds
    train = [folds != number for number in range(len(evaluation.fit_times))]
    return CurvePoint(
        "patients",
        1.0,
        float(np.mean([len(np.unique(groups[rows])) for rows in train])),
        float(np.mean([rows.sum() for rows in train])),
        model.balanced_accuracy,
        model.auc,
        evaluation.training_score,
        0.0,
        (0.0, 0.0),
    )


def _slides(tested: Tested, coords: np.ndarray | None) -> Section | None:
    if coords is None:
        return None
    slides = rank_slides(tested)
    places = np.unique(np.linspace(0, len(slides) - 1, _MOST_SLIDES).round().astype(int))
    said = "From the lowest share of right answers to the highest."
    if len(places) < len(slides):
        n_left_out = len(slides) - len(places)
        said += f" {len(places)} slides are shown, evenly from that order; {n_left_out:,} are left out."
    figures = slide_figures(tested, coords, slides[places])
    return Section("Slides", [Text(said), Gallery(figures, large=True)])


def _errors(
    tested: Tested, X: Any, max_items: int, image_shape: tuple[int, int, int] | None
) -> Section | None:
    if X is None or not max_items:
        return None
    wrong = np.flatnonzero(tested.predicted != tested.codes)
    surest = wrong[np.argsort(-tested.probabilities[wrong].max(axis=1), kind="stable")][:max_items]
    figures = error_figures(tested, X, surest, image_shape) if len(surest) else []
    said = f"{len(wrong):,} of {len(tested.rows):,} patches were misread."
    if figures:
        said += (
            f" These are the {len(figures)} most confident errors: hard patches, or wrong labels. "
            "review_labels makes a sheet to decide on them."
        )
    if n_lost := len(surest) - len(figures):
        said += f" {n_lost} image {'file' if n_lost == 1 else 'files'} cannot be read any more."
    blocks: list[Block] = [Text(said), *([Gallery(figures)] if figures else [])]
    return Section("Most confident errors", blocks)


def _protocol(evaluation: Evaluation) -> Section:
    split = "The patients were unknown, so folds were of patches."
    if evaluation.groups is not None:
        pairs = {*zip(evaluation.groups.tolist(), evaluation.folds.tolist(), strict=True)}
        apart = len(pairs) == len(np.unique(evaluation.groups))
        split = "Folds were by patient: none was trained on and tested on."
        if not apart:
            split = "Patients were NOT kept together: some were trained on and tested on."
    if evaluation.audit is None:
        split += " Whether copies of patches were is not known: they were not looked for."
    said = (
        f"Each patch was answered by a classifier that had not learned from it, one for each of "
        f"{len(evaluation.fit_times)} folds. {split} Shortcuts learned and answered in the same folds. All "
        "figures show these answers; nothing was fitted for this page.\n\n"
        "For research only. Not for clinical use: it is no medical device, and nothing here may be used to "
        "decide about a patient."
    )
    return Section("How this was made", [Text(said), fold_table(evaluation), settings_table(evaluation)])
