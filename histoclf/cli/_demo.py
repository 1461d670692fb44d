"""``histoclf demo``: the main job on patches that need no download."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from histoclf.classifiers._transfer import HistoTransferClassifier
from histoclf.cli._network import load_network
from histoclf.cli._predict import write_predictions
from histoclf.datasets._synthetic import make_patches
from histoclf.evaluation._evaluate import evaluate
from histoclf.io._patches import find_patches
from histoclf.io._save import save_patches
from histoclf.persistence._model_file import load_model, save_model

_N_FOLDS = 3


def run(args: argparse.Namespace) -> int:
    """Make patches, find them, evaluate, train, save, load and predict."""
    if args.out is not None and Path(args.out).exists():
        raise FileExistsError(f"'{args.out}' exists already; expected the name of a new folder.")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="histoclf-") as temporary:
        agree = _walk(Path(args.out or temporary), args)
    print(
        f"Took {time.perf_counter() - start:.0f} s." + (f" Everything is in {args.out}." if args.out else "")
    )
    print("Your turn: histoclf evaluate DIR, where DIR has one folder of patches for each class.")
    return 0 if agree else 1


def _walk(folder: Path, args: argparse.Namespace) -> bool:
    """Go the whole way in `folder`; whether the loaded model answers as the saved one."""
    made = make_patches(n_patients=12, patches_per_patient=60, stain_shift=1.0, random_state=args.seed)
    save_patches(made.images, made.labels, made.groups, made.coords, folder / "patches")
    print(f"1. Made {made.description}.")
    patches = find_patches(folder / "patches")
    print(f"2. Found {patches.description}")
    classifier = HistoTransferClassifier(random_state=args.seed)  # needs no download
    load_network(args.quiet)
    print(f"3. Evaluating on patients never seen, in {_N_FOLDS} folds ...", flush=True)
    evaluation = evaluate(
        classifier,
        patches.paths,
        patches.labels,
        groups=patches.groups,
        cv=_N_FOLDS,
        random_state=args.seed,
        verbose=0 if args.quiet else 1,
    )
    print(
        f"\n{evaluation.to_text()}\n\n4. Training on all patients, saving, loading and predicting ...",
        flush=True,
    )
    classifier.fit(patches.paths, patches.labels, groups=patches.groups)
    save_model(classifier, folder / "demo.histoclf")
    saved = classifier.predict_proba(patches.paths)
    loaded = load_model(folder / "demo.histoclf").predict_proba(patches.paths)
    write_predictions(str(folder / "predictions.csv"), patches.paths, classifier.classes_, loaded)
    agree = np.array_equal(saved, loaded)
    size = (folder / "demo.histoclf").stat().st_size / 2**20
    kind = "identical" if agree else "OTHER"
    print(
        f"   The model file has {size:.1f} MiB; the loaded model gives {kind} probabilities for all "
        f"{len(loaded):,} patches."
    )
    return agree
