"""What find_patches understands, and what it says of it; weighing the evidence included."""

import time

import numpy as np
import pytest

from histoclf.exceptions import PatchNameError
from histoclf.io import find_patches

IDC = "{patient}_idx5_x{x}_y{y}_class{label}.png"


def idc_files(template: str) -> list[str]:
    """Two patients with two patches of each class, laid out by `template`."""
    cells = [("8863", 51, 1, "0"), ("8863", 101, 1, "1"), ("10253", 1, 51, "0"), ("10253", 1, 1, "1")]
    return [
        template.format(patient=patient, label=label, name=IDC.format(patient=patient, x=x, y=y, label=label))
        for patient, x, y, label in cells
    ]


@pytest.mark.parametrize(
    "template", ["{label}/{name}", "{patient}/{label}/{name}", "{name}", "set/train/{name}"]
)
def test_idc_in_any_layout(touch, template):
    root = touch(*idc_files(template))
    patches = find_patches(root)
    assert patches.description.splitlines()[:2] == [
        "4 images, 2 classes, 2 patients, from IDC file names",
        "Classes: 0 (2), 1 (2).",
    ]
    assert all(path.startswith(str(root)) for path in patches.paths)
    assert patches.paths.dtype == object
    for path, label, group, (x, y) in zip(
        patches.paths, patches.labels, patches.groups, patches.coords, strict=True
    ):
        assert path.endswith(IDC.format(patient=group, x=int(x), y=int(y), label=label))
    assert patches.classes == ["0", "1"]
    assert patches.convention == "IDC"


def test_folders_give_classes_their_words(touch):
    files = [
        file.replace("0/", "benign/", 1).replace("1/", "malignant/", 1)
        for file in idc_files("{label}/{name}")
    ]
    patches = find_patches(touch(*files))
    assert patches.classes == ["benign", "malignant"]
    assert patches.description.startswith(
        "4 images, 2 classes from folders, 2 patients from IDC file names\n"
    )


def test_the_real_layout_of_breakhis(touch):
    root = touch(
        "benign/SOB/adenosis/SOB_B_A_14-22549AB/40X/SOB_B_A-14-22549AB-40-001.png",
        "benign/SOB/fibroadenoma/SOB_B_F_14-9133/400X/SOB_B_F-14-9133-400-002.png",
        "malignant/SOB/ductal/SOB_M_DC_14-2523/40X/SOB_M_DC-14-2523-40-010.png",
    )
    patches = find_patches(root)
    assert patches.groups.tolist() == ["14-22549AB", "14-9133", "14-2523"]
    assert patches.labels.tolist() == ["benign", "benign", "malignant"]
    assert patches.magnifications.tolist() == [40, 400, 40]
    assert "Magnifications are mixed: 40, 400." in patches.description


def test_unknown_patients_are_said_and_how_to_state_them(touch):
    patches = find_patches(touch("Normal/a.jpg", "OSCC/b.jpg"))
    assert patches.groups is None
    assert patches.coords is None
    assert patches.labels.tolist() == ["Normal", "OSCC"]
    first, _, third = patches.description.splitlines()
    assert first == "2 images, 2 classes from folders, patients unknown"
    assert third.startswith("Patients unknown: say who they are with groups='folder'")


def test_groups_none_reads_no_patients(touch):
    patches = find_patches(touch(*idc_files("{label}/{name}")), groups=None)
    assert patches.groups is None
    assert patches.coords is not None


def test_a_folder_per_patient(touch):
    root = touch("P1/benign/1.png", "P1/malignant/2.png", "P2/benign/3.png", "P3/benign/4.png")
    patches = find_patches(root, groups="folder")
    assert patches.groups.tolist() == ["P1", "P1", "P2", "P3"]
    assert patches.labels.tolist() == ["benign", "malignant", "benign", "benign"]
    assert patches.description.startswith("4 images, 2 classes, 3 patients, from folders\n")


def test_two_unexplained_levels_are_not_guessed(touch):
    root = touch("P1/benign/1.png", "P1/malignant/2.png", "P2/benign/3.png")
    with pytest.raises(PatchNameError, match=r"2 levels of folders \(P1/benign/\.\.\.\).*groups='folder'"):
        find_patches(root)
    patches = find_patches(root, labels=r"([^/]+)/[^/]+$", groups=r"^(?P<patient>P\d)/(?P<other>.*)")
    assert patches.labels.tolist() == ["benign", "malignant", "benign"]
    assert patches.groups.tolist() == ["P1", "P1", "P2"]
    assert patches.description.startswith("3 images, 2 classes, 2 patients, from a regular expression\n")


def test_patients_by_expression_leave_the_class_level(touch):
    patches = find_patches(
        touch("P1/benign/1.png", "P1/malignant/2.png", "P2/benign/3.png"), groups=r"^([^/]+)/"
    )
    assert patches.labels.tolist() == ["benign", "malignant", "benign"]


def test_a_callable_is_given_the_whole_path(touch):
    root = touch("a/1-x.png", "b/2-y.png")
    seen = []
    patches = find_patches(root, groups=lambda path: seen.append(path) or path[-5])
    assert seen == patches.paths.tolist()
    assert patches.groups.tolist() == ["x", "y"]
    assert "2 patients from a function" in patches.description


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (r"^(\d+)/", r"rule for the patient finds none in 1 of 2 files: b/2\.png"),
        (lambda path: None, "rule for the patient finds none in 2 of 2 files"),
        (r"(a)(b)", r"has 2 groups; expected one, \(\.\.\.\), that captures the patient"),
        (r"(a", "no valid regular expression"),
        ("folders", r"none of 'auto', 'name', 'folder'.* Did you mean 'folder'\?"),
        ("8863", "Put brackets around the part of the path that is meant"),
        ("name", "No convention that is known here"),
    ],
)
def test_rules_that_do_not_work_say_why(touch, rule, message):
    with pytest.raises(PatchNameError, match=message):
        find_patches(touch("1/1.png", "b/2.png"), groups=rule)


