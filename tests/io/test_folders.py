"""Which level of folders is what."""

import numpy as np
import pytest

from histoclf.exceptions import PatchNameError
from histoclf.io._folders import FolderTree, class_and_patient, disagreements, listing


def tree(*files: str) -> FolderTree:
    return FolderTree.read(files)


def test_levels_are_read_from_the_root_down():
    found = tree("a/x/1.png", "b/y/2.png")
    assert [level.tolist() for level in found.levels] == [["a", "b"], ["x", "y"]]
    assert tree("1.png", "2.png").levels == []


def test_splits_are_no_level():
    found = tree("train/a/1.png", "Test/b/2.png", "val/b/3.png")
    assert [level.tolist() for level in found.levels] == [["a", "b", "b"]]
    assert found.splits == ["Test", "train", "val"]
    assert tree("train/1.png", "tumour/2.png").splits == []


def test_uneven_depths_give_no_levels():
    found = tree("a/1.png", "a/2.png", "3.png")
    assert found.levels == []
    assert found.uneven == ["3.png"]


def test_levels_that_repeat_the_patient_or_never_vary_are_no_class():
    found = tree("slides/P1/0/1.png", "slides/P1/1/2.png", "slides/P2/0/3.png")
    left = found.without(np.array(["P1", "P1", "P2"]))
    assert [level.tolist() for level in left] == [["0", "1", "0"]]
    assert [level.tolist() for level in tree("only/1.png", "only/2.png").without(None)] == [["only", "only"]]


@pytest.mark.parametrize("order", ["{p}/{c}/{n}.png", "{c}/{p}/{n}.png", "set/{c}/{p}/{n}.png"])
def test_the_level_with_fewer_names_is_the_class(order):
    rows = [("P1", "0"), ("P1", "1"), ("P2", "0"), ("P3", "1")]
    files = [order.format(p=p, c=c, n=n) for n, (p, c) in enumerate(rows)]
    label, patient = class_and_patient(tree(*files), None)
    assert patient.tolist() == ["P1", "P1", "P2", "P3"]
    assert label.tolist() == ["0", "1", "0", "1"]


def test_one_level_is_the_patient():
    label, patient = class_and_patient(tree("P1/1.png", "P2/2.png"), None)
    assert label is None
    assert patient.tolist() == ["P1", "P2"]


@pytest.mark.parametrize(
    "files",
    [
        ["P1/0/1.png", "P2/1/2.png"],  # two and two
        ["P1/0/1.png", "P1/1/2.png"],  # one patient, or one class
    ],
)
def test_a_draw_is_not_guessed(files):
    with pytest.raises(PatchNameError, match=r"cannot tell patients from classes: the first folders are P1"):
        class_and_patient(tree(*files), None)


def test_names_settle_a_draw():
    label, patient = class_and_patient(tree("P1/a/1.png", "P1/b/2.png"), np.array(["0", "1"]))
    assert label.tolist() == ["a", "b"]
    assert patient.tolist() == ["P1", "P1"]


def test_names_that_fit_both_levels_settle_nothing():
    with pytest.raises(PatchNameError, match="cannot tell patients from classes"):
        class_and_patient(tree("P1/a/1.png", "P2/b/2.png"), np.array(["0", "1"]))


def test_deep_or_uneven_trees_ask_for_an_expression():
    with pytest.raises(PatchNameError, match=r"3 folders deep\. Say which part is the patient"):
        class_and_patient(tree("P1/s1/0/1.png", "P2/s2/1/2.png"), None)
    with pytest.raises(PatchNameError, match=r"different depths, among them 3\.png"):
        class_and_patient(tree("a/1.png", "a/2.png", "3.png"), None)


def test_disagreement_in_the_same_words():
    folders, labels = np.array(["0", "0", "1"]), np.array(["0", "1", "1"])
    assert disagreements(folders, labels).tolist() == [False, True, False]
    assert disagreements(1 - folders.astype(int), labels.astype(int)).tolist() == [True, False, True]


def test_disagreement_in_other_words():
    folders = np.array(["benign"] * 3 + ["malignant"] * 2)
    assert not disagreements(folders, np.array(["0", "0", "0", "1", "1"])).any()
    assert disagreements(folders, np.array(["0", "1", "0", "1", "1"])).tolist() == [
        False,
        True,
        False,
        False,
        False,
    ]


def test_a_listing_shows_ten():
    assert listing(["a", "b"], 2000) == "2 of 2,000 files: a, b."
    assert listing([str(n) for n in range(12)], 12).endswith("8, 9, and 2 more.")
