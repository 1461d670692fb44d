"""Read the command line, run the command, and turn expected errors into one message.

Nothing but argparse is imported before the command is known: ``histoclf --help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from histoclf import __version__
from histoclf.cli._arguments import (
    add_data_arguments,
    add_measurement_arguments,
    add_model_arguments,
    add_protocol_arguments,
    add_writing_arguments,
)

# Expected errors have messages for people; anything else is a bug and keeps its traceback.
_EXPECTED = (ValueError, OSError, ImportError, FloatingPointError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Words after ``histoclf``; None takes those of the process.

    Returns
    -------
    status : int
        0 if it worked, 2 if it could not: the reason is then on the standard error stream. 1 if an audit
        found leakage. 130 if it was interrupted.

    Examples
    --------
    >>> from histoclf.cli import main
    >>> main(["evaluate", "no/such/folder"])  # the reason goes to the standard error stream
    2
    """
    parser = _make_parser()
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return 0
    # TensorFlow's start-up notes are about its build, not about the user's data.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _show_warning
        try:
            return importlib.import_module(f"histoclf.cli._{args.command}").run(args)
        except KeyboardInterrupt:
            print("histoclf: interrupted", file=sys.stderr)
            return 130
        except _EXPECTED as error:
            if args.traceback:
                raise
            print(f"histoclf: error: {error}", file=sys.stderr)
            return 2


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="histoclf",
        description="Tell histology patches apart, and learn how well that holds for the next patient.",
        epilog="Start with 'histoclf demo', then 'histoclf evaluate' your own folder before you train. "
        "For research only, not for decisions about patients.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"histoclf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_demo(commands)
    _add_audit(commands)
    _add_evaluate(commands)
    _add_train(commands)
    _add_predict(commands)
    _add_show(commands)
    return parser


def _add(commands: Any, name: str, summary: str, details: str = "") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {details}".rstrip(),
        allow_abbrev=False,
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print results only, no progress")
    parser.add_argument("--traceback", action="store_true", help="show where an error arose, for developers")
    return parser


def _add_demo(commands: Any) -> None:
    parser = _add(
        commands,
        "demo",
        "the whole way on synthetic patches, in about a minute",
        "Makes patches of patients with different stains, evaluates, trains, saves, loads and predicts.",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of everything random (default: 0)"
    )
    parser.add_argument("--out", metavar="DIR", help="new folder to keep patches, model and predictions in")


def _add_audit(commands: Any) -> None:
    parser = _add(
        commands,
        "audit",
        "find copies of patches, and patients on both sides of a split",
        "Without --test, finds copies that any split by patient would separate, or where patients are "
        "unknown any split. Exits with 1 if there is leakage.",
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--test", metavar="DIR", help="folder of the test part; DIR is then the training part"
    )
    parser.add_argument("--report", metavar="FILE", help="write an HTML page with pictures of the copies")
    add_writing_arguments(parser, "--json", "write what was found to this file as well", required=False)


def _add_evaluate(commands: Any) -> None:
    parser = _add(
        commands,
        "evaluate",
        "measure how good a classifier is on patients it has not seen, beside trivial baselines",
    )
    add_data_arguments(parser)
    add_model_arguments(parser)
    add_protocol_arguments(parser)
    add_measurement_arguments(parser)
    parser.add_argument("--details", action="store_true", help="print a second table, with more scores")
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="write an HTML page as well: tables, figures, slide maps, the most confident errors; needs the "
        "extra 'report'",
    )
    add_writing_arguments(parser, "--json", "write the scores to this file as well", required=False)


def _add_train(commands: Any) -> None:
    parser = _add(commands, "train", "train a classifier on all patches of a folder")
    add_data_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument(
        "--evaluate",
        action="store_true",
        help="first evaluate such a classifier in folds, as 'histoclf evaluate' does, and keep its scores in "
        "the model's card; --folds, --copies-together, --audit and --checkpoint belong to this",
    )
    add_protocol_arguments(parser)
    add_writing_arguments(parser, "--out", "file to save the classifier in, such as model.histoclf")
    parser.add_argument(
        "--on-error", choices=("raise", "skip"), default="raise", help="what to do about unreadable images"
    )


def _add_predict(commands: Any) -> None:
    parser = _add(commands, "predict", "let a saved classifier name the class of images")
    parser.add_argument("model", metavar="MODEL", help="file that 'histoclf train' wrote")
    parser.add_argument("images", metavar="IMAGE_OR_DIR", nargs="+", help="image files, and folders of them")
    add_writing_arguments(parser, "--out", "CSV file to write: path, predicted class, probabilities")
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="what to do about unreadable images; 'skip' gives them an empty row",
    )


def _add_show(commands: Any) -> None:
    parser = _add(
        commands,
        "show",
        "print the card of a saved classifier",
        "What it is, what it was trained on, how good it was found to be, and what it is not for.",
    )
    parser.add_argument("model", metavar="MODEL", help="file that 'histoclf train' wrote")
    parser.add_argument("--json", action="store_true", help="print the card as JSON")


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Show the words only: file and line of a warning are for developers."""
    print(f"histoclf: warning: {message}", file=sys.stderr)
