"""Accuracy on unseen patients: the classifier on a folder of breast patches, beside trivial baselines.

Five folds by patient (StratifiedGroupKFold), every seed on the same folds, scores over the pooled out-of-fold
probabilities. Results are written after every fold, and a run that is started again with the same settings
goes on where it stopped. With --inner the same is done inside each outer training part only, so that settings
can be chosen without a look at the patients that are reported.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _report import print_table, versions, write_json
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from histoclf import Augmentation, HistoCNNClassifier, find_patches
from histoclf.io import common_size, load_patches

SCORES = ("balanced accuracy", "AUC", "AUC within patients")


@dataclass(frozen=True)
class Data:
    """Patches, held in memory once for all fits."""

    images: np.ndarray
    positive: np.ndarray
    patients: np.ndarray
    names: list[str]
    description: str
    leaky: bool  # whether patches of one patient may be on both sides


@dataclass(frozen=True)
class Part:
    """One fit: train on some rows, answer for others; scores are pooled over the parts of one `pool`."""

    name: str
    pool: str
    train: np.ndarray
    test: np.ndarray


def read(root: Path, every: int, leaky: bool = False) -> Data:
    """Decode the folder's patches at the size most of them have."""
    patches = find_patches(root)
    paths = patches.paths[::every]
    images = load_patches(paths, image_size=common_size(paths)).images
    names = [Path(path).relative_to(root).as_posix() for path in paths]
    positive = (patches.labels[::every] == patches.classes[1]).astype(int)
    return Data(images, positive, patches.groups[::every], names, patches.description.splitlines()[0], leaky)


