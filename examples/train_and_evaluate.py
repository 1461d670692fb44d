"""From a folder of image files to scores on patients never seen.

Run it as it stands: it makes a folder of synthetic patches first. With patches of your own, begin at
`find_patches`.
"""

import tempfile

from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from histoclf import HistoCNNClassifier, LabelCleaner, find_patches, make_patches
from histoclf.io import save_patches


def main() -> None:
    """Find, clean, cross-validate by patient."""
    made = make_patches(n_patients=9, patches_per_patient=40, random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        save_patches(made.images, made.labels, made.groups, made.coords, folder)

        patches = find_patches(folder)
        print(patches.description)
        y = LabelCleaner().fit_transform(patches.labels)
        clf = HistoCNNClassifier(
            class_weight="balanced",
            augmentation="standard",
            epochs=15,  # left out, so many are made that a small collection like this one gets 1,000 steps
            batch_size=16,
            early_stopping=True,
            random_state=0,
        )
        scores = cross_val_score(
            clf,
            patches.paths,
            y,
            groups=patches.groups,
            cv=StratifiedGroupKFold(3),
            scoring="balanced_accuracy",
        )
    print("Balanced accuracy on unseen patients:", ", ".join(f"{score:.3f}" for score in scores))
    print(f"Mean: {scores.mean():.3f} (chance is 0.5)")


if __name__ == "__main__":
    main()