def test_a_rule_of_another_type_is_a_type_error(touch):
    with pytest.raises(TypeError, match=r"labels must be one of .* got 3"):
        find_patches(touch("1.png"), labels=3)


# --- contradictions and halves -----------------------------------------------------------------------------


def test_names_and_folders_that_contradict_are_named(touch):
    root = touch(*idc_files("{label}/{name}"), "0/8863_idx5_x1_y1_class1.png")
    with pytest.raises(
        PatchNameError, match=r"contradict each other in 1 of 5 files: 0/8863_idx5_x1_y1_class1\.png"
    ):
        find_patches(root)
    assert find_patches(root, labels="folder").labels.tolist().count("0") == 3
    assert find_patches(root, labels="name").labels.tolist().count("0") == 2


def test_swapped_class_folders_contradict(touch):
    swapped = {"0": "1", "1": "0"}
    files = [f"{swapped[file[0]]}{file[1:]}" for file in idc_files("{label}/{name}")]
    with pytest.raises(PatchNameError, match="contradict each other in 4 of 4 files"):
        find_patches(touch(*files))


def test_a_convention_that_only_some_names_follow_is_an_error(touch):
    root = touch(*idc_files("{label}/{name}"), "0/thumbnail.png")
    with pytest.raises(
        PatchNameError, match=r"follow IDC, but not in 1 of 5 files: 0/thumbnail\.png\.\nPatients must"
    ):
        find_patches(root)
    patches = find_patches(root, groups=None)
    assert patches.labels.tolist() == ["0", "0", "0", "1", "1"]
    assert "0/thumbnail.png. The names were not used." in patches.description


def test_images_beside_the_class_folders_are_an_error(touch):
    with pytest.raises(PatchNameError, match=r"Not all images lie equally deep: 1 of 3 files: stray\.png"):
        find_patches(touch("a/1.png", "b/2.png", "stray.png"))


def test_asked_for_folders_must_exist(touch):
    with pytest.raises(PatchNameError, match="no class folders"):
        find_patches(touch("1.png"), labels="folder")


def test_asked_for_names_must_tell(touch):
    with pytest.raises(PatchNameError, match="labels='name', but TCGA file names carry no class"):
        find_patches(touch("TCGA-A1-A0SB.png"), labels="name")


def test_without_folders_and_names_classes_are_unknown(touch):
    patches = find_patches(touch("1.png", "2.png"))
    assert patches.labels is None
    assert patches.classes is None
    assert patches.description.startswith("2 images, classes unknown, patients unknown\n")
    assert find_patches(touch("1.png", "sub/3.png"), labels=None).labels is None


def test_a_single_class_is_said(touch):
    description = find_patches(touch("benign/1.png")).description
    assert description.startswith("1 image, 1 class from folders, patients unknown\nClasses: benign (1).")
    assert "only one class; a classifier needs at least two" in description


def test_splits_are_pooled_and_said(touch):
    patches = find_patches(touch("train/a/1.png", "train/b/2.png", "test/a/3.png"))
    assert sorted(patches.labels) == ["a", "a", "b"]
    assert "Folders test, train were taken for a split and pooled." in patches.description


def test_no_images(touch):
    with pytest.raises(PatchNameError, match=r"No images \(PNG.*\. 3 other files ignored: \.txt 2, \.db 1\."):
        find_patches(touch("a.txt", "b.txt", "c.db"))


def test_other_files_are_said(touch):
    patches = find_patches(touch("a/1.png", "a/x.txt", "a/y.txt", ".hidden"))
    assert patches.ignored == {".txt": 2, "hidden": 1}
    assert patches.description.endswith("3 other files ignored: .txt 2, hidden 1.")


def test_verbose_prints_the_description(touch, capsys):
    root = touch("a/1.png")
    find_patches(root)
    assert capsys.readouterr().out == ""
    patches = find_patches(root, verbose=True)
    assert capsys.readouterr().out == patches.description + "\n"


def test_many_files_are_understood_quickly(touch):
    files = [f"{n % 2}/{n % 50}_idx5_x{n}_y1_class{n % 2}.png" for n in range(5_000)]
    root = touch(*files)
    start = time.process_time()
    patches = find_patches(root)
    assert time.process_time() - start < 2  # about 0.06 s
    assert len(patches.paths) == 5_000


# --- real folders ------------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "summary"),
    [
        ("idc_breast", "5,980 images, 2 classes, 14 patients, from IDC file names"),
        ("oral_originals", "1,076 images, 2 classes from folders, patients unknown"),
        ("oral_oscc", "518 images, 2 classes from folders, patients unknown"),
        (
            "kather_texture_sample24",
            "24 images, 8 classes from folders, 10 patients from Kather texture file names",
        ),
        ("crc_val_he_sample70", "70 images, 7 classes from folders, patients unknown"),
        ("osteosarcoma_sample", "6 images, 3 classes from folders, 3 patients from osteosarcoma file names"),
    ],
)
def test_real_folders_are_understood(real_data, folder, summary):
    patches = find_patches(real_data / folder)
    assert patches.description.splitlines()[0] == summary
    assert len(np.unique(patches.paths)) == len(patches.paths)
