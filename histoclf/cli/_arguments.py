"""Arguments that several commands share."""

from __future__ import annotations

import argparse


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder, and how to read classes and patients from it."""
    parser.add_argument(
        "folder", metavar="DIR", help="folder of patches, with a folder per class or telling names"
    )
    parser.add_argument(
        "--groups",
        default="auto",
        metavar="auto|name|folder|none|REGEX",
        help="who the patients are: from names of a known convention (auto), from a folder per patient, "
        "unknown, or the group of a regular expression that is searched in the path (default: auto)",
    )
    parser.add_argument(
        "--labels",
        default="auto",
        metavar="auto|name|folder|REGEX",
        help="which class a patch has, in the same way (default: auto)",
    )
    parser.add_argument(
        "--label-table",
        default="auto",
        metavar="auto|benign_malignant|idc|none",
        help="table of spellings by which labels are cleaned (default: auto)",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which classifier, and how to train it."""
    parser.add_argument(
        "--model",
        choices=("cnn", "transfer"),
        default="cnn",
        help="a small network trained from scratch (cnn, default), or a classifier on top of a network that "
        "was trained on other images (transfer; its weights are downloaded once)",
    )
    parser.add_argument(
        "--slide-context",
        action="store_true",
        help="let the neighbours of a patch on its slide have a say; names must tell the positions",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training part")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of everything random (default: 0)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any parameter of HistoCNNClassifier or HistoTransferClassifier, such as class_weight=balanced, "
        "augmentation__stain=0.1 or backbone=mobilenet_v2; may be repeated",
    )


def add_protocol_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how a classifier is evaluated."""
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    parser.add_argument(
        "--copies-together",
        action="store_true",
        help="keep patches that show the same tissue, and the patients who share them, in one fold",
    )
    parser.add_argument(
        "--audit",
        action=argparse.BooleanOptionalAction,
        default="auto",
        help="look for copies of patches that are trained on and tested on (default: up to 10,000 patches)",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="keep each finished fit in this file; started again after an interruption, go on there",
    )


def add_measurement_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is measured beside the scores."""
    parser.add_argument(
        "--sites",
        metavar="folder|REGEX",
        help="where patches are from (hospital, scanner, ...), in the same way as --groups; it becomes a "
        "baseline, and it is measured how well colour tells it",
    )
    parser.add_argument(
        "--baselines",
        default="all",
        metavar="all|colour|none|NAME,...",
        help="what to compare with, such as 'mean colour,file size' (default: all)",
    )
    parser.add_argument(
        "--learning-curve",
        action=argparse.BooleanOptionalAction,
        default="auto",
        help="fit with parts of the patients and of the patches too, and say what would help (default: where "
        "a fit is cheap)",
    )
    parser.add_argument(
        "--inflation",
        action=argparse.BooleanOptionalAction,
        default="auto",
        help="measure what a random split of the patches would have claimed (default: where a fit is cheap)",
    )


def add_writing_arguments(
    parser: argparse.ArgumentParser, name: str, what: str, required: bool = True
) -> None:
    """Add the file to write, and the consent to replace one."""
    parser.add_argument(name, required=required, metavar="FILE", help=what)
    parser.add_argument("--force", action="store_true", help="replace a file that exists")