def folds(
    data: Data, rows: np.ndarray, n_folds: int, random_state: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split rows by patient, or at random if that is asked for."""
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
    if data.leaky:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    for train, test in splitter.split(rows, data.positive[rows], data.patients[rows]):
        yield rows[train], rows[test]


def parts(data: Data, repeats: int, inner: int) -> list[Part]:
    """List every fit that one seed asks for."""
    everything = np.arange(len(data.positive))
    found = []
    for repeat in range(repeats):
        for number, (train, test) in enumerate(folds(data, everything, 5, repeat)):
            if not inner:
                found.append(Part(f"split{repeat}/fold{number}", f"split{repeat}", train, test))
                continue
            pool = f"split{repeat}/fold{number}"
            for count, (inner_train, inner_test) in enumerate(folds(data, train, inner, 0)):
                found.append(Part(f"{pool}/inner{count}", pool, inner_train, inner_test))
    return found


def mean_colour(images: np.ndarray) -> np.ndarray:
    """Three numbers an image."""
    return images.mean(axis=(1, 2))


def majority() -> ClassifierMixin:
    """Give everybody the most frequent class."""
    return DummyClassifier(strategy="most_frequent")


def colour_model() -> ClassifierMixin:
    """Build a logistic regression on the mean colour."""
    model = LogisticRegression(class_weight="balanced")
    return make_pipeline(FunctionTransformer(mean_colour), StandardScaler(), model)


def scores(data: Data, test: np.ndarray, probability: np.ndarray) -> list[float]:
    """Score at threshold 0.5; the last number is the mean over the patients that have both classes."""
    positive, patients = data.positive[test], data.patients[test]
    within = [
        roc_auc_score(positive[rows], probability[rows])
        for rows in (patients == patient for patient in np.unique(patients))
        if 0 < positive[rows].mean() < 1
    ]
    balanced = balanced_accuracy_score(positive, probability > 0.5)
    overall = float(roc_auc_score(positive, probability))
    return [float(balanced), overall, float(np.mean(within)) if within else float("nan")]


def pooled_scores(data: Data, all_parts: list[Part], answer: Callable[[Part], Any]) -> list[list[float]]:
    """Score every pool of parts, given the probabilities of each part."""
    pools: dict[str, list[Part]] = {}
    for part in all_parts:
        pools.setdefault(part.pool, []).append(part)
    return [
        scores(
            data,
            np.concatenate([part.test for part in members]),
            np.concatenate([answer(part) for part in members]),
        )
        for members in pools.values()
    ]


def baseline_rows(data: Data, all_parts: list[Part]) -> dict[str, list[list[float]]]:
    """Score the trivial models on the same parts."""
    found = {}
    for name, build in {"majority class": majority, "mean colour": colour_model}.items():

        def answer(part: Part, build: Callable[[], ClassifierMixin] = build) -> np.ndarray:
            model = build().fit(data.images[part.train], data.positive[part.train])
            return model.predict_proba(data.images[part.test])[:, 1]

        found[name] = pooled_scores(data, all_parts, answer)
    return found


def build_classifier(settings: dict[str, str], seed: int) -> HistoCNNClassifier:
    """Build the default classifier, changed by --set; a dict for `augmentation` gives its fields."""
    params = {name: literal(text) for name, text in settings.items()}
    if isinstance(params.get("augmentation"), dict):
        params["augmentation"] = Augmentation(**params["augmentation"])
    return HistoCNNClassifier(random_state=seed).set_params(**params)


def literal(text: str) -> Any:
    """Read a value of --set; a plain word needs no quotes."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def run_part(data: Data, part: Part, settings: dict[str, str], seed: int) -> dict[str, Any]:
    """Fit once; everything worth keeping, probabilities included."""
    start = time.perf_counter()
    model = build_classifier(settings, seed)
    model.fit(data.images[part.train], data.positive[part.train], groups=data.patients[part.train])
    seconds = time.perf_counter() - start
    probability = model.predict_proba(data.images[part.test])[:, 1]
    return {
        "scores": scores(data, part.test, probability),
        "seconds": seconds,
        "n_iter": model.n_iter_,
        "rows": part.test.tolist(),
        "probability": [round(float(value), 7) for value in probability],
    }


def resume(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Read what an earlier run left, or start afresh; refuse a file of other settings or other data."""
    if not path.exists():
        return {**identity, "versions": versions(), "fits": {}}
    results = json.loads(path.read_text(encoding="utf-8"))
    differing = [name for name, value in identity.items() if results.get(name, value) != value]
    if differing:
        raise SystemExit(
            f"{path} holds a run with another {', '.join(differing)}; give another --out, or remove it."
        )
    return results


def summarise(data: Data, all_parts: list[Part], results: dict[str, Any], seeds: list[int]) -> None:
    """Print the finished seeds beside the baselines, and put the scores into `results`."""
    fits = results["fits"]
    finished = [seed for seed in seeds if all(f"seed{seed}/{part.name}" in fits for part in all_parts)]
    table = dict(results["baselines"])
    for seed in finished:

        def stored(part: Part, seed: int = seed) -> Any:
            return fits[f"seed{seed}/{part.name}"]["probability"]

        table[f"HistoCNNClassifier, seed {seed}"] = pooled_scores(data, all_parts, stored)
    if len(finished) > 1:
        means = [np.mean(table[f"HistoCNNClassifier, seed {seed}"], axis=0) for seed in finished]
        table["HistoCNNClassifier, all seeds"] = means
    results["table"] = {name: np.asarray(values).tolist() for name, values in table.items()}
    rows = [[name, *mean_and_spread(values)] for name, values in table.items()]
    print_table(["", *SCORES], rows)


def mean_and_spread(values: Any) -> list[str]:
    """Write the mean over the first axis, and the standard deviation if there is one."""
    values = np.asarray(values)
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1 if len(values) > 1 else 0)
    return [
        f"{m:.3f}" + (f" ± {s:.3f}" if len(values) > 1 else "") for m, s in zip(mean, spread, strict=True)
    ]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="folder of patches with two classes and patients in the names"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="random_state of the classifier")
    parser.add_argument(
        "--repeats", type=int, default=1, help="partitions into folds; the first has random_state 0"
    )
    parser.add_argument(
        "--inner",
        type=int,
        nargs="?",
        const=3,
        default=0,
        metavar="FOLDS",
        help="score inside training parts only",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="""parameters of the classifier, for instance
        epochs=20 augmentation=strong "augmentation={'flip': True, 'stain': 0.1}" """,
    )
    parser.add_argument(
        "--random-split", action="store_true", help="ignore the patients, to see by how much that flatters"
    )
    parser.add_argument("--every", type=int, default=1, help="use every n-th patch, for a quick try")
    parser.add_argument(
        "--out", type=Path, default=Path("idc_breast.json"), help="results, written and resumed"
    )
    return parser.parse_args()


def main() -> None:
    """Run what is missing, and print the table."""
    arguments = parse()
    settings = dict(item.split("=", 1) for item in arguments.set)
    data = read(arguments.data, arguments.every, arguments.random_split)
    print(data.description)
    identity = {
        "settings": settings,
        "parameters": {
            name: repr(value) for name, value in build_classifier(settings, 0).get_params().items()
        },
        "inner": arguments.inner,
        "random_split": arguments.random_split,
        "data": hashlib.sha256("\n".join(data.names).encode()).hexdigest(),
    }
    results = resume(arguments.out, identity)
    all_parts = parts(data, arguments.repeats, arguments.inner)
    results["baselines"] = baseline_rows(data, all_parts)
    for seed in arguments.seeds:
        for part in all_parts:
            key = f"seed{seed}/{part.name}"
            if key not in results["fits"]:
                results["fits"][key] = fit = run_part(data, part, settings, seed)
                write_json(arguments.out, results)
                said = "  ".join(f"{value:.3f}" for value in fit["scores"])
                print(f"{key}: {said}  ({fit['n_iter']} epochs, {fit['seconds']:.0f} s)", flush=True)
    summarise(data, all_parts, results, arguments.seeds)
    write_json(arguments.out, results)


if __name__ == "__main__":
    main()
