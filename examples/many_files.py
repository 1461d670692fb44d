"""More files than one process, or one machine, should read: a search and predictions on a Dask cluster.

pip install "histoclf[dask]"
"""

from tempfile import TemporaryDirectory

import dask.bag
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from histoclf import HistoTransferClassifier, make_patches
from histoclf.io import save_patches


def main() -> None:
    """Search with two workers, then predict block by block."""
    made = make_patches(n_patients=4, patches_per_patient=30, random_state=0)
    with (
        TemporaryDirectory() as folder,
        # On a real cluster: Client("tcp://scheduler:8786"), and a folder that all its machines see.
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        paths = save_patches(made.images, made.labels, made.groups, made.coords, f"{folder}/patches")
        search = GridSearchCV(
            HistoTransferClassifier(memory=f"{folder}/embeddings", n_jobs=1),
            {"C": [1e-3, 1e-2, 1e-1]},
            cv=StratifiedGroupKFold(2),
            scoring="balanced_accuracy",
        )
        with joblib.parallel_config(backend="dask"):
            search.fit(paths, made.labels, groups=made.groups)
        print(f"Best of {len(search.cv_results_['params'])}: {search.best_params_}, {search.best_score_:.3f}")

        blocks = dask.bag.from_sequence(paths, npartitions=4)
        model = search.best_estimator_
        shares = blocks.map_partitions(lambda block: [model.predict_proba(list(block)).mean(axis=0)])
        print(f"Mean probabilities of {shares.npartitions} blocks: {np.round(shares.compute(), 3).tolist()}")


if __name__ == "__main__":  # workers import this file again
    main()
