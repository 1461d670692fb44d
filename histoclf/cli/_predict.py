"""``histoclf predict``."""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from histoclf.cli._network import load_network
from histoclf.cli._outputs import check_target
from histoclf.exceptions import ImageReadError, PatchNameError
from histoclf.io._atomic import write_atomically
from histoclf.io._scan import scan_images
from histoclf.persistence._model_file import load_model


def run(args: argparse.Namespace) -> int:
    """Predict the images, and write a table of them."""
    check_target(args.out, args.force)
    paths = list_images(args.images)
    classifier = load_model(args.model)
    for part in ("estimator_", "embedder_"):  # what is within a slide's context
        _set_verbose(getattr(classifier, part, None), args.quiet)
    _set_verbose(classifier, args.quiet)
    load_network(args.quiet)
    probabilities = _predict(classifier, paths, args.on_error)
    write_predictions(args.out, paths, classifier.classes_, probabilities)
    _report(probabilities, classifier.classes_, args.out)
    return 0


def list_images(words: Sequence[str]) -> list[str]:
    """Replace folders by the images in them.

    Raises
    ------
    PatchNameError
        If a folder has no images.
    """
    paths: list[str] = []
    for word in words:
        if not os.path.isdir(word):
            paths.append(word)
            continue
        files, _ = scan_images(word)
        if not files:
            raise PatchNameError(f"No images (PNG, JPEG, TIFF, BMP, WebP) in '{word}'.")
        paths += [os.path.join(word, file) for file in files]
    return paths


def write_predictions(
    file: str, paths: Sequence[str], classes: np.ndarray, probabilities: np.ndarray
) -> None:
    """Write path, predicted class and a probability for each class; empty where there is no answer (NaN)."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "predicted", *(f"probability_{name}" for name in classes)])
    for path, row in zip(paths, probabilities, strict=True):
        known = not np.isnan(row).any()
        answer = [classes[row.argmax()], *map(repr, row.tolist())] if known else [""] * (1 + len(classes))
        table.writerow([_protect(path), *answer])
    write_atomically(Path(file), text.getvalue().encode("utf-8", "surrogateescape"))


def _protect(path: str) -> str:
    """Write a path that a spreadsheet would compute, such as "=1.png", as the same path from here."""
    return os.path.join(os.curdir, path) if path.startswith(("=", "+", "-", "@")) else path


def _set_verbose(estimator: Any, quiet: bool) -> None:
    if hasattr(estimator, "verbose"):
        estimator.set_params(verbose=0 if quiet else 1)


def _predict(classifier: Any, paths: list[str], on_error: str) -> np.ndarray:
    """Return the probabilities, with NaN for unreadable images if they may be skipped."""
    try:
        return classifier.predict_proba(paths)
    except ImageReadError as error:
        readable = [path not in error.failures for path in paths]
        if on_error != "skip" or not any(readable):
            raise
    rest = [path for path, good in zip(paths, readable, strict=True) if good]
    probabilities = np.full((len(paths), len(classifier.classes_)), np.nan)
    probabilities[readable] = classifier.predict_proba(rest)
    return probabilities


def _report(probabilities: np.ndarray, classes: np.ndarray, file: str) -> None:
    answered = probabilities[~np.isnan(probabilities).any(axis=1)]
    counts = Counter(classes[answered.argmax(axis=1)].tolist())
    said = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    print(f"{len(answered):,} images predicted ({said}), written to {file}")
    n_skipped = len(probabilities) - len(answered)
    if n_skipped:
        print(f"{n_skipped:,} unreadable images have an empty row.")
