"""Patches per second from image files to embeddings: a plain Keras script, and HistoEmbedder on its engines.

The script decodes and resizes one file after the other, and calls `predict` of a network of
keras.applications with the batch size that Keras takes by itself. Both sides have the same weights. All take
turns in one process, with the cache of embeddings emptied before each pass. The first pass, which builds the
network, traces, converts and compiles, is reported apart and is no part of the rates. Errors are relative to
the script's embeddings: the largest difference over the largest number, and the norm of all differences over
that of all numbers (Frobenius).

The same pass is timed again with the embeddings remembered: by the process, and by a folder (`memory=`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _comparison import Comparison, report
from _frozen_peer import (
    NETWORKS,
    Network,
    choose_patches,
    forget_embeddings,
    load_engines,
    read_files,
    weights_file,
)
from _report import print_machine

from histoclf import HistoEmbedder

SCRIPT = "Keras script"
ENGINES = ("keras", *(("openvino", "openvino-bf16") if find_spec("openvino") else ()))
BARS = {"mobilenet": 2.0, "mobilenet_v2": 2.0, "resnet50": 1.5}  # with OpenVINO, over the script
KERAS_BAR = 1.0
CACHE_BAR = 50.0
COMPUTED, IN_MEMORY, IN_FOLDER = "computed", "found in memory", "found in a folder"
RANDOM = ("resnet50",)  # its weights are 95 MB, and do not matter here

Embed = Callable[[np.ndarray], np.ndarray]


def open_script(network: Network, weights: str, side: int) -> Embed:
    """Build the network by hand; what is returned decodes and predicts."""
    model = network.script(side, weights, "avg")
    return lambda paths: model.predict(read_files(paths, side), verbose=0)


def open_ours(network: Network, weights: str, side: int, engine: str, memory: str | None = None) -> Embed:
    """Make an embedder."""
    return HistoEmbedder(
        network.backbone,
        backbone_params=network.params,
        weights=weights,
        image_size=side,
        engine=engine,
        memory=memory,
        layers=None,  # the last one, and the image alone, as the script has it
        channels="rgb",
    ).fit_transform


def timed(embed: Callable[[], np.ndarray], *, forget: bool = True) -> tuple[float, np.ndarray]:
    """Time one pass, with no embedding known to the process before unless `forget` is False."""
    if forget:
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


def measure_cache(
    network: Network, weights: str, paths: np.ndarray, side: int, rounds: int
) -> dict[str, list[float]]:
    """Take turns: seconds to compute the embeddings, to find them in memory, and in a folder."""
    found: dict[str, list[float]] = {COMPUTED: [], IN_MEMORY: [], IN_FOLDER: []}
    with TemporaryDirectory() as folder:
        without, with_folder = (
            open_ours(network, weights, side, "auto", memory) for memory in (None, folder)
        )
        timed(lambda: with_folder(paths))  # builds the network, and fills the folder
        for _ in range(rounds):
            found[COMPUTED].append(timed(lambda: without(paths))[0])
            found[IN_MEMORY].append(timed(lambda: without(paths), forget=False)[0])
            found[IN_FOLDER].append(timed(lambda: with_folder(paths))[0])
    return found


def compare(runs: dict[str, Any], work: str, network: Network, n_patches: int) -> list[Comparison]:
    """Write one line for each engine: rates of later passes, and errors against the script."""
    script = runs[SCRIPT]
    truth = script["embeddings"].astype("float64")
    bars = {"keras": f"at least {KERAS_BAR:g}", "openvino": f"at least {BARS[network.backbone]:g}"}
    found = []
    for name in ENGINES:
        run = runs[name]
        difference = run["embeddings"] - truth
        note = (
            f"first pass {run['first pass']:.1f} s, the script's {script['first pass']:.1f} s; largest error "
            f"{np.abs(difference).max() / np.abs(truth).max():.1e}, of the norm "
            f"{np.linalg.norm(difference) / np.linalg.norm(truth):.1e}"
        )
        ours, theirs = ([n_patches / seconds for seconds in each["seconds"]] for each in (run, script))
        of_engine = f"{work}, engine={name!r}"
        found.append(Comparison(of_engine, SCRIPT, "patches/s", ours, theirs, bars.get(name, ""), note))
    return found


def compare_cache(seconds: dict[str, list[float]], work: str, n_patches: int) -> list[Comparison]:
    """Write one line for each place where embeddings are found again."""
    rates = {name: [n_patches / each for each in of_name] for name, of_name in seconds.items()}
    bar = f"at least {CACHE_BAR:g}"
    return [
        Comparison(f"{work}, {name}", COMPUTED, "patches/s", rates[name], rates[COMPUTED], bar)
        for name in (IN_MEMORY, IN_FOLDER)
    ]


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
    side, found = arguments.image_size, []
    for key in arguments.networks:
        network = NETWORKS[key]
        with weights_file(network, None if key in RANDOM else "imagenet") as (weights, kind):
            runs = measure(network, weights, paths, side, arguments.rounds)
            cached = measure_cache(network, weights, paths, side, arguments.rounds)
        print(f"{key}: {kind} weights, {len(paths):,} files", flush=True)
        work = f"embedding, {key}, {side} px"
        found += compare(runs, work, network, len(paths)) + compare_cache(cached, work, len(paths))
    report(arguments.json, found)


if __name__ == "__main__":
    main()
