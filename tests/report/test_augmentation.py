"""What training sees of a patch."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression

from histoclf import Augmentation, AugmentationDisplay, HistoCNNClassifier
from tests.tiny import textures, tiny_cnn, tiny_transfer

X, Y = textures(8, size=24)


def test_a_row_for_each_patch_as_it_is_and_changed():
    clf = HistoCNNClassifier(augmentation="standard", image_size=16)
    display = AugmentationDisplay.from_estimator(clf, X[:3], n_variants=4)
    assert display.axes_.shape == (3, 5)
    assert display.images.shape == (3, 16, 16, 3)
    assert display.variants.shape == (3, 4, 16, 16, 3)
    shown = np.array([[ax.images[0].get_array() for ax in row] for row in display.axes_])
    np.testing.assert_array_equal(shown[:, 0], display.images)
    np.testing.assert_array_equal(shown[:, 1:], display.variants)
    assert not hasattr(clf, "classes_")
    assert not hasattr(clf, "n_features_in_")


def test_flips_are_flips():
    display = AugmentationDisplay.from_augmentation("flips", X[:2], n_variants=12)
    assert {image.tobytes() for image in display.variants[0]} <= {
        np.ascontiguousarray(view).tobytes()
        for turned in (X[0], X[0].transpose(1, 0, 2))
        for view in (turned, turned[::-1], turned[:, ::-1], turned[::-1, ::-1])
    }
    assert len({image.tobytes() for image in display.variants[0]}) > 2


def test_the_same_seed_draws_the_same_pictures():
    strong = Augmentation.from_preset("strong")
    first, again, other = (
        AugmentationDisplay.from_augmentation(strong, X[:1], random_state=seed).variants for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_units_are_those_of_the_fit():
    clf = tiny_cnn(augmentation="flips").partial_fit(X / 255.0, Y, np.unique(Y))
    display = AugmentationDisplay.from_estimator(clf, X[:2] / 255.0, n_variants=1, ax=Figure().subplots(2, 2))
    np.testing.assert_array_equal(display.images, X[:2])


def test_what_augments_nothing_is_refused():
    with pytest.raises(ValueError, match="augmentation=None changes nothing"):
        AugmentationDisplay.from_estimator(tiny_cnn(augmentation=None), X)
    with pytest.raises(ValueError, match=r"trains on the patches as they are.*from_augmentation"):
        AugmentationDisplay.from_estimator(tiny_transfer(augmentation="strong"), X)
    with pytest.raises(TypeError, match="LogisticRegression says nothing of augmentation"):
        AugmentationDisplay.from_estimator(LogisticRegression(), X)
    with pytest.raises(ValueError, match="n_variants=0: expected at least 1"):
        AugmentationDisplay.from_augmentation("flips", X, n_variants=0)
    with pytest.raises(ValueError, match="no augmentation preset 'mild'"):
        AugmentationDisplay.from_augmentation("mild", X)


def test_copies_of_a_frozen_classifier_are_shown():
    clf = tiny_transfer(augmentation="flips", augmented_copies=2)
    assert AugmentationDisplay.from_estimator(clf, X[:1], n_variants=2).images.shape == (1, 16, 16, 3)
