"""``histoclf train``."""

from __future__ import annotations

import argparse
from typing import Any

from histoclf.cli._evaluate import run_protocol
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
    evaluation = run_protocol(args, classifier, patches) if args.evaluate else None
    if evaluation is not None:
        print(f"\n{evaluation}\n", flush=True)
    classifier.fit(patches.paths, patches.labels, groups=patches.groups)
    save_model(classifier, args.out, evaluation=evaluation)
    print(
        f"{_summary(classifier, len(patches.paths))}; classifier of "
        f"{', '.join(map(str, classifier.classes_))} written to {args.out}"
    )
    if evaluation is None:
        print("Not evaluated, and its card says so; 'histoclf train --evaluate' puts scores into it.")
    print(f"Use it: histoclf predict {args.out} IMAGES --out predictions.csv")
    return 0


def _summary(classifier: Any, n_patches: int) -> str:
    """Say what was learned, and from how much."""
    inner = getattr(classifier, "estimator_", classifier)  # in a slide's context
    in_vain = getattr(inner, "fine_tune_layers", 0) and not inner.fine_tuned_
    # A head on a frozen network is solved, in no epochs and on all patches.
    solved = not inner.history_ or (in_vain and inner.head == "logistic")
    n_trained = n_patches - inner.n_skipped_ - (0 if solved else len(inner.validation_indices_))
    parts = [f"Trained on {n_trained:,} patches"]
    if not solved:
        parts[0] += f" for {len(inner.history_['loss'])} epochs"
    if in_vain:
        parts.append("fine-tuning did not help and was dropped")
    if inner is not classifier:
        parts.append(_say_context(classifier.weight_, classifier.radius_))
    return "; ".join(parts)


def _say_context(weight: float, radius: float | None) -> str:
    if radius is None:
        return "their neighbours have no say"
    return f"their neighbours weigh up to {weight:g}, over a radius of {radius:g} pixels"
