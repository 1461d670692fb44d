"""From arguments to patches, clean labels and a classifier."""

from __future__ import annotations

import argparse
import ast
from dataclasses import dataclass
from typing import Any

import numpy as np

from histoclf.classifiers._cnn import HistoCNNClassifier
from histoclf.classifiers._slide_context import SlideContextClassifier
from histoclf.classifiers._transfer import HistoTransferClassifier
from histoclf.exceptions import PatchNameError
from histoclf.io._patches import find_patches
from histoclf.preprocessing._augmentation import PRESETS, Augmentation
from histoclf.preprocessing._labels import LabelCleaner

_MOST_NAMED = 10  # sites


@dataclass(frozen=True)
class Patches:
    """What a folder holds: paths, clean labels, and patients where they are known."""

    paths: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None


def read_folder(args: argparse.Namespace) -> Patches:
    """Find the patches, clean their labels, and say what was understood."""
    groups = None if args.groups == "none" else args.groups
    found = find_patches(args.folder, groups=groups, labels=args.labels)
    print(found.description, flush=True)
    if found.labels is None:
        raise PatchNameError(
            f"It is unknown which class the patches in '{args.folder}' have. Expected a folder per class, or "
            "names that tell; or say it with --labels, such as --labels '_class(.)'."
        )
    cleaner = LabelCleaner(table=None if args.label_table == "none" else args.label_table)
    labels = cleaner.fit_transform(found.labels)
    if cleaner.report_.changes:
        print(cleaner.report_, flush=True)
    return Patches(found.paths, labels, found.groups)


def read_sites(args: argparse.Namespace) -> np.ndarray | None:
    """Read where each patch is from, in the order of `read_folder`."""
    if args.sites is None:
        return None
    try:
        sites = find_patches(args.folder, groups=args.sites, labels=args.labels).groups
    except PatchNameError as error:
        raise PatchNameError(f"--sites is read as --groups is: {error}") from error
    if sites is None:
        raise PatchNameError(f"--sites {args.sites} tells no sites. Expected 'folder' or an expression.")
    print(f"{len(np.unique(sites))} sites: {', '.join(np.unique(sites)[:_MOST_NAMED])}", flush=True)
    return sites


def make_classifier(args: argparse.Namespace, **params: Any) -> Any:
    """Make the classifier: its defaults, and what the arguments say otherwise."""
    kind = HistoTransferClassifier if args.model == "transfer" else HistoCNNClassifier
    shared = {"random_state": args.seed, "verbose": 0 if args.quiet else 1}
    classifier = kind(**shared)
    params |= dict(_setting(text) for text in args.set)
    if args.epochs is not None:
        params["epochs"] = args.epochs
    if any(name.startswith("augmentation__") for name in params):
        # A preset is a name, which has no fields to set.
        preset = params.get("augmentation", classifier.augmentation)
        params["augmentation"] = Augmentation.from_preset(preset) if preset in PRESETS else preset
    classifier.set_params(**params)
    classifier._validate_params()  # now, and not after minutes of reading images
    return SlideContextClassifier(classifier, **shared) if args.slide_context else classifier


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"--set {text}: expected NAME=VALUE, such as --set dropout=0.2.")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return name.strip(), value.strip()  # a plain word such as balanced needs no quotes
