"""A small folder of patches, and a model trained on it by the command line."""

import pytest

from histoclf.cli import main
from histoclf.datasets import make_patches
from histoclf.io import save_patches
from tests.tiny import tiny_backbone

# The smallest network there is: these tests are about the way, not about the model.
TINY = ["--epochs", "1", "--set", "filters=(4,)", "--set", "augmentation=None"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("patches")
    made = make_patches(n_patients=4, patches_per_patient=10, image_size=16, random_state=0)
    save_patches(made.images, made.labels, made.groups, made.coords, root)
    return root


@pytest.fixture(scope="session")
def transfer(tmp_path_factory):
    """Words that ask for a classifier on top of a tiny network with random weights."""
    path = tmp_path_factory.mktemp("network") / "tiny.keras"
    tiny_backbone().save(path)
    settings = [f"backbone={path}", "weights=None", "image_size=32", "engine=keras", "C=1.0"]
    return ["--model", "transfer", *(word for setting in settings for word in ("--set", setting))]


@pytest.fixture(scope="session")
def model(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.histoclf"
    assert main(["train", str(folder), "--out", str(path), "--quiet", *TINY]) == 0
    return path
