import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from histoclf.datasets import make_patches
from histoclf.evaluation import evaluate
from histoclf.exceptions import CheckpointError
from histoclf.io import save_patches

MADE = make_patches(n_patients=6, patches_per_patient=10, image_size=16, random_state=0)
ROWS = MADE.images.reshape(60, -1) / 255


class Interrupted(ClassifierMixin, BaseEstimator):
    """Count fits, and be interrupted in one of them."""

    n_fits = 0
    last = 1000

    def __init__(self, shift=0.0, verbose=0):
        self.shift = shift
        self.verbose = verbose

    def fit(self, X, y):
        type(self).n_fits += 1
        if self.n_fits > self.last:
            raise KeyboardInterrupt
        warnings.warn("it was warned", UserWarning, stacklevel=2)
        self.classes_, self.mean_ = np.unique(y), X.mean()
        return self

    def predict_proba(self, X):
        p = np.clip(X.mean(axis=1) - self.mean_ + 0.5 + self.shift, 0, 1)
        return np.stack([1 - p, p], axis=1)


@pytest.fixture
def fits():
    Interrupted.n_fits, Interrupted.last = 0, 1000
    return Interrupted


def run(path, estimator=None, *, X=ROWS, y=MADE.labels, **options):
    options = {"groups": MADE.groups, "cv": 3, "inflation": True} | options
    return evaluate(estimator or Interrupted(), X, y, checkpoint=path, **options)


def test_what_was_interrupted_goes_on_and_nothing_is_lost(fits, tmp_path):
    whole = run(tmp_path / "whole")
    fits.n_fits, fits.last = 0, 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "part")
    fits.n_fits, fits.last = 0, 1000
    resumed = run(tmp_path / "part")
    assert fits.n_fits == 6 - 4
    assert np.array_equal(resumed.probabilities, whole.probabilities)
    assert resumed.to_dict()["rows"] == whole.to_dict()["rows"]
    assert resumed.inflation == whole.inflation
    assert resumed.warnings == whole.warnings
    assert "Folds 1, 2, 3: it was warned" in resumed.warnings
    assert resumed.training_score == whole.training_score


def test_what_is_finished_is_read(fits, tmp_path):
    first = run(tmp_path / "file")
    fits.n_fits = 0
    again = run(tmp_path / "file", Interrupted(verbose=1))  # which changes no number
    assert fits.n_fits == 0
    one, other = first.to_dict(), again.to_dict()
    classifiers = [content["settings"].pop("classifier") for content in (one, other)]
    assert classifiers == ["Interrupted()", "Interrupted(verbose=1)"]  # all that differs: what was asked for
    assert one == other


def test_more_can_be_asked_for_later(fits, tmp_path):
    run(tmp_path / "file")
    fits.n_fits = 0
    assert run(tmp_path / "file", learning_curve=True).learning_curve is not None
    assert fits.n_fits == 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"estimator": Interrupted(shift=0.1)}, r"the parameter shift \(0.0 there, 0.1 here\)"),
        (
            {"estimator": LogisticRegression(max_iter=2000)},
            r"the estimator \(Interrupted there, LogisticRegression here\)\. Go",
        ),
        ({"cv": 2}, "the folds"),
        ({"random_state": 1}, r"the folds .*; random_state \(0 there, 1 here\)"),
        ({"X": ROWS + 0.01}, "the images X"),
        ({"y": MADE.labels[::-1]}, "the labels y"),
        ({"groups": None, "inflation": False}, r"groups \(.* there, none here\)"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_and_stays(change, words, fits, tmp_path):
    run(tmp_path / "file")
    before = (tmp_path / "file").read_bytes()
    with pytest.raises(CheckpointError, match=f"is of another evaluation. They differ in: .*{words}"):
        run(tmp_path / "file", **change)
    assert (tmp_path / "file").read_bytes() == before


def test_files_count_by_their_content_and_not_by_their_place(tmp_path):
    folders = [tmp_path / "here", tmp_path / "there"]
    paths = [save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, folder) for folder in folders]
    for X in paths:
        run(tmp_path / "file", OfFiles(), X=X)
    with open(paths[1][7], "ab") as file:
        file.write(b"more")
    with pytest.raises(CheckpointError, match="the images X"):
        run(tmp_path / "file", OfFiles(), X=paths[1])


class OfFiles(Interrupted):
    """A classifier of files, which only counts them."""

    def fit(self, X, y):
        return super().fit(np.zeros((len(X), 1)), y)

    def predict_proba(self, X):
        return super().predict_proba(np.zeros((len(X), 1)))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "cut"])
def test_a_damaged_file_is_refused_and_stays(content, fits, tmp_path):
    path = tmp_path / "file"
    if content == "cut":
        run(path)
        content = path.read_bytes()[:-40]
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is no checkpoint of histoclf, or it is damaged .* delete"):
        run(path)
    assert path.read_bytes() == content


def test_where_nothing_can_be_written_is_said_before_the_first_fit(fits, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*no folder' to keep a checkpoint in"):
        run(tmp_path / "no folder" / "file")
    with pytest.raises(IsADirectoryError, match="is a folder; expected the name of a file"):
        run(tmp_path)
    assert fits.n_fits == 0


def test_a_seed_that_cannot_be_repeated_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs an int as random_state"):
        run(tmp_path / "file", random_state=None)


def test_two_jobs_keep_what_one_keeps(tmp_path):
    model = LogisticRegression(max_iter=2000)
    one, two = (run(tmp_path / f"{n_jobs}", model, n_jobs=n_jobs) for n_jobs in (1, 2))
    resumed = run(tmp_path / "2", model)
    assert resumed.to_dict()["rows"] == two.to_dict()["rows"] == one.to_dict()["rows"]
