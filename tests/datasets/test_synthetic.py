"""Synthetic patches: shapes, seeds, and the trap they set."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoclf.datasets import make_patches


@pytest.fixture(scope="module")
def made():
    return make_patches(n_patients=6, patches_per_patient=40, random_state=0)


def test_shapes_and_types(made):
    assert made.images.shape == (240, 48, 48, 3)
    assert made.images.dtype == np.uint8
    assert made.labels.shape == made.groups.shape == (240,)
    assert made.coords.shape == (240, 2)
    assert made.coords.dtype == np.float64
    assert made.classes == ["benign", "malignant"]
    assert np.unique(made.groups).tolist() == ["P01", "P02", "P03", "P04", "P05", "P06"]
    assert (
        made.description == "240 synthetic patches of 48 x 48 pixels, 2 classes, 6 patients, stain shift 0.5"
    )


def test_each_patient_has_each_class_in_its_own_proportion(made):
    shares = [np.mean(made.labels[made.groups == group] == "malignant") for group in np.unique(made.groups)]
    assert 0 < min(shares) < max(shares) < 1
    assert np.ptp(shares) > 0.1
    tiny = make_patches(n_patients=20, patches_per_patient=2, image_size=16, random_state=0)
    for group in np.unique(tiny.groups):
        assert sorted(tiny.labels[tiny.groups == group]) == ["benign", "malignant"]


def test_positions_are_distinct_and_classes_contiguous(made):
    same, other = [], []
    for group in np.unique(made.groups):
        mine = made.groups == group
        coords, labels = made.coords[mine], made.labels[mine]
        assert len(np.unique(coords, axis=0)) == len(coords)
        np.testing.assert_array_equal(coords % 48, 0)
        distance = np.abs(coords[:, None] - coords).sum(axis=2)
        equal = labels[:, None] == labels
        same.append(equal[distance == 48].mean())
        other.append(equal[distance > 0].mean())
    assert np.mean(same) > np.mean(other) + 0.03


def test_seeds(made):
    state = np.random.get_state()[1].copy()
    again = make_patches(n_patients=6, patches_per_patient=40, random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(again.images, made.images)
    np.testing.assert_array_equal(again.labels, made.labels)
    np.testing.assert_array_equal(again.coords, made.coords)
    other = make_patches(n_patients=6, patches_per_patient=40, random_state=1)
    assert (other.images != made.images).mean() > 0.9
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    ("n_classes", "names"),
    [(3, ["benign", "atypical", "malignant"]), (4, ["grade 0", "grade 1", "grade 2", "grade 3"])],
)
def test_more_classes(n_classes, names):
    made = make_patches(
        n_patients=2, patches_per_patient=8, image_size=16, n_classes=n_classes, random_state=0
    )
    assert made.classes == names
    assert sorted(np.unique(made.labels)) == sorted(names)


def test_class_balance_sets_the_shares():
    made = make_patches(
        n_patients=30, patches_per_patient=20, image_size=16, class_balance=[0.8, 0.2], random_state=0
    )
    assert 0.1 < np.mean(made.labels == "malignant") < 0.35


def test_the_field_of_view_does_not_depend_on_the_size():
    small, big = (
        make_patches(n_patients=4, image_size=size, random_state=0).images.mean() for size in (32, 96)
    )
    assert abs(small - big) < 12


def test_it_looks_like_haematoxylin_and_eosin(made):
    red, green, blue = made.images.reshape(-1, 3).mean(axis=0)
    assert green < blue < 255  # pink to purple: green light is what both stains take
    assert green < red < 255
    darkness = 255 - made.images.mean(axis=(1, 2, 3))
    assert darkness.min() > 20
    assert darkness.max() < 200


def nuclear_area(images: np.ndarray) -> np.ndarray:
    """Share of pixels with little red light, which haematoxylin alone absorbs."""
    red = images[..., 0].astype(float)
    return (red < 0.7 * np.quantile(red, 0.9, axis=(1, 2), keepdims=True)).mean(axis=(1, 2))


def test_malignant_patches_have_more_nuclear_area():
    made = make_patches(n_patients=6, patches_per_patient=40, stain_shift=0, random_state=0)
    area = nuclear_area(made.images)
    assert area[made.labels == "malignant"].mean() > 1.15 * area[made.labels == "benign"].mean()


def colour_score(stain_shift: float) -> float:
    """Balanced accuracy across patients of a model that sees the mean colour only, over three data sets."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=10))
    scores = []
    for seed in range(3):
        made = make_patches(stain_shift=stain_shift, random_state=seed)
        colour = made.images.mean(axis=(1, 2))
        cv = StratifiedGroupKFold(4, shuffle=True, random_state=0)
        scores += cross_val_score(
            model, colour, made.labels, groups=made.groups, cv=cv, scoring="balanced_accuracy"
        ).tolist()
    return float(np.mean(scores))


def test_colour_tempts_and_fails_across_patients():
    without, default = colour_score(0.0), colour_score(0.5)
    assert 0.6 < without < 0.8
    assert 0.5 < default < 0.68
    assert default < without


def test_stain_shift_moves_patients_apart():
    def spread(shift: float) -> float:
        made = make_patches(n_patients=8, stain_shift=shift, random_state=0)
        means = [made.images[made.groups == group].mean(axis=(0, 1, 2)) for group in np.unique(made.groups)]
        return float(np.std(means, axis=0).mean())

    assert 1.5 * spread(0.0) < spread(0.5)
    assert 1.5 * spread(0.5) < spread(1.0)


def test_it_is_fast():
    start = time.process_time()
    make_patches(n_patients=25, random_state=0)
    assert time.process_time() - start < 6  # about 0.9 s for 1,000 patches; the rest is for busy machines


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_patients": 0}, "n_patients must be an integer of at least 1, got 0"),
        ({"n_patients": 2.5}, "n_patients must be an integer"),
        ({"image_size": 8}, "image_size must be an integer of at least 16, got 8"),
        ({"n_classes": 1}, "n_classes must be an integer of at least 2, got 1"),
        (
            {"n_classes": 3, "patches_per_patient": 2},
            "patches_per_patient must be an integer of at least 3, got 2",
        ),
        ({"stain_shift": -1}, "stain_shift must be at least 0, got -1"),
        ({"stain_shift": float("nan")}, "stain_shift must be at least 0, got nan"),
        ({"class_balance": [1.0]}, "class_balance must be 2 positive shares"),
        ({"class_balance": [1.0, 0.0]}, "class_balance must be 2 positive shares"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_patches(**parameters)
