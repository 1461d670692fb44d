"""``histoclf evaluate``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from histoclf import __version__
from histoclf.cli._inputs import make_classifier, read_folder
from histoclf.cli._network import load_network
from histoclf.cli._outputs import check_target
from histoclf.evaluation._evaluate import evaluate
from histoclf.evaluation._report import require_report
from histoclf.io._atomic import write_atomically


def run(args: argparse.Namespace) -> int:
    """Evaluate on the patches of a folder, and print the table."""
    _check_targets(args)
    classifier = make_classifier(args)
    patches = read_folder(args)
    load_network(args.quiet)
    evaluation = evaluate(
        classifier,
        patches.paths,
        patches.labels,
        groups=patches.groups,
        cv=args.folds,
        learning_curve=args.learning_curve,
        inflation=args.inflation,
        checkpoint=args.checkpoint,
        random_state=args.seed,
        verbose=0 if args.quiet else 1,
    )
    print(f"\n{evaluation.to_text(details=args.details)}")
    if args.json:
        content = _provenance(args, classifier) | evaluation.to_dict()
        write_atomically(Path(args.json), (json.dumps(content, indent=1) + "\n").encode())
        print(f"\nScores written to {args.json}")
    if args.report:
        evaluation.to_html(args.report, patches.paths)
        print(f"\nReport written to {args.report}")
    return 0


def _check_targets(args: argparse.Namespace) -> None:
    """Find out before hours of work whether the results can be written."""
    for file in (args.json, args.report):
        check_target(file, args.force)
    if args.report:
        require_report()
        if args.json and Path(args.json).resolve() == Path(args.report).resolve():
            raise ValueError(f"--json and --report both name '{args.json}'. Expected two files.")


def _provenance(args: argparse.Namespace, classifier: object) -> dict[str, object]:
    """Say what the numbers are of."""
    return {"histoclf": __version__, "folder": args.folder, "seed": args.seed, "classifier": repr(classifier)}
