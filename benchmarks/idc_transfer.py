"""Accuracy on unseen patients of transfer learning: backbones, stains, fine-tuning and slide context.

The folds, the scores and the baselines are those of `idc_breast.py`; every fit is scored with and without
slide context, and so is the mean colour. Results are written after every fold, and a run that is started
again goes on where it stopped. With --inner the same is done inside each outer training part only, so that
defaults can be chosen without a look at the patients that are reported.

The backbone that comes with the package learned from patches of the same set: its rows are there only if
`--unseen A.npz=0,1 B.npz=2,3,4` names weights that were made without the test patients of those folds.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from _report import print_table, write_json
from _unseen import add_unseen, digests, read_unseen
from idc_breast import (
    SCORES,
    Data,
    Part,
    colour_model,
    literal,
    mean_and_spread,
    parts,
    pooled_scores,
    read,
    resume,
)
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from histoclf import (
    Augmentation,
    HistoTransferClassifier,
    SlideContextClassifier,
    StainNormalizer,
    find_patches,
)
from histoclf.evaluation import mean_colours

HISTOLOGY = "histology"
BACKBONES = {
    HISTOLOGY: {"backbone": HISTOLOGY},
    "MobileNet 1.0": {"backbone": "mobilenet"},
    "MobileNetV2 0.35": {"backbone": "mobilenet_v2", "backbone_params": {"alpha": 0.35}},
    "MobileNetV2 1.0": {"backbone": "mobilenet_v2"},
}
IN_DETAIL = (HISTOLOGY, "MobileNet 1.0")
# Short, and with one picture a patch: a fit takes two to three minutes on two cores. More layers, more epochs
# or a higher rate were no better inside the outer training parts, see docs/results.rst.
TUNED = {"fine_tune_layers": 10, "epochs": 3, "early_stopping": False, "channels": "haematoxylin"}
JITTER = Augmentation(flip=True, stain=0.1)
NO_JITTER = Augmentation.from_preset("standard").set_params(stain=0.0)


def estimators(seed: int) -> dict[str, Any]:
    """List every row: its name, and the unfitted classifier."""
    rows: dict[str, Any] = {}
    for name, backbone in BACKBONES.items():
        frozen = HistoTransferClassifier(**backbone, random_state=seed)
        tuned = clone(frozen).set_params(**TUNED)
        for stage, base in (("frozen", frozen), ("fine-tuned", tuned)):
            rows[f"{name}, {stage}"] = base
            rows[f"{name}, {stage}, Macenko"] = make_pipeline(StainNormalizer(method="macenko"), base)
        rows[f"{name}, frozen, eight views"] = clone(frozen).set_params(test_time_augmentation=True)
        rows[f"{name}, frozen, stain jitter"] = clone(frozen).set_params(
            augmented_copies=2, augmentation=JITTER
        )
        rows[f"{name}, fine-tuned, no stain jitter"] = clone(tuned).set_params(augmentation=NO_JITTER)
        for channels in ("rgb", "haematoxylin"):
            rows[f"{name}, frozen, {channels}"] = clone(frozen).set_params(channels=channels)
        if name in IN_DETAIL:
            rows[f"{name}, frozen, Reinhard"] = make_pipeline(StainNormalizer(method="reinhard"), frozen)
            rows[f"{name}, frozen, last layer"] = clone(frozen).set_params(layers=None)
    return rows


def is_random(name: str) -> bool:
    """Whether a row differs from seed to seed: the logistic regression has nothing random."""
    return "fine-tuned" in name or "jitter" in name


def is_ours(name: str) -> bool:
    """Whether a row needs weights that never saw the test patients."""
    return name.startswith(HISTOLOGY)


def last_step(estimator: Any) -> Any:
    """Return the classifier of a pipeline, or the classifier itself."""
    return estimator[-1] if hasattr(estimator, "steps") else estimator


def answers(data: Data, coords: np.ndarray, X: np.ndarray, part: Part, estimator: Any) -> dict[str, Any]:
    """Fit once, and give probabilities for the test rows: of the patches alone, and with slide context.

    Of a fine-tuned network with eight views as well. How far and how much its neighbours count was then
    learned with the same network frozen, for which the inner fits take seconds.
    """
    train, test = part.train, part.test
    there = {"groups": data.patients[train], "coords": coords[train]}
    here = {"groups": data.patients[test], "coords": coords[test]}
    model = SlideContextClassifier(estimator, neighbour_features=False, random_state=0)
    tuned = getattr(last_step(estimator), "fine_tune_layers", 0) != 0
    if tuned:
        frozen = clone(model)
        last_step(frozen.estimator).set_params(fine_tune_layers=0)
        frozen.fit(X[train], data.positive[train], **there)
        model.set_params(radius=frozen.radius_ or 1.0, weight=frozen.weight_)
    model.fit(X[train], data.positive[train], **there)
    found = {}
    for views in ("", ", eight views") if tuned else ("",):
        if views:
            last_step(model.estimator_).set_params(test_time_augmentation=True)
        found[views] = model.estimator_.predict_proba(X[test])[:, 1]
        found[f"{views}, context"] = model.predict_proba(X[test], **here)[:, 1]
    return found


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="folder of patches with IDC names: classes, patients, positions"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="random_state of what is random")
    add_unseen(parser)
    parser.add_argument("--rows", default=".*", metavar="REGEX", help="which rows to run (default: all)")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of every row")
    parser.add_argument("--inner", type=int, nargs="?", const=3, default=0, metavar="FOLDS")
    parser.add_argument("--every", type=int, default=1, help="use every n-th patch, for a quick try")
    parser.add_argument(
        "--out", type=Path, default=Path("idc_transfer.json"), help="results, written and resumed"
    )
    parser.add_argument("--table", action="store_true", help="print what there is, and run nothing")
    arguments = parser.parse_args()
    arguments.unseen = read_unseen(arguments.unseen)
    if arguments.unseen and arguments.inner:
        parser.error("--unseen is for the outer folds; with --inner see histology_backbone.py.")
    return arguments


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Read --set."""
    return {name: literal(text) for name, text in (item.split("=", 1) for item in arguments.set)}


