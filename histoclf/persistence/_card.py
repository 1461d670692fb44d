"""The model card: what a model is, what it learned from, how good it was found to be, and what it is not for.

Its sections are those of M. Mitchell et al., "Model cards for model reporting", FAT* 2019. It holds no
pixels and no names of patients or files.
"""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from histoclf.networks._catalogue import APPLICATIONS, WEIGHTS, Application

# To the next maintainer: raise it when a key changes its meaning; a new one does not.
CARD_FORMAT = 1
# What a user may say in words of his own: instead of ours, or, of caveats, beside ours.
WRITABLE = ("intended_use", "factors", "ethical_considerations", "caveats")

_PACKAGES = ("histoclf", "numpy", "scipy", "scikit-learn", "keras", "tensorflow", "pillow")
_ENGINES = {"openvino": "openvino", "openvino-bf16": "openvino", "onnxruntime": "onnxruntime"}
# Parts of an evaluation that hold numbers and names of classifiers only.
_NUMBERS = (
    *("n_patches", "n_patients", "classes", "n_folds", "settings", "rows", "verdict"),
    *("compared_with", "difference_to_mean_colour", "difference_interval"),
    *("value_added", "value_added_interval", "value_added_p_value", "beats_shortcuts", "comparisons"),
    *("training_balanced_accuracy", "training_gap", "estimated_inflation", "learning_curve"),
)
_LEFT_OUT = "n_warnings_left_out"
_FILE_NAME = re.compile(r"\.(png|jpe?g|tiff?|bmp|webp)\b", re.IGNORECASE)
_LONGEST = 200  # characters of a parameter

_INTENDED_USE = (
    "Research on histology patches like those it was trained on: same tissue, stain, magnification and kind "
    "of scanner."
)
_RESTRICTION = "NOT FOR CLINICAL USE: it is no medical device, and must not decide about patients."
_FACTORS = (
    "Results depend on patient, tissue, stain, scanner, laboratory and magnification. How well it does on "
    "others than those of the training data is unknown unless the evaluation says so."
)
_ETHICS = (
    "Made from images of patients. This file holds neither their images nor their names, but a model can "
    "reveal something about its training data; treat it with the care that the data demand."
)


def build_card(estimator: Any, evaluation: Any = None, texts: dict[str, str] | None = None) -> dict[str, Any]:
    """Describe a fitted estimator.

    Parameters
    ----------
    estimator : HistoCNNClassifier, HistoTransferClassifier, HistoEmbedder or SlideContextClassifier
        Fitted.
    evaluation : Evaluation or dict, default=None
        Of the same kind of classifier on the same classes; or that of another card.
    texts : dict of str to str, default=None
        Sections in the user's own words, see `WRITABLE`.

    Returns
    -------
    card : dict
        Of strings, numbers, lists and dicts, as JSON takes them.

    Raises
    ------
    ValueError
        If the evaluation is of other classes, or a text is of no section that can be written.
    """
    inner = getattr(estimator, "estimator_", estimator)  # in a slide's context
    classes = np.asarray(estimator.classes_).tolist() if hasattr(estimator, "classes_") else None
    training = _training(inner)
    scores = None if evaluation is None else _evaluation(evaluation, classes)
    card: dict[str, Any] = {
        "card_format": CARD_FORMAT,
        "model_details": _details(estimator, inner),
        "intended_use": _INTENDED_USE,
        "restriction": _RESTRICTION,
        "factors": _FACTORS,
        "input": _input(inner),
        "classes": classes,
        "training_data": training,
        "evaluation": scores,
        "ethical_considerations": _ETHICS,
        "caveats": _caveats(estimator, training, scores),
    }
    written = dict(_check_texts(texts or {}))
    if "caveats" in written:
        card["caveats"].append(written.pop("caveats"))
    return card | written


def _details(estimator: Any, inner: Any) -> dict[str, Any]:
    engine = _ENGINES.get(getattr(inner, "engine_", None) or "")
    names = _PACKAGES + ((engine,) if engine else ())
    return {
        "class": type(estimator).__name__,
        "inner_class": None if inner is estimator else type(inner).__name__,
        "backbone": _backbone(inner),
        "parameters": {name: _say(value) for name, value in inner.get_params(deep=False).items()},
        "packages": {"python": platform.python_version()} | {name: _version(name) for name in names},
    }


def _say(value: Any) -> str:
    """Write a parameter: of a path the last part, and no address, which is another one in each process."""
    if isinstance(value, str | os.PathLike):
        value = os.path.basename(os.fspath(value))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))[:_LONGEST]


