"""Compare candidates, without a look at the patients that the table of the results reports for each network.

    python pretraining/choose.py DATA --candidates "all" "one teacher" --cache CACHE

Only patients of the test folds 2, 3 and 4 take part. Networks are trained on half of these patients, on two
thirds of the oral images and on synthetic patches; a logistic head on the frozen, flip-averaged embedding is
then scored on the other half: each of its patients by a head that learned from all the others, and oral
images by cross-validation among the images left out. Networks whose names hold "labels" learned classes of
patients whose patches the head learns from as well, so that only patients that both have never seen count.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from crops import Crops, load_crops
from pretrain import patients_of_folds, rows_without
from settings import CANDIDATES
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from targets import make_targets
from teachers import choose, load_features, views
from training import pretrain

from histoclf.networks._histology import build_histology

CHOICE_FOLDS = (2, 3, 4)
ORAL_SHARE = 3  # one image of so many is left out
FEW = 300
SCORES = ("bal. acc.", "AUC", "within")


def split(crops: Crops) -> tuple[list[str], list[str], list[str]]:
    """Return the patients to learn from, those to compare on, and oral images left out."""
    folds = patients_of_folds(crops)
    patients = [patient for fold in CHOICE_FOLDS for patient in folds[fold]]
    rows = breast_rows(crops, patients)
    halves = StratifiedGroupKFold(2, shuffle=True, random_state=0)
    seen, held = next(halves.split(rows, crops.positive[rows], crops.group[rows]))
    images = np.unique(crops.group[crops.source == "oral"])
    images = np.random.default_rng(0).permutation(images)[: len(images) // ORAL_SHARE]
    of_half = [sorted({*crops.group[rows][half].tolist()}) for half in (seen, held)]
    return of_half[0], of_half[1], images.tolist()


def breast_rows(crops: Crops, patients: list[str]) -> np.ndarray:
    """Return the rows of the whole patches of some patients."""
    return np.flatnonzero((crops.source == "idc") & crops.whole & np.isin(crops.group, patients))


def head(n: int, strength: float = 0.3) -> Pipeline:
    """Make the head; `strength` over the number of patches is its C."""
    model = LogisticRegression(C=strength / n, class_weight="balanced", max_iter=2000)
    return make_pipeline(StandardScaler(), model)


def score_breast(
    embeddings: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    held: list[str],
    few: int | None = None,
    seed: int = 0,
) -> list[float]:
    """Score every held-out patient by a head that learned from all others, or from a few balanced patches."""
    probability, draw = np.zeros(len(labels)), np.random.default_rng(seed)
    for patient in held:
        train, test = np.flatnonzero(patients != patient), patients == patient
        if few:
            classes = (np.flatnonzero((patients != patient) & (labels == value)) for value in (0, 1))
            train = np.concatenate([draw.choice(rows, few // 2, replace=False) for rows in classes])
        model = head(len(train)).fit(embeddings[train], labels[train])
        probability[test] = model.predict_proba(embeddings[test])[:, 1]
    rows = np.isin(patients, held)
    within = [
        roc_auc_score(labels[patients == patient], probability[patients == patient])
        for patient in held
        if 0 < labels[patients == patient].mean() < 1
    ]
    balanced = balanced_accuracy_score(labels[rows], probability[rows] > 0.5)
    return [balanced, roc_auc_score(labels[rows], probability[rows]), float(np.mean(within))]


def score_oral(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean AUC of repeated cross-validation; the patients of these images are not known."""
    scores = []
    for train, test in RepeatedStratifiedKFold(n_splits=4, n_repeats=3, random_state=0).split(labels, labels):
        model = head(len(train)).fit(embeddings[train], labels[train])
        scores.append(roc_auc_score(labels[test], model.decision_function(embeddings[test])))
    return float(np.mean(scores))


def embed(backbone: keras.Model, images: np.ndarray) -> np.ndarray:
    """Average the maps over their places and over four flips and turns."""
    pooled = [keras.layers.GlobalAveragePooling2D()(maps) for maps in backbone.outputs]
    model = keras.Model(backbone.inputs, keras.layers.Concatenate()(pooled))
    made = [model.predict(view.astype("float32"), batch_size=128, verbose=0) for view in views(images)]
    return np.mean(made, axis=0)


def report(
    name: str, crops: Crops, breast: np.ndarray, oral: np.ndarray, rows: tuple, held: list[str]
) -> None:
    """Print one row of the table."""
    labels, patients = crops.positive[rows[0]], crops.group[rows[0]]
    everything = score_breast(breast, labels, patients, held)
    few = np.mean([score_breast(breast, labels, patients, held, FEW, seed) for seed in range(4)], axis=0)
    cells = [f"{value:.3f}" for value in (*everything, *few, score_oral(oral, crops.positive[rows[1]]))]
    print(f"{name:32}", *cells, flush=True)


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("pretraining-cache"))
    parser.add_argument("--candidates", nargs="*", default=list(CANDIDATES), choices=CANDIDATES)
    parser.add_argument("--epochs", type=int, help="instead of the candidates' own")
    arguments = parser.parse_args()
    crops = load_crops(arguments.data, arguments.cache)
    features = load_features(crops.sharp, arguments.cache)
    seen, held, oral = split(crops)
    rows = (
        breast_rows(crops, seen + held),
        np.flatnonzero((crops.source == "oral") & crops.whole & np.isin(crops.group, oral)),
    )
    print(f"{'':32}", *SCORES, *(f"{score} ({FEW})" for score in SCORES), "AUC oral")
    colours = [crops.sharp[part].mean(axis=(1, 2)) for part in rows]
    report("mean colour", crops, *colours, rows, held)
    for pattern in (
        "mobilenet/rgb/last",
        "mobilenet/*/conv*",
        "mobilenet_v2/rgb/last",
        "mobilenet_v2/*/block*",
    ):
        columns = choose(features, (pattern,))
        found = [np.concatenate([column[part] for column in columns], axis=1) for part in rows]
        report(pattern, crops, *(each.astype("float32") for each in found), rows, held)
    every = {*crops.group[crops.source == "idc"].tolist()}
    train = rows_without(crops, sorted(every - set(seen)), oral)
    for name in arguments.candidates:
        settings = CANDIDATES[name]
        settings = settings.replace(epochs=arguments.epochs or settings.epochs)
        start = time.perf_counter()
        file = arguments.cache / f"choice-{name.replace(' ', '-')}-{settings.epochs}.npz"
        targets = make_targets(crops, features, train, settings)
        student = pretrain(crops.images[train], targets, settings, file)
        network = build_histology((crops.sharp.shape[1],) * 2 + (3,))
        network.set_weights(student.backbone.get_weights())
        report(name, crops, *(embed(network, crops.sharp[part]) for part in rows), rows, held)
        print(json.dumps({name: f"{(time.perf_counter() - start) / 60:.1f} min"}), flush=True)


if __name__ == "__main__":
    main()
