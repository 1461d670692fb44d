"""A search over settings in which patients stay together, in the outer folds and in the validation part."""

import sklearn
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from histoclf import Augmentation, HistoCNNClassifier, make_patches


def main() -> None:
    """Search over the strength of stain jitter, and print what was tried."""
    patches = make_patches(n_patients=8, patches_per_patient=40, image_size=32, random_state=0)
    clf = HistoCNNClassifier(
        augmentation=Augmentation.from_preset("standard"),
        epochs=10,
        batch_size=16,
        early_stopping=True,
        random_state=0,
    )
    # Metadata routing hands the patients to the splitter, and through the search to fit.
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            clf.set_fit_request(groups=True),
            {"augmentation__stain": [0.0, 0.2]},
            cv=StratifiedGroupKFold(2),
            scoring="balanced_accuracy",
        )
        search.fit(patches.images, patches.labels, groups=patches.groups)

    results = search.cv_results_
    for params, mean, spread in zip(
        results["params"], results["mean_test_score"], results["std_test_score"], strict=True
    ):
        print(f"{params}: {mean:.3f} ± {spread:.3f}")
    held_out = {str(patches.groups[row]) for row in search.best_estimator_.validation_indices_}
    print(f"Best: {search.best_params_}; refitted, with patients {sorted(held_out)} held out to stop on")


if __name__ == "__main__":
    main()
