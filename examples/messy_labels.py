"""Labels as people type them: cleaned in front of a model, or inside cross-validation."""

import warnings

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from histoclf import HistoCNNClassifier, LabelCleaner, LabelCleaningClassifier, make_patches
from histoclf.exceptions import LabelError

SPELLINGS = {
    "benign": ["benign", "Benign ", "BENIGN", "b"],
    "malignant": ["malignant", " Malignant", "MALIGN", "ca"],
}


def main() -> None:
    """Make a mess of the labels, and clean it up in both ways."""
    patches = make_patches(n_patients=6, patches_per_patient=40, image_size=32, random_state=0)
    rng = np.random.default_rng(0)
    messy = np.array([rng.choice(SPELLINGS[label]) for label in patches.labels])

    cleaner = LabelCleaner(
        aliases={"malignant": ["ca"]}
    )  # built in are the spellings that mean one thing only
    y = cleaner.fit_transform(messy)
    print(cleaner.report_)
    print("All labels restored:", bool((y == patches.labels).all()))

    try:
        cleaner.transform(["benign", "maligmant", None])
    except LabelError as error:
        print("\nLabels that it does not know are an error:", error)

    clf = LabelCleaningClassifier(
        HistoCNNClassifier(epochs=15, batch_size=16, random_state=0), cleaner=cleaner
    )
    folds = list(StratifiedGroupKFold(3).split(messy, y, patches.groups))  # spellings are no classes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)  # that labels are cleaned is what we want
        scores = cross_val_score(clf, patches.images, messy, cv=folds)  # no `scoring`: score() cleans y too
    print("\nAccuracy on unseen patients:", ", ".join(f"{score:.3f}" for score in scores))


if __name__ == "__main__":
    main()
