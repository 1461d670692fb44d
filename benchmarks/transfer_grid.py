"""A grid search over frozen features: 12 values of C x 2 poolings x 5 folds by patient, on image files.

GridSearchCV(HistoTransferClassifier, n_jobs=1) is compared with the least that a script could do: decode all
files, one pass of Keras' `predict`, and the same 120 heads fitted by scikit-learn's LogisticRegression to
embeddings that are standardised already. Building the network, standardising and scoring are not counted
there; on our side all of the search is, except for imports. Neither side fits once more on all data.

The same grid over a Pipeline(HistoEmbedder, StandardScaler, LogisticRegression), without `memory=` and with
it, is timed whole as well; and on fewer files one whose first step is a transformer that calls `predict`
whenever it is asked. Everything runs in a fresh process, so that nothing is known before, and in turns. The
images that go through the backbone are counted: as many as there are distinct files is each exactly once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _comparison import Comparison, report
from _frozen_peer import NETWORKS, NaiveEmbedder, choose_patches, load_engines, read_files, weights_file
from _report import in_fresh_process, print_machine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from histoclf import HistoEmbedder, HistoTransferClassifier
from histoclf.networks import _embedding

STRENGTHS = np.logspace(-5, 0.5, 12).tolist()
POOLINGS = ("avg", "avg+max")
FOLDS = StratifiedGroupKFold(5, shuffle=True, random_state=0)
BAR = 1.3
GOAL = 5.0  # passes
OURS, SCRIPT = "GridSearchCV(HistoTransferClassifier)", "one predict pass + the same heads"
ONE_PASS = "the script's pass alone"
PIPELINE, MEMORY = "Pipeline(HistoEmbedder, ...)", "Pipeline(HistoEmbedder, ..., memory=)"
NAIVE, NAIVE_MEMORY = "Pipeline(naive transformer, ...)", "Pipeline(naive transformer, ..., memory=)"


def head() -> LogisticRegression:
    """Make scikit-learn's head: as many steps as its own tolerance asks for."""
    return LogisticRegression(class_weight="balanced", max_iter=10_000)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the images of every call of a frozen backbone, on whichever engine."""
    make_runner, calls = _embedding.make_runner, []

    def make_counting(*arguments: Any) -> Callable[[np.ndarray], np.ndarray]:
        run = make_runner(*arguments)

        def count(images: np.ndarray) -> np.ndarray:
            calls.append(len(images))
            return run(images)

        return count

    _embedding.make_runner = make_counting
    try:
        yield calls
    finally:
        _embedding.make_runner = make_runner


def search(model: Any, pooling: str, strength: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Search over two parameters; seconds, images that the backbone saw, and the accuracy of every fit."""
    paths, labels, patients = choose_patches(arguments.data, arguments.patches)
    load_engines()
    grid = {pooling: POOLINGS, strength: STRENGTHS}
    searcher = GridSearchCV(model, grid, cv=FOLDS, n_jobs=1, refit=False)
    with counted() as calls:
        start = time.perf_counter()
        searcher.fit(paths, labels, groups=patients)
        seconds = time.perf_counter() - start
    found = searcher.cv_results_
    scores = np.transpose([found[f"split{fold}_test_score"] for fold in range(FOLDS.n_splits)])
    settings = [(params[pooling], params[strength]) for params in found["params"]]
    order = sorted(range(len(settings)), key=settings.__getitem__)
    return {"seconds": seconds, "images": sum(calls), "scores": scores[order].tolist()}


