"""What an evaluation costs beside one pass of the frozen network over the patches.

`evaluate(HistoTransferClassifier(...))` with 5 folds, baselines, intervals, learning curve and random split
is compared with what it cannot do without: reading all files and embedding each once. Both run in fresh
processes and in turns; imports are counted on neither side, building the network on both. The images that go
through the backbone are counted too: as many as there are distinct files is each exactly once.

Then the same evaluation, and the page of its report, are timed for more and more files: to which power of
their number does the time grow?
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _comparison import Comparison, report
from _frozen_peer import choose_patches, load_engines
from _report import in_fresh_process, power, print_machine
from transfer_grid import count_distinct, counted

from histoclf import HistoEmbedder, HistoTransferClassifier, evaluate

BAR, POWER_BAR = 5.0, 1.2  # passes; power of the number of files
PASS, WHOLE = "one embedding pass", "evaluate"


def frozen(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give the parameters that embedder and classifier share."""
    return {"backbone": arguments.backbone, "weights": arguments.weights, "engine": arguments.engine}


def embed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Embed all patches once."""
    paths, _, _ = choose_patches(arguments.data, arguments.patches)
    load_engines()
    with counted() as calls:
        start = time.perf_counter()
        HistoEmbedder(**frozen(arguments)).fit_transform(paths)
        return {"seconds": time.perf_counter() - start, "images": sum(calls)}


def evaluate_all(arguments: argparse.Namespace) -> dict[str, Any]:
    """Evaluate with everything there is."""
    paths, labels, patients = choose_patches(arguments.data, arguments.patches)
    load_engines()
    clf = HistoTransferClassifier(**frozen(arguments), random_state=0)
    with counted() as calls:
        start = time.perf_counter()
        evaluation = evaluate(clf, paths, labels, groups=patients, cv=5, learning_curve=True, inflation=True)
        seconds = time.perf_counter() - start
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        evaluation.to_html(Path(folder) / "report.html", paths)
        report_seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "report seconds": report_seconds,
        "images": sum(calls),
        "fits": evaluation.settings["n_fits"],
        "balanced accuracy": evaluation.model.balanced_accuracy,
    }


RUNS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {PASS: embed, WHOLE: evaluate_all}


def measure(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Run both in turns, each in a fresh process."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in RUNS}
    for number in range(arguments.rounds):
        for name in RUNS:
            runs[name].append(in_fresh_process(__file__, *sys.argv[1:], "--in-child", name))
        print(f"round {number + 1} of {arguments.rounds} done", flush=True)
    return runs


def compare(arguments: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> Comparison:
    """Write the line: seconds of both, and whether a patch was embedded twice."""
    n_distinct = count_distinct(choose_patches(arguments.data, arguments.patches)[0])
    first, seconds = runs[WHOLE][0], {name: [run["seconds"] for run in runs[name]] for name in RUNS}
    return Comparison(
        f"evaluate, {arguments.patches:,} files: 5 folds, learning curve, random split",
        PASS,
        "s",
        seconds[WHOLE],
        seconds[PASS],
        f"at most {BAR:g}",
        f"{first['fits']} fits; {first['images']} images through the backbone, {n_distinct} distinct files",
    )


def compare_growth(sizes: list[int]) -> list[Comparison]:
    """Evaluate more and more files, each number in a fresh process, and write the powers."""
    runs = [
        in_fresh_process(__file__, *sys.argv[1:], "--patches", str(size), "--in-child", WHOLE)
        for size in sizes
    ]
    found = []
    for work, key in ((WHOLE, "seconds"), ("Evaluation.to_html", "report seconds")):
        seconds = [run[key] for run in runs]
        found.append(
            Comparison(
                f"{work}, growth of the time from {sizes[0]:,} to {sizes[-1]:,} files",
                "linear growth",
                "power",
                [power(sizes, seconds)],
                bar=f"at most {POWER_BAR:g}",
                note="s: " + ", ".join(f"{each:.1f}" for each in seconds),
            )
        )
    return found


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of patches with classes and patients in the names")
    parser.add_argument("--patches", type=int, default=2000)
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--weights", default="imagenet", help="imagenet (default), or a file")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[750, 1500, 3000, 5980], help="files")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", choices=RUNS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure both in processes of their own, and print."""
    arguments = parse()
    if arguments.in_child:
        print(json.dumps(RUNS[arguments.in_child](arguments)))
        return
    print_machine()
    runs = measure(arguments)
    report(arguments.json, [compare(arguments, runs), *compare_growth(arguments.sizes)], runs=runs)


if __name__ == "__main__":
    main()
