"""Patches per second from image files to embeddings: a plain Keras script, and HistoEmbedder on its engines.

The script decodes and resizes one file after the other, and calls `predict` of a network of
keras.applications with the batch size that Keras takes by itself. Both sides have the same weights. All take
turns in one process, with the cache of embeddings emptied before each pass. The first pass, which builds the
network, traces, converts and compiles, is reported apart and is no part of the rates. Errors are relative to
the script's embeddings: the largest difference over the largest number, and the norm of all differences over
that of all numbers (Frobenius).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _frozen_peer import (
    NETWORKS,
    Network,
    choose_patches,
    forget_embeddings,
    load_engines,
    read_files,
    weights_file,
)
from _report import machine, print_machine, print_table, spread, versions, write_json

from histoclf import HistoEmbedder

SCRIPT = "Keras script"
ENGINES = ("keras", *(("openvino", "openvino-bf16") if find_spec("openvino") else ()))
BARS = {"mobilenet": 2.0, "mobilenet_v2": 2.0, "resnet50": 1.5}  # with OpenVINO, over the script
KERAS_BAR = 1.0
ERROR_BAR = 1e-4
RANDOM = ("resnet50",)  # its weights are 95 MB, and do not matter here

Embed = Callable[[np.ndarray], np.ndarray]


def open_script(network: Network, weights: str, side: int) -> Embed:
    """Build the network by hand; what is returned decodes and predicts."""
    model = network.script(side, weights, "avg")
    return lambda paths: model.predict(read_files(paths, side), verbose=0)


def open_ours(network: Network, weights: str, side: int, engine: str) -> Embed:
    """Make an embedder."""
    return HistoEmbedder(
        network.backbone,
        backbone_params=network.params,
        weights=weights,
        image_size=side,
        engine=engine,
        layers=None,  # the last one, and the image alone, as the script has it
        channels="rgb",
    ).fit_transform


def timed(embed: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Time one pass, with no embedding known before."""
    forget_embeddings()
    start = time.perf_counter()
    embeddings = embed()
    return time.perf_counter() - start, embeddings


def measure(network: Network, weights: str, paths: np.ndarray, side: int, rounds: int) -> dict[str, Any]:
    """Open everything, then take turns: seconds of each pass, and the embeddings of the first."""
    opened: dict[str, Embed] = {}
    runs: dict[str, Any] = {}
    for name in (SCRIPT, *ENGINES):

        def first_pass(name: str = name) -> np.ndarray:
            ours = name != SCRIPT
            opened[name] = (
                open_ours(network, weights, side, name) if ours else open_script(network, weights, side)
            )
            return opened[name](paths)

        seconds, embeddings = timed(first_pass)
        runs[name] = {"first pass": seconds, "seconds": [], "embeddings": embeddings}
    for _ in range(rounds):
        for name, embed in opened.items():
            runs[name]["seconds"].append(timed(lambda embed=embed: embed(paths))[0])
    return runs


def summarise(runs: dict[str, Any], network: Network, n_patches: int) -> dict[str, Any]:
    """Reduce to rates, ratios to the script round by round, and errors."""
    script = runs[SCRIPT]
    truth = script["embeddings"].astype("float64")
    bars = {"keras": KERAS_BAR, "openvino": BARS[network.backbone]}
    rows = {}
    for name, run in runs.items():
        difference = run["embeddings"] - truth
        rows[name] = {
            "first pass": run["first pass"],
            "seconds": run["seconds"],
            "rates": [n_patches / seconds for seconds in run["seconds"]],
            "ratios": [s / o for s, o in zip(script["seconds"], run["seconds"], strict=True)],
            "bar": bars.get(name),
            "largest error": float(np.abs(difference).max() / np.abs(truth).max()),
            "error of the norm": float(np.linalg.norm(difference) / np.linalg.norm(truth)),
        }
    return rows


def report(rows: dict[str, Any]) -> None:
    """Print the table of one network."""
    table = []
    for name, row in rows.items():
        ours = name != SCRIPT
        table.append(
            [
                name,
                f"{row['first pass']:.1f} s",
                spread(row["rates"], 0),
                spread(row["ratios"]) if ours else "",
                f"{row['bar']:g}" if row["bar"] else "",
                f"{row['largest error']:.1e}" if ours else "",
                f"{row['error of the norm']:.1e}" if ours else "",
            ]
        )
    header = [
        "",
        "first pass",
        "patches per second",
        "over the script",
        "bar",
        "largest error",
        "of the norm",
    ]
    print_table(header, table)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of patches with classes in the names")
    parser.add_argument("--patches", type=int, default=1000)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=5, help="passes of each, after the first")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser.parse_args()


def main() -> None:
    """Measure one network after the other, and print."""
    arguments = parse()
    print_machine()
    paths = choose_patches(arguments.data, arguments.patches)[0]
    load_engines()
    results: dict[str, Any] = {"error bar": ERROR_BAR, "machine": machine(), "versions": versions()}
    for key in arguments.networks:
        network, side = NETWORKS[key], arguments.image_size
        with weights_file(network, None if key in RANDOM else "imagenet") as (weights, kind):
            runs = measure(network, weights, paths, side, arguments.rounds)
        rows = summarise(runs, network, len(paths))
        print(
            f"\n{key}, {kind} weights, {len(paths)} files, {side} pixels (bar of the errors: {ERROR_BAR:g})"
        )
        report(rows)
        results[key] = {"weights": kind, "rows": rows}
        write_json(arguments.json, results)


if __name__ == "__main__":
    main()
