"""What one more fit leaves in memory, and what two workers of a search take beside one process.

Growth: the resident set over many fits, each classifier in a fresh process. The first fits are left out: they
load TensorFlow, trace the network and fill the allocator. Growth is the slope of a straight line through the
resident set after each of the others. Every fit is given a new copy of the images (0.8 MB), so that it shows
if one of them is kept. The transfer classifier, frozen and fine-tuned, forgets its embeddings before each
fit, so that each computes its own. scikeras, the peer, which traces a network in each fit, has fewer of them.

Search: the highest point of what all processes of a grid search over image files hold for themselves, with
n_jobs=1 and n_jobs=2. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _comparison import Comparison, report
from _report import in_fresh_process, print_machine, print_table
from _resident import Peak, resident_mb

NAMES = {
    "cnn": "HistoCNNClassifier",
    "frozen": "HistoTransferClassifier, frozen",
    "tuned": "HistoTransferClassifier, fine-tuned",
    "scikeras": "scikeras.KerasClassifier",
}
N_PATCHES, IMAGE_SIZE = 256, 32
N_LEFT_OUT = 5
SHARES = {"scikeras": 0.15}  # of --fits, where a fit takes seconds
BAR = "at most 0.5"  # MB a fit
GRID = {"learning_rate": [1e-3, 3e-3]}


def build_fit(which: str) -> Callable[[], Any]:
    """Return a function that fits a new estimator, for one epoch where it trains."""
    from _peer import BATCH_SIZE, build_model, n_steps, training_data

    images, labels = training_data(N_PATCHES, IMAGE_SIZE)
    if which in ("frozen", "tuned"):
        return build_transfer_fit(images, labels, n_layers=10 if which == "tuned" else 0)
    if which == "cnn":
        from histoclf import HistoCNNClassifier

        return lambda: HistoCNNClassifier(epochs=1, batch_size=BATCH_SIZE, random_state=0).fit(
            images.copy(), labels
        )
    from scikeras.wrappers import KerasClassifier

    def new_model() -> Any:
        return build_model(IMAGE_SIZE, n_steps(N_PATCHES, 1))

    return lambda: KerasClassifier(new_model, epochs=1, batch_size=BATCH_SIZE, verbose=0).fit(
        images.copy(), labels
    )


def build_transfer_fit(images: np.ndarray, labels: np.ndarray, n_layers: int) -> Callable[[], Any]:
    """Return a function that fits a new head, and the last layers if there are any to learn along."""
    from _frozen_peer import forget_embeddings

    from histoclf import HistoTransferClassifier

    def fit() -> None:
        forget_embeddings()
        HistoTransferClassifier(
            "mobilenet_v2",
            backbone_params={"alpha": 0.35},
            weights=None,
            image_size=IMAGE_SIZE,
            fine_tune_layers=n_layers,
            epochs=1,
            random_state=0,
        ).fit(images.copy(), labels)

    return fit


def fit_and_print(which: str, n_fits: int) -> None:
    """Run in the fresh process: print the resident set after each fit."""
    fit = build_fit(which)
    resident = []
    for _ in range(n_fits):
        fit()
        resident.append(resident_mb())
    print(json.dumps(resident))


def growth(which: str, n_fits: int) -> dict[str, Any]:
    """Fit in a process of its own; the slope in MB a fit, and the resident set after each fit."""
    resident = in_fresh_process(__file__, "--in-child", which, "--fits", str(n_fits))
    slope = np.polyfit(np.arange(len(resident))[N_LEFT_OUT:], resident[N_LEFT_OUT:], 1)[0]
    return {"growth": float(slope), "resident": resident}


def compare_growth(names: list[str], n_fits: int) -> tuple[list[Comparison], dict[str, Any]]:
    """Measure each classifier in turn."""
    found = {
        which: growth(which, max(2 * N_LEFT_OUT, round(n_fits * SHARES.get(which, 1)))) for which in names
    }
    rows = [
        [NAMES[which], str(len(r["resident"])), f"{r['resident'][0]:.0f} MB", f"{r['resident'][-1]:.0f} MB"]
        for which, r in found.items()
    ]
    print_table(["", "fits", "after the first", "after the last"], rows)
    comparisons = [
        Comparison(
            f"growth a fit, {NAMES[which]}",
            "a bar" if which != "scikeras" else "(the peer itself)",
            "MB",
            [r["growth"]],
            bar=BAR if which != "scikeras" else "",
            note=f"{len(r['resident'])} fits",
        )
        for which, r in found.items()
    ]
    return comparisons, found


def search_and_print(folder: str, n_jobs: int) -> None:
    """Run in the fresh process: the highest point of this process and its workers."""
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    from histoclf import HistoCNNClassifier, find_patches

    patches = find_patches(folder)
    model = HistoCNNClassifier(epochs=1, random_state=0, n_jobs=1)
    grid = GridSearchCV(model, GRID, cv=StratifiedGroupKFold(3), n_jobs=n_jobs, refit=False)
    # Workers are processes of their own, which do not know of a filter here.
    os.environ["PYTHONWARNINGS"] = "ignore"
    with warnings.catch_warnings(), Peak(family=True) as peak:
        warnings.simplefilter("ignore")  # one epoch may teach nothing
        grid.fit(patches.paths, patches.labels, groups=patches.groups)
    print(json.dumps(peak.mb))


def compare_search(n_patches: int, rounds: int) -> Comparison:
    """Search with one process and with two workers, in turns."""
    from histoclf import make_patches
    from histoclf.io import save_patches

    made = make_patches(n_patients=6, patches_per_patient=n_patches // 6, random_state=0)
    peaks: dict[str, list[float]] = {"1": [], "2": []}
    with TemporaryDirectory() as folder:
        save_patches(made.images, made.labels, made.groups, made.coords, folder)
        for _ in range(rounds):
            for n_jobs, found in peaks.items():
                found.append(in_fresh_process(__file__, "--in-child", "search", "--search", folder, n_jobs))
    return Comparison(
        f"peak of a grid search with n_jobs=2, {n_patches:,} files",
        "n_jobs=1",
        "MB",
        peaks["2"],
        peaks["1"],
        note="all processes together; each worker has a TensorFlow of its own",
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=100)
    parser.add_argument("--only", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--patches", type=int, default=6000, help="files of the search; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=2, help="of the search")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", choices=[*NAMES, "search"], help=argparse.SUPPRESS)
    parser.add_argument("--search", nargs=2, metavar=("FOLDER", "N_JOBS"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure in processes of their own, and print."""
    arguments = parse()
    if arguments.search:
        search_and_print(arguments.search[0], int(arguments.search[1]))
        return
    if arguments.in_child:
        fit_and_print(arguments.in_child, arguments.fits)
        return
    print_machine()
    comparisons, found = compare_growth(arguments.only, arguments.fits)
    if arguments.patches:
        comparisons.append(compare_search(arguments.patches, arguments.rounds))
    report(arguments.json, comparisons, fits={NAMES[which]: each for which, each in found.items()})


if __name__ == "__main__":
    main()
