"""Searches, cross-validation and predictions on Dask and Ray, with two processes on this machine."""

import os
import signal
import uuid

import joblib
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_score

from histoclf import HistoCNNClassifier, HistoEmbedder, HistoTransferClassifier, make_patches
from histoclf.io import save_patches

# Foreign engines warn about themselves; what ours warn of in these processes is tested elsewhere.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

GRID = {"C": [0.001, 0.01, 0.1, 1.0]}
N_FITS = 2 * len(GRID["C"])


@pytest.fixture(scope="module")
def dask_client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def ray_runtime():
    ray = pytest.importorskip("ray")
    joblib_engine = pytest.importorskip("ray.util.joblib")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # no token in the home of whoever runs the tests
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
        joblib_engine.register_ray()
        yield
        ray.shutdown()


@pytest.fixture(params=["dask", "ray"])
def engine(request):
    """Settings for `joblib.parallel_config`; as documented, so that a dead worker is replaced."""
    request.getfixturevalue({"dask": "dask_client", "ray": "ray_runtime"}[request.param])
    if request.param == "dask":
        return {"backend": "dask"}
    retries = {"max_restarts": -1, "max_task_retries": -1}
    return {"backend": "ray", "n_jobs": 2, "ray_remote_args": retries}


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    made = make_patches(n_patients=4, patches_per_patient=10, random_state=0)
    folder = tmp_path_factory.mktemp("patches")
    paths = save_patches(made.images, made.labels, made.groups, made.coords, folder)
    return np.array([str(path) for path in paths]), made.labels, made.groups


def search(patches, memory, scoring="balanced_accuracy"):
    paths, labels, groups = patches
    model = HistoTransferClassifier("histology", memory=memory, n_jobs=1)
    return GridSearchCV(model, GRID, cv=StratifiedGroupKFold(2), scoring=scoring).fit(
        paths, labels, groups=groups
    )


@pytest.fixture(scope="module")
def alone(patches):
    """The search in one process."""
    return search(patches, None)


def test_work_is_done_in_other_processes(engine):
    with joblib.parallel_config(**engine):
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(os.getpid)() for _ in range(4))
    assert os.getpid() not in found


def test_a_search_gives_the_same_as_one_process(engine, patches, alone, tmp_path):
    with joblib.parallel_config(**engine):
        spread = search(patches, tmp_path)
    np.testing.assert_array_equal(spread.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(spread.predict_proba(patches[0]), alone.predict_proba(patches[0]))


def test_cross_validation_of_a_network_gives_the_same_as_one_process(engine, patches):
    def scores():
        paths, labels, groups = patches
        model = HistoCNNClassifier(filters=(8,), epochs=2, random_state=0, n_jobs=1)
        return cross_val_score(
            model, paths, labels, groups=groups, cv=StratifiedGroupKFold(2), scoring="roc_auc"
        )

    alone = scores()
    with joblib.parallel_config(**engine):
        spread = scores()
    np.testing.assert_array_equal(spread, alone)


def test_a_killed_worker_costs_its_own_work_only(engine, patches, alone, tmp_path):
    fatal, calls = tmp_path / "fatal", tmp_path / "calls"
    calls.mkdir()
    driver = os.getpid()

    def score(model, X, y):
        (calls / uuid.uuid4().hex).touch()
        try:
            fatal.touch(exist_ok=False)
        except FileExistsError:
            return balanced_accuracy_score(y, model.predict(X))
        assert os.getpid() != driver
        os.kill(os.getpid(), signal.SIGKILL)

    with joblib.parallel_config(**engine):
        spread = search(patches, tmp_path / "memory", scoring=score)
    assert fatal.exists()
    np.testing.assert_array_equal(spread.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    # A worker has half of the work at most.
    assert N_FITS < len(list(calls.iterdir())) <= N_FITS + N_FITS // 2 + 1


def test_workers_share_a_folder_of_embeddings(engine, patches, tmp_path):
    with joblib.parallel_config(**engine):
        search(patches, tmp_path)
    assert any(tmp_path.rglob("*"))
    embedder = HistoEmbedder("histology", memory=tmp_path).fit(patches[0])
    fresh = HistoEmbedder("histology").fit(patches[0])
    np.testing.assert_array_equal(embedder.transform(patches[0]), fresh.transform(patches[0]))


@pytest.mark.parametrize("what", ["embeddings", "probabilities"])
def test_a_bag_of_paths_is_mapped_block_by_block(dask_client, patches, what):
    bag = pytest.importorskip("dask.bag")
    paths, labels, _ = patches
    if what == "embeddings":
        compute = HistoEmbedder("histology", n_jobs=1).fit(paths).transform
    else:
        compute = HistoTransferClassifier("histology", n_jobs=1).fit(paths, labels).predict_proba
    blocks = bag.from_sequence(paths.tolist(), npartitions=3).map_partitions(
        lambda block: [compute(list(block))]
    )
    np.testing.assert_array_equal(np.concatenate(blocks.compute()), compute(paths))


def test_an_array_of_paths_is_mapped_block_by_block(dask_client, patches):
    array = pytest.importorskip("dask.array")
    paths, labels, _ = patches
    model = HistoTransferClassifier("histology", n_jobs=1).fit(paths, labels)
    probabilities = array.from_array(paths, chunks=15).map_blocks(
        model.predict_proba, dtype="float64", new_axis=1, chunks=((15, 15, 10), (2,)), meta=np.empty((0, 2))
    )
    np.testing.assert_array_equal(probabilities.compute(), model.predict_proba(paths))