def frozen(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give the parameters that classifier and embedder share."""
    network = NETWORKS[arguments.network]
    return {
        "backbone": network.backbone,
        "backbone_params": network.params,
        "weights": arguments.weights,
        "layers": None,  # the last one, and the image alone, as the script has it
        "channels": "rgb",
        "image_size": arguments.image_size,
        "engine": arguments.engine,
    }


def search_ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """Search with the classifier."""
    return search(HistoTransferClassifier(**frozen(arguments)), "pooling", "C", arguments)


def search_pipeline(arguments: argparse.Namespace, embedder: Any, memory: str | None = None) -> Any:
    """Search with an embedder and scikit-learn's own steps."""
    steps = [("embed", embedder), ("scale", StandardScaler()), ("head", head())]
    return search(Pipeline(steps, memory=memory), "embed__pooling", "head__C", arguments)


def search_with_memory(arguments: argparse.Namespace, embedder: Any) -> dict[str, Any]:
    """Search with a folder of the Pipeline's own, empty at first."""
    with tempfile.TemporaryDirectory() as folder:
        return search_pipeline(arguments, embedder, folder)


def ours(arguments: argparse.Namespace) -> HistoEmbedder:
    """Make our embedder."""
    return HistoEmbedder(**frozen(arguments))


def naive(arguments: argparse.Namespace) -> NaiveEmbedder:
    """Make the naive one."""
    return NaiveEmbedder(arguments.network, arguments.image_size, arguments.weights)


def run_script(arguments: argparse.Namespace) -> dict[str, Any]:
    """Do by hand what the search comes to; seconds of each part, and the accuracy of every fit."""
    paths, labels, patients = choose_patches(arguments.data, arguments.patches)
    model = NETWORKS[arguments.network].script(arguments.image_size, arguments.weights, "avg+max")
    start = time.perf_counter()
    images = read_files(paths, arguments.image_size)
    decoded = time.perf_counter()
    embeddings = model.predict(images, verbose=0)
    embedded = time.perf_counter()
    of_pooling = {"avg": embeddings[:, : embeddings.shape[1] // 2], "avg+max": embeddings}
    fits = [fit_heads(of_pooling[pooling], labels, patients) for pooling in POOLINGS]
    heads = sum(seconds for seconds, _ in fits)
    return {
        "seconds": embedded - start + heads,
        "pass": embedded - start,
        "decode": decoded - start,
        "predict": embedded - decoded,
        "heads": heads,
        "scores": [scores for _, of_fits in fits for scores in of_fits],
    }


def fit_heads(
    embeddings: np.ndarray, labels: np.ndarray, patients: np.ndarray
) -> tuple[float, list[list[float]]]:
    """Fit a head for each C and fold; only the fits are timed. Scores are those of C x fold."""
    seconds, scores = 0.0, np.empty((len(STRENGTHS), FOLDS.n_splits))
    for fold, (train, test) in enumerate(FOLDS.split(embeddings, labels, patients)):
        balanced = compute_sample_weight("balanced", labels[train])
        scaler = StandardScaler().fit(embeddings[train], sample_weight=balanced)
        ready = scaler.transform(embeddings[train])
        for row, C in enumerate(STRENGTHS):
            model = head().set_params(C=C)
            start = time.perf_counter()
            model.fit(ready, labels[train])
            seconds += time.perf_counter() - start
            scores[row, fold] = model.score(scaler.transform(embeddings[test]), labels[test])
    return seconds, scores.tolist()


RUNS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    OURS: search_ours,
    SCRIPT: run_script,
    PIPELINE: lambda arguments: search_pipeline(arguments, ours(arguments)),
    MEMORY: lambda arguments: search_with_memory(arguments, ours(arguments)),
    NAIVE: lambda arguments: search_pipeline(arguments, naive(arguments)),
    NAIVE_MEMORY: lambda arguments: search_with_memory(arguments, naive(arguments)),
}
WHOLE = (OURS, SCRIPT, PIPELINE, MEMORY)  # on all files
FEWER = (OURS, NAIVE, NAIVE_MEMORY)


def count_distinct(paths: np.ndarray) -> int:
    """Count files of different content; that fills the disk's cache as well."""
    return len({hashlib.sha256(Path(path).read_bytes()).digest() for path in paths})


def measure(arguments: argparse.Namespace, weights: str) -> dict[str, list[dict[str, Any]]]:
    """Run everything in turns, each in a fresh process."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WHOLE}
    for number in range(arguments.rounds):
        for name in WHOLE:
            if name in (OURS, SCRIPT) or number < arguments.pipeline_rounds:
                child = ("--in-child", name, "--weights", weights)
                runs[name].append(in_fresh_process(__file__, *sys.argv[1:], *child))
        print(f"round {number + 1} of {arguments.rounds} done", flush=True)
    return {name: of_name for name, of_name in runs.items() if of_name}


def describe(n_patches: int) -> str:
    """Name the work."""
    n_candidates = len(POOLINGS) * len(STRENGTHS)
    return f"search, {n_candidates} x {FOLDS.n_splits} fits, {n_patches:,} files"


def compare_naive(arguments: argparse.Namespace, weights: str) -> list[Comparison]:
    """Search fewer files once each, beside pipelines whose embeddings nobody keeps, or `memory=` alone."""
    fewer = ("--patches", str(arguments.naive_patches), "--weights", weights, "--in-child")
    seconds = {name: [in_fresh_process(__file__, *sys.argv[1:], *fewer, name)["seconds"]] for name in FEWER}
    work = describe(arguments.naive_patches)
    return [Comparison(work, name, "s", seconds[OURS], seconds[name]) for name in FEWER[1:]]


def compare(arguments: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> list[Comparison]:
    """Write one line for each peer; the pipelines may have run in fewer rounds than we."""
    work = describe(arguments.patches)
    peers = {name: [run["seconds"] for run in of_name] for name, of_name in runs.items() if name != OURS}
    peers[ONE_PASS] = [run["pass"] for run in runs[SCRIPT]]
    bars = {SCRIPT: f"at most {BAR:g}", ONE_PASS: f"at most {GOAL:g}"}
    notes = {SCRIPT: f"{arguments.network}; {script_note(runs)}", ONE_PASS: count_note(arguments, runs)}
    ours = [run["seconds"] for run in runs[OURS]]
    return [
        Comparison(work, name, "s", ours[: len(theirs)], theirs, bars.get(name, ""), notes.get(name, ""))
        for name, theirs in peers.items()
    ]


def script_note(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Say what the script's time went to, and how far the accuracies of the same fits are apart."""
    parts = [
        f"{part} {median(run[part] for run in runs[SCRIPT]):.1f} s" for part in ("decode", "predict", "heads")
    ]
    rounds = zip(runs[OURS], runs[SCRIPT], strict=True)
    apart = [np.abs(np.subtract(ours["scores"], script["scores"])) for ours, script in rounds]
    return f"{', '.join(parts)}; accuracies apart by {np.mean(apart):.4f}, at most {np.max(apart):.4f}"


def count_note(arguments: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> str:
    """Say how many images went through the backbone, of how many."""
    n_distinct = count_distinct(choose_patches(arguments.data, arguments.patches)[0])
    seen = {name: of_name[0]["images"] for name, of_name in runs.items() if name != SCRIPT}
    counts = ", ".join(f"{name} {number}" for name, number in seen.items())
    return f"images through the backbone, of {n_distinct} distinct files: {counts}"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of patches with classes and patients in the names")
    parser.add_argument("--patches", type=int, default=2000)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--network", choices=NETWORKS, default="mobilenet")
    parser.add_argument("--engine", default="auto", help="of our searches")
    parser.add_argument("--rounds", type=int, default=3, help="of search and script")
    parser.add_argument("--pipeline-rounds", type=int, default=1, help="of the searches over a Pipeline")
    parser.add_argument("--naive-patches", type=int, default=400, help="files of the naive pipelines; or 0")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure everything in processes of their own, and print."""
    arguments = parse()
    if arguments.in_child:
        print(json.dumps(RUNS[arguments.in_child](arguments)))
        return
    print_machine()
    with weights_file(NETWORKS[arguments.network]) as (weights, kind):
        runs = measure(arguments, weights)
        print(f"{arguments.network}: {kind} weights, {arguments.image_size} px", flush=True)
        found = compare(arguments, runs)
        if arguments.naive_patches:
            found += compare_naive(arguments, weights)
    report(arguments.json, found, runs=runs)


if __name__ == "__main__":
    main()
