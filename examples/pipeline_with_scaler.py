"""Flattened images, which scalers and samplers of other packages work on, with a PixelScaler in front.

The classifier recognises scaled pixels, so that the scaler changes nothing. Both need to know the shape of
the images: a row of numbers does not tell it.
"""

import numpy as np
from sklearn.pipeline import make_pipeline

from histoclf import HistoCNNClassifier, PixelScaler, make_patches


def main() -> None:
    """Fit with and without a scaler, and compare."""
    patches = make_patches(n_patients=4, patches_per_patient=40, random_state=0)
    shape = patches.images.shape[1:]  # (48, 48, 3)
    rows = patches.images.reshape(len(patches.images), -1)  # (160, 48 * 48 * 3)
    train, test = patches.groups != "P04", patches.groups == "P04"

    clf = HistoCNNClassifier(image_shape=shape, epochs=15, batch_size=16, random_state=0, verbose=1)
    plain = clf.fit(rows[train], patches.labels[train]).predict_proba(rows[test])
    pipeline = make_pipeline(PixelScaler("unit", image_shape=shape), clf)
    scaled = pipeline.fit(rows[train], patches.labels[train]).predict_proba(rows[test])

    print(f"Accuracy on patient P04: {pipeline.score(rows[test], patches.labels[test]):.3f}")
    print(f"Largest difference between the two models' probabilities: {np.abs(plain - scaled).max():.1e}")


if __name__ == "__main__":
    main()
