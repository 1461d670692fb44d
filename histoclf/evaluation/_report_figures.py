"""Out-of-fold probabilities as figures of a page, each with its numbers in words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf.audit._report import LeakageReport
from histoclf.evaluation._curve import CurvePoint
from histoclf.evaluation._rows import Row
from histoclf.evaluation._tables import estimate
from histoclf.io._paths import as_paths
from histoclf.report._calibration import PatientCalibrationDisplay
from histoclf.report._inline import draw_inline
from histoclf.report._learning_curve import PatientLearningCurveDisplay
from histoclf.report._page import Figure
from histoclf.report._patients import PatientScoresDisplay, figure_size
from histoclf.report._slide_map import SlideMapDisplay
from histoclf.report._thumbnails import make_thumbnails

_MOST_TOLD = 20  # patients whose scores are all in the text of a figure


@dataclass(frozen=True)
class Tested:
    """What the folds tested.

    Attributes
    ----------
    rows : ndarray of shape (n_tested,), int
        Row numbers.
    codes : ndarray of shape (n_tested,), int
        True class numbers.
    probabilities : ndarray of shape (n_tested, n_classes)
        Out of fold.
    groups : ndarray of shape (n_tested,) or None
        Patients.
    classes : ndarray of shape (n_classes,)
        Labels.
    """

    rows: np.ndarray
    codes: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray | None
    classes: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the most probable classes."""
        return self.probabilities.argmax(axis=1)

    @property
    def patients(self) -> np.ndarray:
        """Patients, where they must be known."""
        assert self.groups is not None, "asked for where groups were given"
        return self.groups


def patients_figure(tested: Tested) -> Figure:
    """Draw the score of each patient."""
    names = np.unique(tested.patients)
    source, display = draw_inline(
        lambda ax: PatientScoresDisplay.from_predictions(
            tested.classes[tested.codes],
            tested.probabilities,
            tested.groups,
            classes=tested.classes,
            ax=ax,
        ),
        figure_size(len(names)),
    )
    said = f"Mean of the recalls of {len(names)} patients: {estimate(display.mean_, display.mean_interval_)}."
    return Figure(
        source,
        f"{said} {_tell_patients(names, display.scores)}",
        "Bars of single patients take a patient's patches for independent: the least that is uncertain. The "
        "shaded interval is about other patients: of Student's t with the jackknife, as in the tables.",
    )


def calibration_figure(tested: Tested, code: int) -> Figure:
    """Draw how far the probabilities of a class are to be believed."""
    name = str(tested.classes[code])
    two = np.array([f"not {name}", name])
    source, display = draw_inline(
        lambda ax: PatientCalibrationDisplay.from_predictions(
            two[(tested.codes == code).astype(int)],
            tested.probabilities[:, code],
            tested.patients,
            classes=two,
            name="out of fold",
            ax=ax,
        ),
        (5.0, 5.0),
    )
    pairs = zip(display.prob_pred, display.prob_true, strict=True)
    told = ", ".join(f"{said:.2f}: {found:.2f}" for said, found in pairs)
    return Figure(
        source,
        f"Calibration of '{name}' in {len(display.prob_pred)} bins, as mean probability: share that is "
        f"'{name}'. {told}.",
        f"{name}: bins hold equally many patches. Where the band does not touch the diagonal, probabilities "
        "are not to be believed.",
    )


def curve_figure(points: Sequence[CurvePoint], of_all: CurvePoint, best: Row) -> Figure:
    """Draw the scores by patients learned from, beside the best shortcut."""
    shown = [*(point for point in points if point.kind == "patients"), of_all]
    display = PatientLearningCurveDisplay(
        [point.n_patients for point in shown],
        [point.balanced_accuracy for point in shown],
        train_scores=[point.training for point in shown],
        n_patches=[round(point.n_patches) for point in shown],
        reference=best.balanced_accuracy,
        reference_name=f"{best.name}, all patients",
    )
    told = ", ".join(
        f"{p.n_patients:.3g} patients {p.balanced_accuracy:.3f} ({p.training:.3f} on these themselves)"
        for p in shown
    )
    return Figure(
        draw_inline(display.plot, (6.5, 4.2))[0],
        f"Balanced accuracy on new patients after learning from {told}. The {best.name} has "
        f"{best.balanced_accuracy:.3f}.",
    )


