"""Pretrain the histology backbone, and write its weights and its card.

    KERAS_BACKEND=tensorflow python pretraining/pretrain.py DATA --out histology.npz

DATA holds `idc_breast` and `oral_originals`. Crops and the teachers' features are made once and kept in
--cache; a run that is started again goes on after its last whole epoch. `--without 0 1` leaves out the
patients of these test folds of the evaluation by patient.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from crops import LICENCES, Crops, load_crops
from settings import CANDIDATES, CHOSEN, CHOSEN_EPOCHS, Settings
from sklearn.model_selection import StratifiedGroupKFold
from targets import make_targets
from teachers import load_features
from training import pretrain

from histoclf.networks._histology import write_weights


def patients_of_folds(crops: Crops) -> list[list[str]]:
    """Return the test patients of each fold of the evaluation: the folds of `benchmarks/idc_breast.py`."""
    rows = np.flatnonzero((crops.source == "idc") & crops.whole)
    labels, patients = crops.positive[rows], crops.group[rows]
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    return [sorted({*patients[test].tolist()}) for _, test in splitter.split(rows, labels, patients)]


def rows_without(crops: Crops, patients: list[str], oral: list[str] = ()) -> np.ndarray:
    """Return the rows of all crops but those of some patients of breast, and some images of oral tissue."""
    out = (crops.source == "idc") & np.isin(crops.group, patients)
    out |= (crops.source == "oral") & np.isin(crops.group, oral)
    return np.flatnonzero(~out)


def describe(
    settings: Settings, name: str, crops: Crops, rows: np.ndarray, without: list[str], facts: dict[str, Any]
) -> dict[str, Any]:
    """Write down what a network has seen, and how."""
    return {
        "candidate": name,
        "settings": vars(settings),
        "data": LICENCES,
        "teachers": "MobileNet 1.0 and MobileNetV2 1.0 of keras.applications, ImageNet weights, Apache-2.0",
        "crops": {source: int((crops.source[rows] == source).sum()) for source in ("idc", "oral", "make")},
        "patients of idc_breast seen": sorted({*crops.group[rows][crops.source[rows] == "idc"].tolist()}),
        "patients of idc_breast left out": without,
        "labels used": bool(settings.labels),
        "hardware": f"{platform.machine()}, keras {keras.__version__} on {keras.backend.backend()}",
        **facts,
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of idc_breast and oral_originals")
    parser.add_argument(
        "--out", type=Path, default=Path("histology.npz"), help="weights; the card lies beside"
    )
    parser.add_argument("--cache", type=Path, default=Path("pretraining-cache"))
    parser.add_argument("--candidate", choices=CANDIDATES, default=CHOSEN)
    parser.add_argument("--without", type=int, nargs="*", default=[], metavar="FOLD")
    parser.add_argument("--epochs", type=int, default=CHOSEN_EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Prepare what is missing, train, and write."""
    arguments = parse()
    crops = load_crops(arguments.data, arguments.cache)
    features = load_features(crops.sharp, arguments.cache)
    folds = patients_of_folds(crops)
    without = [patient for fold in arguments.without for patient in folds[fold]]
    settings = CANDIDATES[arguments.candidate].replace(seed=arguments.seed, epochs=arguments.epochs)
    rows = rows_without(crops, without)
    start = time.perf_counter()
    student = pretrain(
        crops.images[rows],
        make_targets(crops, features, rows, settings),
        settings,
        arguments.out.with_suffix(".checkpoint.npz"),
    )
    facts = {
        "training minutes": round((time.perf_counter() - start) / 60, 1),
        "sha256": write_weights(student.backbone, arguments.out),
        "parameters": student.backbone.count_params(),
    }
    card = describe(settings, arguments.candidate, crops, rows, without, facts)
    arguments.out.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
