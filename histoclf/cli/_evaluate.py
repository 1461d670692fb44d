"""``histoclf evaluate``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from histoclf import __version__
from histoclf.audit._splitter import StratifiedPatientKFold
from histoclf.cli._inputs import Patches, make_classifier, read_folder, read_sites
from histoclf.cli._network import load_network
from histoclf.cli._outputs import check_target
from histoclf.evaluation._evaluate import evaluate
from histoclf.evaluation._report import require_report
from histoclf.evaluation._result import Evaluation
from histoclf.io._atomic import write_atomically


def run(args: argparse.Namespace) -> int:
    """Evaluate on the patches of a folder, and print the table."""
    _check_targets(args)
    classifier = make_classifier(args)
    patches, sites = read_folder(args), read_sites(args)
    load_network(args.quiet)
    evaluation = run_protocol(
        args,
        classifier,
        patches,
        sites=sites,
        baselines=_read_baselines(args.baselines),
        learning_curve=args.learning_curve,
        inflation=args.inflation,
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


def run_protocol(args: argparse.Namespace, classifier: Any, patches: Patches, **options: Any) -> Evaluation:
    """Evaluate as the arguments say."""
    cv: Any = args.folds
    if args.copies_together:
        cv = StratifiedPatientKFold(args.folds, random_state=args.seed)
    return evaluate(
        classifier,
        patches.paths,
        patches.labels,
        groups=patches.groups,
        cv=cv,
        audit=args.audit,
        checkpoint=args.checkpoint,
        random_state=args.seed,
        verbose=0 if args.quiet else 1,
        **options,
    )


def _read_baselines(text: str) -> str | list[str] | None:
    if text in ("all", "colour"):
        return text
    return None if text == "none" else [name.strip() for name in text.split(",")]


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
