"""What augmentation is wanted."""

import pytest
from sklearn.base import clone

from histoclf import Augmentation, HistoCNNClassifier
from histoclf.preprocessing._augmentation import PRESETS, augmentation_fields


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_and_its_name_mean_the_same(name):
    assert augmentation_fields(name) == augmentation_fields(Augmentation.from_preset(name))


def test_no_augmentation_has_no_fields():
    assert augmentation_fields(None) is None


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"no augmentation preset 'stong'.*'flips', 'standard', 'strong'"):
        Augmentation.from_preset("stong")


@pytest.mark.parametrize(
    ("field", "value"), [("rotation", 181.0), ("zoom", -0.1), ("stain", 2), ("flip", "no")]
)
def test_a_field_out_of_its_range_is_refused(field, value):
    with pytest.raises(ValueError, match=f"The '{field}' parameter of Augmentation must be"):
        augmentation_fields(Augmentation(**{field: value}))


def test_a_clone_has_the_same_fields():
    augmentation = Augmentation.from_preset("strong")
    assert clone(augmentation).get_params() == augmentation.get_params()


@pytest.mark.parametrize("augmentation", ["standard", None])
def test_fields_of_what_has_none_are_refused_with_the_cure(augmentation):
    clf = HistoCNNClassifier(augmentation=augmentation)
    with pytest.raises(ValueError, match=r"augmentation__stain cannot be set.*from_preset\('standard'\)"):
        clf.set_params(augmentation__stain=0.1)


def test_an_object_and_its_fields_can_be_set_together():
    clf = HistoCNNClassifier().set_params(augmentation=Augmentation(), augmentation__stain=0.1)
    assert clf.augmentation.stain == 0.1
