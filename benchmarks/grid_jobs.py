"""Wall time of a grid search over image files with n_jobs=1 and n_jobs=2, and whether the scores agree.

Each search runs in a fresh process. The threads of a fit are given (OMP_NUM_THREADS), so that both searches
compute the same thing: joblib would otherwise give each of two workers half of the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from _report import in_fresh_process, print_table, versions, write_json

GRID = {"filters": [(8, 16), (16, 32)], "learning_rate": [1e-3, 4e-3]}


def search(folder: str, n_jobs: int, epochs: int) -> None:
    """Run in the fresh process: search, print seconds and scores."""
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    from histoclf import HistoCNNClassifier, find_patches

    patches = find_patches(folder)
    model = HistoCNNClassifier(epochs=epochs, random_state=0)
    grid = GridSearchCV(model, GRID, cv=StratifiedGroupKFold(3), n_jobs=n_jobs, refit=False)
    start = time.perf_counter()
    grid.fit(patches.paths, patches.labels, groups=patches.groups)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "scores": grid.cv_results_["mean_test_score"].tolist()}))


def save_files(folder: str, n_patches: int) -> None:
    """Make the image files."""
    from histoclf import make_patches
    from histoclf.io import save_patches

    made = make_patches(n_patients=6, patches_per_patient=n_patches // 6, random_state=0)
    save_patches(made.images, made.labels, made.groups, made.coords, folder)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="of each fit")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", nargs=2, metavar=("FOLDER", "N_JOBS"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure both in processes of their own, and print."""
    arguments = parse()
    if arguments.in_child:
        folder, n_jobs = arguments.in_child
        search(folder, int(n_jobs), arguments.epochs)
        return
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # for the processes started below
    results: dict[str, Any] = {"versions": versions()}
    with tempfile.TemporaryDirectory() as folder:
        save_files(folder, arguments.patches)
        for n_jobs in ("1", "2"):
            child = ("--in-child", folder, n_jobs, "--epochs", str(arguments.epochs))
            results[f"n_jobs={n_jobs}"] = in_fresh_process(__file__, *child)
    one, two = results["n_jobs=1"], results["n_jobs=2"]
    results["ratio"] = two["seconds"] / one["seconds"]
    print_table(
        ["", "seconds"], [[name, f"{results[name]['seconds']:.1f}"] for name in ("n_jobs=1", "n_jobs=2")]
    )
    agree = "the same" if one["scores"] == two["scores"] else f"different: {one['scores']}, {two['scores']}"
    print(f"\nn_jobs=2 over n_jobs=1: {results['ratio']:.2f}; scores are {agree}")
    write_json(arguments.json, results)


if __name__ == "__main__":
    main()
