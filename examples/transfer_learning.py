"""A search over heads on a frozen network, which sees each patch once; and any other model on top."""

from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from histoclf import HistoEmbedder, HistoTransferClassifier, make_patches


def main() -> None:
    """Search, then put a support vector machine on the same embeddings."""
    patches = make_patches(n_patients=6, patches_per_patient=30, image_size=32, random_state=0)
    X, y, groups = patches.images, patches.labels, patches.groups
    cv = StratifiedGroupKFold(3)
    search = GridSearchCV(
        HistoTransferClassifier(random_state=0),
        {"C": [1e-4, 1e-3, 1e-2, 1e-1], "pooling": ["avg", "avg+max"]},
        cv=cv,
        scoring="balanced_accuracy",
    )
    search.fit(X, y, groups=groups)
    print(f"Best of {len(search.cv_results_['params'])}: {search.best_params_}, {search.best_score_:.3f}")

    pipeline = make_pipeline(HistoEmbedder(), StandardScaler(), SVC(class_weight="balanced"))
    scores = cross_val_score(pipeline, X, y, groups=groups, cv=cv, scoring="balanced_accuracy")
    print(f"A support vector machine on the same embeddings: {scores.mean():.3f}")


if __name__ == "__main__":
    main()