def slide_figures(tested: Tested, coords: np.ndarray, slides: Sequence[Any]) -> list[Figure]:
    """Draw slides, each by what was answered and by the truth."""
    display = SlideMapDisplay(
        tested.probabilities, coords, tested.patients, tested.classes, codes=tested.codes
    )
    return [_slide_figure(tested, display, slide) for slide in slides]


def error_figures(
    tested: Tested, X: Any, rows: np.ndarray, image_shape: tuple[int, int, int] | None
) -> list[Figure]:
    """Show patches with what was answered; those that cannot be read are left out.

    `rows` are places in `tested`.
    """
    paths = as_paths(X)
    pictures = make_thumbnails(X, tested.rows[rows], image_shape=image_shape)
    figures = []
    for row, picture in zip(rows, pictures, strict=True):
        where = tested.rows[row]
        answer, truth = tested.classes[tested.predicted[row]], tested.classes[tested.codes[row]]
        said = f"{answer} at {tested.probabilities[row].max():.3f}, truth: {truth}"
        who = "" if tested.groups is None else f"Patient {tested.groups[row]}, "
        name = f"row {where}" if paths is None else os.path.basename(paths[where])
        if picture is not None:
            figures.append(Figure(picture, f"Misread patch: {said}", f"{said}\n{who}{name}"))
    return figures


def copy_figures(
    report: LeakageReport, X: Any, most: int, image_shape: tuple[int, int, int] | None
) -> list[Figure]:
    """Show pairs of copies that cross the folds, changed ones first; what cannot be read is left out."""
    changed = sorted(report.near_duplicates, key=lambda pair: -pair[2])
    figures = []
    for number, (one, other, alike) in enumerate([*changed, *report.exact_duplicates][:most], start=1):
        items, said = [one, other], f"pair {number}, similarity {alike:.2f}"
        if isinstance(one, str):
            pictures, names = make_thumbnails(items, [0, 1]), [os.path.basename(item) for item in items]
        else:
            pictures, names = (
                make_thumbnails(X, items, image_shape=image_shape),
                [f"row {item}" for item in items],
            )
        if all(pictures):
            figures += [
                Figure(str(picture), f"Copy: {said}, {name}", f"{said}\n{name}")
                for picture, name in zip(pictures, names, strict=True)
            ]
    return figures


def rank_slides(tested: Tested) -> np.ndarray:
    """Sort slides by their share of right answers, lowest first."""
    slides, slide_of = np.unique(tested.patients, return_inverse=True)
    right = np.bincount(slide_of, tested.predicted == tested.codes) / np.bincount(slide_of)
    return slides[np.argsort(right, kind="stable")]


def _slide_figure(tested: Tested, display: SlideMapDisplay, slide: Any) -> Figure:
    rows = np.flatnonzero(tested.patients == slide)
    right = int((tested.predicted[rows] == tested.codes[rows]).sum())
    said = f"{slide}: {right:,} of {len(rows):,} patches right ({100 * right / len(rows):.0f} %)"
    counts = (
        f"Truth: {_count(tested, tested.codes[rows])}; answered: {_count(tested, tested.predicted[rows])}."
    )
    source, _ = draw_inline(lambda ax: display.plot(ax, slides=[slide]), (6.0, 2.7), pixels=True)
    return Figure(source, f"Map of slide {said}. {counts}", f"{said}. {counts}")


def _count(tested: Tested, codes: np.ndarray) -> str:
    counts = np.bincount(codes, minlength=len(tested.classes))
    return ", ".join(f"{n:,} {name}" for n, name in zip(counts, tested.classes, strict=True) if n)


def _tell_patients(names: np.ndarray, scores: np.ndarray) -> str:
    """Name all patients with their scores, or the ends of the list."""
    order = np.argsort(scores, kind="stable")
    told = [f"{names[place]} {scores[place]:.3f}" for place in order]
    if len(told) <= _MOST_TOLD:
        return f"From the lowest: {', '.join(told)}."
    half = _MOST_TOLD // 2
    return f"The lowest: {', '.join(told[:half])}. The highest: {', '.join(told[-half:])}."
