"""``histoclf audit``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from histoclf.audit._leakage import audit_cv, audit_split
from histoclf.audit._report import LeakageReport
from histoclf.cli._inputs import read_folder
from histoclf.cli._outputs import check_target
from histoclf.io._atomic import write_atomically
from histoclf.networks._optional import require

LEAKAGE = 1  # exit status


def run(args: argparse.Namespace) -> int:
    """Look for copies and shared patients, say what was found, and fail if there is leakage."""
    for target in (args.report, args.json):
        check_target(target, args.force)
    if args.report:
        require("jinja2", "--report", "report")
    report = _audit(args)
    print(f"\n{report}")
    if args.report:
        report.to_html(args.report)
        print(f"Report written to {args.report}")
    if args.json:
        write_atomically(Path(args.json), (json.dumps(report.to_dict(), indent=1) + "\n").encode())
        print(f"Findings written to {args.json}")
    return 0 if report.ok else LEAKAGE


def _audit(args: argparse.Namespace) -> LeakageReport:
    verbose = 0 if args.quiet else 1
    here = read_folder(args)
    if args.test is None:
        return audit_cv(None, here.paths, here.labels, here.groups, verbose=verbose)
    there = read_folder(argparse.Namespace(**{**vars(args), "folder": args.test}))
    known = here.groups is not None and there.groups is not None
    return audit_split(
        here.paths,
        there.paths,
        train_groups=here.groups if known else None,
        test_groups=there.groups if known else None,
        train_labels=here.labels,
        test_labels=there.labels,
        verbose=verbose,
    )
