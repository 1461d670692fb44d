"""How accuracy grows with the number of labelled patches: a frozen network against one trained from scratch.

The folds and scores are those of `idc_breast.py`. Of each training part a stratified sample is used,
the smaller ones within the larger ones; test patients are always whole, and never trained on. Results are
written after every fit, and a run that is started again goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _report import print_table, versions, write_json
from idc_breast import SCORES, Data, Part, colour_model, mean_and_spread, parts, pooled_scores, read
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from histoclf import HistoCNNClassifier, HistoTransferClassifier
from histoclf.exceptions import CollapsedModelWarning


def models(seed: int) -> dict[str, Any]:
    """List what is compared."""
    return {
        "mean colour": colour_model(),
        "HistoTransferClassifier": HistoTransferClassifier("mobilenet", random_state=seed),
        "HistoCNNClassifier": HistoCNNClassifier(random_state=seed),
    }


def nested(data: Data, rows: np.ndarray, sizes: list[int], seed: int) -> dict[int, np.ndarray]:
    """Draw stratified samples, each from the next larger one."""
    found, pool = {}, rows
    for size in sorted(sizes, reverse=True):
        if size < len(pool):
            pool, _ = train_test_split(pool, train_size=size, stratify=data.positive[pool], random_state=seed)
        found[size] = np.sort(pool)
    return found


def run(data: Data, all_parts: list[Part], sizes: list[int], seeds: list[int], out: Path) -> dict[str, Any]:
    """Run what is missing."""
    results = {"versions": versions(), "sizes": sizes, "fits": {}}
    if out.exists():
        results = json.loads(out.read_text(encoding="utf-8"))
    for seed in seeds:
        for part in all_parts:
            for size, rows in nested(data, part.train, sizes, seed).items():
                for name, model in models(seed).items():
                    key = f"{name}/{size}/seed{seed}/{part.name}"
                    if key in results["fits"]:
                        continue
                    with warnings.catch_warnings():
                        # With a hundred patches that happens, and is part of the answer.
                        warnings.simplefilter("ignore", CollapsedModelWarning)
                        fitted = clone(model).fit(data.images[rows], data.positive[rows])
                    probability = fitted.predict_proba(data.images[part.test])[:, 1]
                    results["fits"][key] = [round(float(value), 7) for value in probability]
                    write_json(out, results)
                    print(key, flush=True)
    return results


def summarise(
    data: Data, all_parts: list[Part], results: dict[str, Any], sizes: list[int], seeds: list[int]
) -> dict[str, dict[int, np.ndarray]]:
    """Score every model at every size: an array of shape (n_seeds, 3)."""
    table: dict[str, dict[int, np.ndarray]] = {}
    for name in models(0):
        for size in sizes:
            values = []
            for seed in seeds:
                found = pooled_scores(
                    data,
                    all_parts,
                    lambda part, n=name, k=size, s=seed: np.asarray(
                        results["fits"][f"{n}/{k}/seed{s}/{part.name}"]
                    ),
                )
                values.append(np.mean(found, axis=0))
            table.setdefault(name, {})[size] = np.array(values)
    return table


def plot(table: dict[str, dict[int, np.ndarray]], path: Path) -> None:
    """Draw the scores over the number of training patches, with the standard deviation over seeds."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, len(SCORES))
    for number, axis in enumerate(axes):
        for name, by_size in table.items():
            sizes = sorted(by_size)
            means = [by_size[size][:, number].mean() for size in sizes]
            spread = [by_size[size][:, number].std(ddof=1) if len(by_size[size]) > 1 else 0 for size in sizes]
            axis.errorbar(sizes, means, yerr=spread, marker="o", capsize=3, label=name)
        axis.set(xscale="log", xlabel="training patches", ylabel=SCORES[number])
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[-1].legend(fontsize=8, loc="lower right")
    with rc_context({"svg.hashsalt": "histoclf"}):  # the same file from the same numbers
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Run what is missing, print the table and draw the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="folder of patches with two classes and patients in the names"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("label_efficiency.json"), help="written and resumed")
    parser.add_argument("--plot", type=Path, help="file of the plot, such as plot.svg (needs matplotlib)")
    arguments = parser.parse_args()
    data = read(arguments.data, 1)
    all_parts = parts(data, repeats=1, inner=0)
    results = run(data, all_parts, arguments.sizes, arguments.seeds, arguments.out)
    table = summarise(data, all_parts, results, arguments.sizes, arguments.seeds)
    rows = [
        [f"{name}, {size:,} patches", *mean_and_spread(values)]
        for name, by_size in table.items()
        for size, values in by_size.items()
    ]
    print_table(["", *SCORES], rows)
    if arguments.plot:
        plot(table, arguments.plot)


if __name__ == "__main__":
    main()