def is_wanted(name: str, seed: int, arguments: argparse.Namespace) -> bool:
    """Whether a row is to be run with a seed."""
    if is_ours(name) and not arguments.unseen:
        return False
    return bool(re.search(arguments.rows, name)) and (seed == arguments.seeds[0] or is_random(name))


def run(
    data: Data,
    coords: np.ndarray,
    all_parts: list[Part],
    arguments: argparse.Namespace,
    results: dict[str, Any],
) -> None:
    """Run what is missing, row by row."""
    for seed in arguments.seeds:
        for name, estimator in estimators(seed).items():
            if not is_wanted(name, seed, arguments):
                continue
            for fold, part in enumerate(all_parts):
                key = f"{name}/seed{seed}/{part.name}"
                if key in results["fits"]:
                    continue
                start = time.perf_counter()
                model = clone(estimator)
                weights = {"weights": arguments.unseen[fold]} if is_ours(name) else {}
                last_step(model).set_params(**settings_of(arguments), **weights)
                found = answers(data, coords, data.images, part, model)
                results["fits"][key] = {
                    "probability": {
                        row: [round(float(value), 7) for value in values] for row, values in found.items()
                    },
                    "seconds": time.perf_counter() - start,
                }
                write_json(arguments.out, results)
            show(data, all_parts, results, name, seed)


def baselines(data: Data, coords: np.ndarray, all_parts: list[Part]) -> dict[str, list[list[float]]]:
    """Score the mean colour, by itself and with context."""
    colours = mean_colours(data.images)
    plain = colour_model()[1:]  # the colours are computed already
    found = {part.name: answers(data, coords, colours, part, plain) for part in all_parts}
    return {
        f"mean colour{row}": pooled_scores(data, all_parts, lambda part, row=row: found[part.name][row])
        for row in ("", ", context")
    }


def show(data: Data, all_parts: list[Part], results: dict[str, Any], name: str, seed: int) -> None:
    """Print the rows of one fit at once: long runs are watched."""
    for row, values in score(data, all_parts, results, name, seed).items():
        said = "  ".join(f"{value:.3f}" for value in values)
        seconds = np.mean([results["fits"][f"{name}/seed{seed}/{p.name}"]["seconds"] for p in all_parts])
        print(f"{name}{row}, seed {seed}: {said}  ({seconds:.0f} s a fold)", flush=True)


def score(
    data: Data, all_parts: list[Part], results: dict[str, Any], name: str, seed: int
) -> dict[str, np.ndarray]:
    """Score the rows of a fit, if all its parts are there."""
    keys = {part.name: f"{name}/seed{seed}/{part.name}" for part in all_parts}
    if not all(key in results["fits"] for key in keys.values()):
        return {}
    found = {part: results["fits"][key]["probability"] for part, key in keys.items()}
    return {
        row: np.mean(
            pooled_scores(data, all_parts, lambda part, row=row: np.asarray(found[part.name][row])), axis=0
        )
        for row in found[all_parts[0].name]
    }


def print_all(data: Data, all_parts: list[Part], results: dict[str, Any]) -> None:
    """Print the whole table: mean and standard deviation over the seeds that are there."""
    table = [
        [name, *mean_and_spread([np.mean(values, axis=0)])] for name, values in results["baselines"].items()
    ]
    names = list(dict.fromkeys(key.partition("/seed")[0] for key in results["fits"]))
    seeds = sorted({int(re.search(r"/seed(\d+)/", key)[1]) for key in results["fits"]})
    for name in names:
        found = [found for seed in seeds if (found := score(data, all_parts, results, name, seed))]
        for row in found[0] if found else ():
            values = [each[row] for each in found]
            table.append([f"{name}{row} ({len(values)})", *mean_and_spread(values)])
    print_table(["row (seeds)", *SCORES], table)


def main() -> None:
    """Run what is missing, and print the table."""
    arguments = parse()
    data = read(arguments.data, arguments.every)
    coords = find_patches(arguments.data).coords[:: arguments.every]
    all_parts = parts(data, repeats=1, inner=arguments.inner)
    identity = {
        "settings": settings_of(arguments),
        "inner": arguments.inner,
        "data": hashlib.sha256("\n".join(data.names).encode()).hexdigest(),
        **digests(arguments.unseen),
    }
    results = {"baselines": {}} | resume(arguments.out, identity)
    if not arguments.table:
        if not results["baselines"]:
            results["baselines"] = baselines(data, coords, all_parts)
            write_json(arguments.out, results)
        run(data, coords, all_parts, arguments, results)
    print_all(data, all_parts, results)


if __name__ == "__main__":
    main()
