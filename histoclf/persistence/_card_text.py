"""A model card as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

_WIDTH = 100
_SCORES = ("balanced_accuracy", "auc", "accuracy", "patient_accuracy", "within_patient_auc")


def card_to_text(card: dict[str, Any]) -> str:
    """Write a card for people, section by section.

    Parameters
    ----------
    card : dict
        From `read_card`.

    Returns
    -------
    text : str
        Several lines.
    """
    details = card["model_details"]
    sections = {
        "Model details": _details(details),
        "Intended use": [card["intended_use"], card["restriction"]],
        "Factors": [card["factors"]],
        "Input": [card["input"]["description"]],
        "Training data": _training(card["training_data"], card["classes"]),
        "Evaluation": _evaluation(card["evaluation"], card["classes"]),
        "Ethical considerations": [card["ethical_considerations"]],
        "Caveats and recommendations": [f"- {text}" for text in card["caveats"]],
        "Parameters": [f"{name}={value}" for name, value in details["parameters"].items()],
    }
    parts = [f"Model card: {details['class']}"]
    for title, lines in sections.items():
        parts += ["", title, "-" * len(title), *_wrap(lines)]
    return "\n".join(parts)


def _wrap(lines: Iterable[str]) -> list[str]:
    """Break long sentences; rows of a table, which have two spaces in them, stay as they are."""
    found = []
    for line in lines:
        hang = "  " if line.startswith("- ") else ""
        found += [line] if "  " in line else textwrap.wrap(line, _WIDTH, subsequent_indent=hang)
    return found


def _details(details: dict[str, Any]) -> list[str]:
    inner = f" around a {details['inner_class']}" if details["inner_class"] else ""
    lines = [f"Class: {details['class']}{inner}"]
    backbone = details["backbone"]
    if backbone is not None:
        lines.append(
            f"Backbone: {backbone['name']}, {backbone['megabytes']:g} MB, weights: {backbone['weights']}, "
            f"licence: {backbone['licence']}, shown: {backbone['channels']}"
        )
    versions = [f"{name} {found}" for name, found in details["packages"].items() if found]
    return [*lines, f"Made with: {', '.join(versions) if versions else 'unknown'}"]


def _training(training: dict[str, Any] | None, classes: list[Any] | None) -> list[str]:
    if training is None:
        known = "" if classes is None else f" Classes: {', '.join(map(str, classes))}."
        return [f"Nothing is known of it.{known}" if classes else "Nothing was learned from images."]
    patients = "an unknown number of" if training["n_patients"] is None else f"{training['n_patients']:,}"
    counts = ", ".join(f"{label} ({count:,})" for label, count in training["class_counts"])
    lines = [
        f"{training['n_patches']:,} patches of {patients} patients",
        f"Classes: {counts}",
        f"Fingerprint of the images: {training['fingerprint']}",
    ]
    if training["n_held_out"]:
        lines.append(f"{training['n_held_out']:,} of the patches were held out to decide when to stop")
    if training["n_skipped"]:
        lines.append(f"{training['n_skipped']:,} files could not be read and were left out")
    return lines


def _evaluation(scores: dict[str, Any] | None, classes: list[Any] | None) -> list[str]:
    if scores is None and classes is None:
        return ["It is no classifier, so there is nothing to evaluate."]
    if scores is None:
        return [
            "NOT EVALUATED: how good it is on new patients is not known. To have scores here, run",
            "  histoclf train DIR --out MODEL --evaluate",
            "with the same DIR and options, or pass what evaluate returns: save_model(..., evaluation=...).",
        ]
    patients = "unknown" if scores["n_patients"] is None else f"{scores['n_patients']:,}"
    lines = [
        f"Out of fold, {scores['n_folds']} folds: {scores['n_patches']:,} patches, patients: {patients}. In "
        "brackets: 95 % intervals.",
        *_table(scores["rows"]),
        scores["verdict"],
        *(f"- {text}" for text in scores["warnings"]),
    ]
    if scores["n_warnings_left_out"]:
        lines.append(f"- {scores['n_warnings_left_out']} warnings that name patients or files are left out.")
    return lines


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Lay out the scores that there are, each with its interval."""
    names = [name for name in _SCORES if any(row.get(name) is not None for row in rows)]
    lines = [["", *(name.replace("_", " ") for name in names)]]
    lines += [[row["name"], *(_score(row, name) for name in names)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ((text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)
    return ["  ".join(line).rstrip() for line in padded]


def _score(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return "-"
    low, high = row.get(f"{name}_interval") or row.get("intervals", {}).get(name) or (None, None)
    return f"{value:.3f}" if low is None or low == high else f"{value:.3f} [{low:.3f}, {high:.3f}]"
