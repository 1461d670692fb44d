"""``histoclf train``."""

from __future__ import annotations

import argparse

from histoclf.cli._inputs import make_classifier, read_folder
from histoclf.cli._network import load_network
from histoclf.cli._outputs import check_target
from histoclf.persistence._model_file import save_model


def run(args: argparse.Namespace) -> int:
    """Train on all patches of a folder, and save the classifier."""
    check_target(args.out, args.force)
    classifier = make_classifier(args, on_error=args.on_error)
    patches = read_folder(args)
    load_network(args.quiet)
    classifier.fit(patches.paths, patches.labels, groups=patches.groups)
    save_model(classifier, args.out)
    n_trained = len(patches.paths) - classifier.n_skipped_ - len(classifier.validation_indices_)
    print(
        f"Trained on {n_trained:,} patches for {classifier.n_iter_} epochs; classifier of "
        f"{', '.join(map(str, classifier.classes_))} written to {args.out}"
    )
    print(f"Use it: histoclf predict {args.out} IMAGES --out predictions.csv")
    return 0