def _version(package: str) -> str | None:
    if package == "histoclf":  # which may be used without being installed
        from histoclf import __version__

        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _backbone(inner: Any) -> dict[str, Any] | None:
    backbone = getattr(inner, "backbone_", None)
    if backbone is None:
        return None
    known = APPLICATIONS.get(backbone.name) if backbone.kind == "application" else None
    return {
        "name": backbone.describe(),
        "weights": _origin(inner.weights, known),
        "licence": backbone.licence or "unknown",
        "megabytes": round(sum(array.nbytes for array in inner._extractor.weights) / 1e6, 1),
        "download_megabytes": known.megabytes if known and known.weights == "imagenet" else None,
        "channels": backbone.channels,
        "preprocessing": backbone.preprocessing,
        "digest": backbone.digest,
    }


def _origin(weights: Any, known: Application | None) -> str:
    """Say where weights are from; those of a network of the user's own are its own, if none are given."""
    if weights is None:
        return "random"
    if weights in WEIGHTS:
        return "its own" if known is None else known.weights
    return os.path.basename(weights)


def _input(inner: Any) -> dict[str, Any]:
    image_format = inner.input_format_
    height, width, channels = image_format.image_shape
    return {
        "kind": image_format.kind,
        "units": image_format.contract.units,
        "whole_numbers": bool(image_format.contract.whole),
        "height": int(height),
        "width": int(width),
        "channels": int(channels),
        "description": image_format.describe(),
    }


def _training(inner: Any) -> dict[str, Any] | None:
    described = getattr(inner, "training_data_", None)
    if described is None:
        return None
    return {
        **described,
        "n_held_out": len(inner.validation_indices_),
        "n_skipped": int(inner.n_skipped_),
    }


def _evaluation(evaluation: Any, classes: list[Any] | None) -> dict[str, Any]:
    found = evaluation if isinstance(evaluation, dict) else evaluation.to_dict()
    if isinstance(evaluation, dict) and _LEFT_OUT not in evaluation:
        raise ValueError(
            "The evaluation is a dict that is not from a model card. Expected what evaluate returned, from "
            "which names of patients are left out, or read_card(path)['evaluation']."
        )
    if classes is not None and found["classes"] != classes:
        raise ValueError(
            f"The evaluation is of the classes {found['classes']}, and the model of {classes}. Expected an "
            "evaluation of the same kind of classifier on the same labels."
        )
    if isinstance(evaluation, dict):
        return evaluation
    kept = {name: found[name] for name in _NUMBERS if name in found}
    texts = [*found.get("notes", []), *found.get("warnings", [])]
    groups = () if evaluation.groups is None else np.asarray(evaluation.groups).tolist()
    patients = sorted({str(patient) for patient in groups} - {""})
    public = [text for text in texts if not _tells(text, patients)]
    return {**kept, "warnings": public, _LEFT_OUT: len(texts) - len(public)}


def _tells(text: str, patients: list[str]) -> bool:
    """Whether a sentence names patients or files, which a card must not."""
    if _FILE_NAME.search(text):
        return True
    return any(re.search(rf"(?<![^\W_]){re.escape(patient)}(?![^\W_])", text) for patient in patients)


def _caveats(estimator: Any, training: dict[str, Any] | None, scores: dict[str, Any] | None) -> list[str]:
    found = []
    if training is not None and training["n_patients"] is None:
        found.append("How many patients it was trained on is not known.")
    if training is not None and training["continued"]:
        found.append("Training went on from an earlier fit, whose data is not described here.")
    if getattr(estimator, "embedder_", None) is not None:
        found.append("The fingerprint is that of the embeddings, not of the images.")
    if scores is None and hasattr(estimator, "classes_"):
        found.append("It was saved without an evaluation: how well it does on other patients is not known.")
    if scores is not None:
        found += _differences(estimator, training, scores)
    return found


def _differences(estimator: Any, training: dict[str, Any] | None, scores: dict[str, Any]) -> list[str]:
    """Say in what the evaluated classifier and data are not those of the model."""
    found = ["The scores are of clones fitted on parts of the data, not of this very model."]
    evaluated, name = scores["rows"][0]["name"], type(estimator).__name__
    if evaluated != name:
        found.append(f"The scores are of a {evaluated}, and the model is a {name}.")
    for what in ("n_patches", "n_patients"):
        here, there = (training or {}).get(what), scores.get(what)
        if here is not None and there is not None and here != there:
            found.append(f"The scores are of {there:,} {what[2:]}, and it was trained on {here:,}.")
    return found


def _check_texts(texts: dict[str, str]) -> dict[str, str]:
    unknown = [name for name in texts if name not in WRITABLE]
    if unknown:
        raise ValueError(
            f"card has {unknown}, which cannot be written: facts are taken from the model. Expected texts "
            f"for some of {', '.join(WRITABLE)}."
        )
    wrong = [name for name, text in texts.items() if not isinstance(text, str)]
    if wrong:
        raise ValueError(f"card has {wrong} that are no strings. Expected a text for each section.")
    return texts
