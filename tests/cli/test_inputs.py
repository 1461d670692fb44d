from argparse import Namespace

import numpy as np
import pytest

from histoclf import HistoTransferClassifier, SlideContextClassifier
from histoclf.cli._inputs import make_classifier, read_folder
from histoclf.datasets import make_patches
from histoclf.io import save_patches


def model_arguments(*settings, epochs=None, model="cnn", slide_context=False):
    return Namespace(
        seed=3, quiet=True, epochs=epochs, set=list(settings), model=model, slide_context=slide_context
    )


def data_arguments(folder, **changed):
    return Namespace(
        **{"folder": str(folder), "groups": "auto", "labels": "auto", "label_table": "auto"} | changed
    )


def test_the_classifier_has_its_defaults_and_what_is_said():
    classifier = make_classifier(
        model_arguments("class_weight=balanced", "filters=(8, 16)", epochs=2), n_jobs=1
    )
    changed = {"class_weight": "balanced", "filters": (8, 16), "epochs": 2, "n_jobs": 1, "random_state": 3}
    default = type(classifier)().get_params()
    assert classifier.get_params() == default | changed


def test_the_classifier_may_stand_on_another_network():
    words = ["weights=None", "image_size=32", "backbone_params={'alpha': 0.25}", "backbone=mobilenet_v2"]
    classifier = make_classifier(model_arguments(*words, model="transfer", epochs=2))
    assert type(classifier) is HistoTransferClassifier
    changed = {
        "weights": None,
        "image_size": 32,
        "backbone_params": {"alpha": 0.25},
        "backbone": "mobilenet_v2",
    }
    expected = HistoTransferClassifier().get_params() | changed | {"epochs": 2, "random_state": 3}
    assert classifier.get_params() == expected


@pytest.mark.parametrize("model", ["cnn", "transfer"])
def test_the_classifier_may_look_at_the_slide(model):
    classifier = make_classifier(model_arguments(model=model, slide_context=True), on_error="skip")
    assert type(classifier) is SlideContextClassifier
    assert type(classifier.estimator) is type(make_classifier(model_arguments(model=model)))
    assert (classifier.random_state, classifier.estimator.random_state) == (3, 3)
    assert classifier.estimator.on_error == "skip"


@pytest.mark.parametrize("model", ["cnn", "transfer"])
def test_a_field_of_a_preset_can_be_set(model):
    words = "augmentation=strong", "augmentation__stain=0.1"
    classifier = make_classifier(model_arguments(*words, model=model))
    assert classifier.augmentation.stain == 0.1
    assert classifier.augmentation.rotation == 45.0


def test_a_misspelt_field_is_answered():
    with pytest.raises(ValueError, match="stian"):
        make_classifier(model_arguments("augmentation__stian=0.1"))


def test_clean_labels_are_no_news(folder, capsys):
    patches = read_folder(data_arguments(folder))
    assert len(patches.paths) == len(patches.labels) == len(patches.groups) == 40
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "40 images, 2 classes from folders, 4 patients from IDC file names"
    assert not any("labels:" in line for line in said)


def test_patients_may_be_left_out(folder):
    assert read_folder(data_arguments(folder, groups="none")).groups is None


def test_changed_labels_are_reported(tmp_path, capsys):
    made = make_patches(n_patients=2, patches_per_patient=4, image_size=16, random_state=0)
    labels = np.where(made.labels == "benign", "Benign_", "MALIGNANT")
    save_patches(made.images, labels, made.groups, made.coords, tmp_path)
    patches = read_folder(data_arguments(tmp_path, labels="folder"))
    assert {*patches.labels} == {"benign", "malignant"}
    assert "8 labels: 8 changed" in capsys.readouterr().out
