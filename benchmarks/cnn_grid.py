"""What a grid search over networks costs beside their training steps: six candidates in three folds.

From the seconds of a whole search its training steps are taken off: of each fit the number of steps, times
its median step. What is left is everything else: building and tracing, the callbacks between steps and
epochs, the alarm after each fit, predicting and scoring the held-out fold, and scikit-learn. Half of the
candidates have another architecture. Every round is a fresh process, in which TensorFlow is imported before
the clock starts, so that tracing is in all of them. The share gets smaller with more epochs; the default is
30 or more.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
from _comparison import Comparison, report
from _report import in_fresh_process, print_machine, print_table, spread

GRID = {"learning_rate": [1e-3, 2e-3, 4e-3], "filters": [(24, 32, 64, 64), (24, 32, 64)]}
N_CANDIDATES, N_FOLDS = 6, 3
BAR = 0.10


def clocked_search(n_patches: int, image_size: int, epochs: int) -> dict[str, Any]:
    """Run in the fresh process: search, and note how long each step of each fit took."""
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    from histoclf import HistoCNNClassifier, make_patches
    from histoclf.networks import _training

    class Clock(_training.RateLog):
        """A callback that every fit uses."""

        fits: ClassVar[list[list[float]]] = []

        def on_train_begin(self, logs: Any = None) -> None:
            Clock.fits.append([])

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self._begin = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            Clock.fits[-1].append(time.perf_counter() - self._begin)

    _training.RateLog = Clock  # type: ignore[misc]
    made = make_patches(
        n_patients=6, patches_per_patient=n_patches // 6, image_size=image_size, random_state=0
    )
    model = HistoCNNClassifier(epochs=epochs, random_state=0)
    grid = GridSearchCV(model, GRID, cv=StratifiedGroupKFold(N_FOLDS), refit=False)
    start = time.perf_counter()
    grid.fit(made.images, made.labels, groups=made.groups)
    seconds = time.perf_counter() - start
    steps = sum(len(fit) * median(fit) for fit in Clock.fits)
    slow = sum(float(np.sum(fit)) for fit in Clock.fits) - steps
    return {"fits": len(Clock.fits), "search": seconds, "steps": steps, "tracing and slow steps": slow}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=1200)
    parser.add_argument("--image-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=5, help="of each fit")
    parser.add_argument("--rounds", type=int, default=5, help="searches, each in a fresh process")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure in fresh processes, and print."""
    arguments = parse()
    if arguments.in_child:
        found = clocked_search(arguments.patches, arguments.image_size, arguments.epochs)
        print(json.dumps(found))
        return
    print_machine()
    names = ("patches", "image_size", "epochs")
    child = [
        text for name in names for text in (f"--{name.replace('_', '-')}", str(getattr(arguments, name)))
    ]
    rounds = [in_fresh_process(__file__, "--in-child", *child) for _ in range(arguments.rounds)]
    assert all(each["fits"] == N_CANDIDATES * N_FOLDS for each in rounds)
    parts = ("search", "steps", "tracing and slow steps")
    print_table(["", "seconds"], [[name, spread([each[name] for each in rounds])] for name in parts])
    shares = [each["search"] / each["steps"] - 1 for each in rounds]
    work = f"CNN grid, {N_CANDIDATES} candidates x {N_FOLDS} folds, {arguments.patches} patches"
    slow = median(each["tracing and slow steps"] / each["steps"] for each in rounds)
    note = f"share of their time, {arguments.epochs} epochs a fit; {slow:.3f} of it tracing and slow steps"
    bar = Comparison(f"{work}: beside the steps", "a bar", "", shares, bar=f"at most {BAR}", note=note)
    report(arguments.json, [bar], rounds=rounds)


if __name__ == "__main__":
    main()
