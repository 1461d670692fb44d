"""Draw what was learned and answered: run ``python examples/figures.py FOLDER``, or without a folder here."""

import sys
from pathlib import Path

import numpy as np

from histoclf import (
    AugmentationDisplay,
    ErrorsDisplay,
    GradCAMDisplay,
    HistoCNNClassifier,
    PatientCalibrationDisplay,
    PatientScoresDisplay,
    SlideMapDisplay,
    TrainingHistoryDisplay,
    make_patches,
)


def main(folder: Path) -> None:
    """Train on some patients, and draw what the classifier answers for others."""
    patches = make_patches(n_patients=12, patches_per_patient=64, image_size=48, random_state=0)
    seen = np.isin(patches.groups, np.unique(patches.groups)[:8])
    clf = HistoCNNClassifier(epochs=15, early_stopping=True, random_state=0)
    clf.fit(patches.images[seen], patches.labels[seen], groups=patches.groups[seen])

    X, y, groups = patches.images[~seen], patches.labels[~seen], patches.groups[~seen]
    some = np.concatenate([np.flatnonzero(y == name)[:3] for name in patches.classes])
    slides = np.unique(groups)[:2]
    answers = clf.predict_proba(X)
    displays = {
        "history.png": TrainingHistoryDisplay.from_estimator(clf),
        "augmentation.jpg": AugmentationDisplay.from_estimator(clf, X[some[1:4]], n_variants=5),
        "patients.png": PatientScoresDisplay.from_predictions(y, answers, groups),
        "calibration.png": PatientCalibrationDisplay.from_predictions(y, answers, groups),
        "gradcam.jpg": GradCAMDisplay.from_estimator(clf, X[some], y[some]),
        "errors.jpg": ErrorsDisplay.from_predictions(X, y, answers, groups=groups, n_errors=4),
        "slides.png": SlideMapDisplay.from_predictions(
            answers, patches.coords[~seen], groups=groups, y_true=y, slides=slides
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, display in displays.items():
        display.figure_.savefig(folder / name, dpi=60)
        print(f"{type(display).__name__}: {folder / name}")


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]))
