"""Accuracy on unseen patients of transfer learning: backbones, stains, fine-tuning and slide context.

The folds, the scores and the baselines are those of `idc_breast.py`; every row is also scored with slide
context, and so is the mean colour. Results are written after every fold, and a run that is started again goes
on where it stopped. With --inner the same is done inside each outer training part only, so that defaults can
be chosen without a look at the patients that are reported.
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

BACKBONES = {
    "MobileNet 1.0": {"backbone": "mobilenet"},
    "MobileNetV2 0.35": {"backbone": "mobilenet_v2", "backbone_params": {"alpha": 0.35}},
    "MobileNetV2 1.0": {"backbone": "mobilenet_v2"},
}
STAIN_JITTER = Augmentation(flip=True, stain=0.1)


def estimators(seed: int) -> dict[str, Any]:
    """List every row: its name, and the unfitted classifier."""
    rows: dict[str, Any] = {}
    for name, backbone in BACKBONES.items():
        frozen = HistoTransferClassifier(**backbone, random_state=seed)
        tuned = clone(frozen).set_params(fine_tune_layers="all", early_stopping=False)
        for stage, base in (("frozen", frozen), ("fine-tuned", tuned)):
            rows[f"{name}, {stage}"] = base
            rows[f"{name}, {stage}, last layer"] = clone(base).set_params(layers=None)
            rows[f"{name}, {stage}, eight views"] = clone(base).set_params(test_time_augmentation=True)
            rows[f"{name}, {stage}, Macenko"] = make_pipeline(StainNormalizer(method="macenko"), base)
            rows[f"{name}, {stage}, Reinhard"] = make_pipeline(StainNormalizer(method="reinhard"), base)
        jitter = {"augmented_copies": 2, "augmentation": STAIN_JITTER}
        rows[f"{name}, frozen, stain jitter"] = clone(frozen).set_params(**jitter)
        rows[f"{name}, fine-tuned, flips only"] = clone(tuned).set_params(augmentation="flips")
    return rows


def is_random(name: str) -> bool:
    """Whether a row differs from seed to seed: the logistic regression has nothing random."""
    return "fine-tuned" in name or "jitter" in name


def answer(
    data: Data, coords: np.ndarray, X: np.ndarray, part: Part, estimator: Any, context: bool
) -> np.ndarray:
    """Fit on the training rows, and give probabilities for the test rows."""
    train, test = part.train, part.test
    where: dict[str, Any] = {}
    fit_params: dict[str, Any] = {}
    if context:
        estimator = SlideContextClassifier(estimator, random_state=0)
        where = {"groups": data.patients[test], "coords": coords[test]}
        fit_params = {"groups": data.patients[train], "coords": coords[train]}
    elif isinstance(estimator, HistoTransferClassifier):
        fit_params = {"groups": data.patients[train]}
    fitted = clone(estimator).fit(X[train], data.positive[train], **fit_params)
    return fitted.predict_proba(X[test], **where)[:, 1]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="folder of patches with IDC names: classes, patients, positions"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="random_state of what is random")
    parser.add_argument("--rows", default=".*", metavar="REGEX", help="which rows to run (default: all)")
    parser.add_argument("--context", choices=("no", "yes", "both"), default="both", help="with slide context")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of every row")
    parser.add_argument("--inner", type=int, nargs="?", const=3, default=0, metavar="FOLDS")
    parser.add_argument("--every", type=int, default=1, help="use every n-th patch, for a quick try")
    parser.add_argument(
        "--out", type=Path, default=Path("idc_transfer.json"), help="results, written and resumed"
    )
    parser.add_argument("--table", action="store_true", help="print what there is, and run nothing")
    return parser.parse_args()


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Read --set."""
    return {name: literal(text) for name, text in (item.split("=", 1) for item in arguments.set)}


def apply(estimator: Any, settings: dict[str, Any]) -> Any:
    """Set parameters of the classifier, which may be the last step of a pipeline."""
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    last.set_params(**settings)
    return estimator


def run(
    data: Data,
    coords: np.ndarray,
    all_parts: list[Part],
    arguments: argparse.Namespace,
    results: dict[str, Any],
) -> None:
    """Run what is missing, row by row."""
    contexts = {"no": [False], "yes": [True], "both": [False, True]}[arguments.context]
    for seed in arguments.seeds:
        for name, estimator in estimators(seed).items():
            if not re.search(arguments.rows, name) or (seed != arguments.seeds[0] and not is_random(name)):
                continue
            for context in contexts:
                row = f"{name}, context" if context else name
                for part in all_parts:
                    key = f"{row}/seed{seed}/{part.name}"
                    if key in results["fits"]:
                        continue
                    start = time.perf_counter()
                    model = apply(clone(estimator), settings_of(arguments))
                    found = answer(data, coords, data.images, part, model, context)
                    seconds = time.perf_counter() - start
                    results["fits"][key] = {
                        "probability": [round(float(value), 7) for value in found],
                        "seconds": seconds,
                    }
                    write_json(arguments.out, results)
                show(data, all_parts, results, [row], seed)


def baselines(data: Data, coords: np.ndarray, all_parts: list[Part]) -> dict[str, list[list[float]]]:
    """Score the mean colour, by itself and with context."""
    colours = mean_colours(data.images)
    plain = colour_model()[1:]  # the colours are computed already

    def own(part: Part) -> np.ndarray:
        return answer(data, coords, colours, part, plain, context=False)

    def smoothed(part: Part) -> np.ndarray:
        return answer(data, coords, colours, part, plain, context=True)

    return {
        "mean colour": pooled_scores(data, all_parts, own),
        "mean colour, context": pooled_scores(data, all_parts, smoothed),
    }


def show(data: Data, all_parts: list[Part], results: dict[str, Any], rows: list[str], seed: int) -> None:
    """Print one finished row at once: long runs are watched."""
    for row in rows:
        values = score(data, all_parts, results, row, seed)
        if values is not None:
            said = "  ".join(f"{value:.3f}" for value in np.mean(values, axis=0))
            seconds = np.mean([results["fits"][f"{row}/seed{seed}/{p.name}"]["seconds"] for p in all_parts])
            print(f"{row}, seed {seed}: {said}  ({seconds:.0f} s a fold)", flush=True)


def score(data: Data, all_parts: list[Part], results: dict[str, Any], row: str, seed: int) -> Any:
    """Score a row, if all its parts are there."""
    fits = results["fits"]
    keys = [f"{row}/seed{seed}/{part.name}" for part in all_parts]
    if not all(key in fits for key in keys):
        return None
    return pooled_scores(
        data, all_parts, lambda part: np.asarray(fits[f"{row}/seed{seed}/{part.name}"]["probability"])
    )


def print_all(data: Data, all_parts: list[Part], results: dict[str, Any]) -> None:
    """Print the whole table: mean and standard deviation over the seeds that are there."""
    table = [
        [name, *mean_and_spread([np.mean(values, axis=0)])] for name, values in results["baselines"].items()
    ]
    names = list(dict.fromkeys(key.partition("/seed")[0] for key in results["fits"]))
    seeds = sorted({int(re.search(r"/seed(\d+)/", key)[1]) for key in results["fits"]})
    for name in names:
        found = [score(data, all_parts, results, name, seed) for seed in seeds]
        found = [np.mean(values, axis=0) for values in found if values is not None]
        if found:
            table.append([f"{name} ({len(found)})", *mean_and_spread(found)])
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
