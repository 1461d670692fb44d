"""Copies and patients on both sides of the folds: found, counted, said, and shown."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from histoclf import StratifiedPatientKFold, audit_cv
from histoclf.datasets import make_patches
from histoclf.evaluation import evaluate
from histoclf.evaluation._copies import MOST_SEARCHED, search_if_cheap
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io import ImageLoader, find_patches, save_patches

MADE = make_patches(n_patients=6, patches_per_patient=6, image_size=32, stain_shift=1.0, random_state=0)
# The first patient's first patch, mirrored, and the second patient's as it is, with another label.
COPIED = np.concatenate([MADE.images, MADE.images[:1, ::-1], MADE.images[6:7]])
OTHER = "malignant" if MADE.labels[6] == "benign" else "benign"
LABELS = np.append(MADE.labels, [MADE.labels[0], OTHER])
GROUPS = np.append(MADE.groups, [MADE.groups[12], MADE.groups[18]])
QUICK = {"baselines": None, "learning_curve": False, "inflation": False}


def flatten(images):
    return np.reshape(images, (len(images), -1)) / 255


def of_images():
    return make_pipeline(FunctionTransformer(flatten), LogisticRegression(max_iter=500))


@pytest.fixture(scope="module")
def leaky():
    split = StratifiedPatientKFold(3, duplicates=None, random_state=0)
    return evaluate(of_images(), COPIED, LABELS, groups=GROUPS, cv=split, **QUICK)


@pytest.fixture(scope="module")
def clean():
    return evaluate(of_images(), MADE.images, MADE.labels, groups=MADE.groups, cv=3, **QUICK)


def test_the_result_carries_the_report_of_its_own_folds(leaky):
    folds = [(np.flatnonzero(leaky.folds != n), np.flatnonzero(leaky.folds == n)) for n in range(3)]
    assert leaky.audit == audit_cv(folds, COPIED, LABELS, GROUPS)
    assert [pair[:2] for pair in leaky.audit.near_duplicates] == [(0, 36)]
    assert [pair[:2] for pair in leaky.audit.exact_duplicates] == [(6, 37)]


def test_a_warning_counts_copies_and_names_the_cure(leaky):
    said = "\n".join(leaky.warnings)
    assert "4 patches (11 %) have a copy on the other side of a fold (1 exact and 1 changed pairs)" in said
    assert "cv=StratifiedPatientKFold(n)" in said
    assert "1 pair of copies has different labels" in said
    assert leaky.summary.endswith("; 4 patches have COPIES ACROSS FOLDS")
    assert leaky.summary in leaky.to_text()


def test_the_cure_cures():
    split = StratifiedPatientKFold(3, random_state=0)
    evaluation = evaluate(of_images(), COPIED, LABELS, groups=GROUPS, cv=split, **QUICK)
    assert evaluation.audit.ok
    assert evaluation.summary.endswith("; no copies cross the folds")
    assert len(evaluation.audit.label_conflicts) == 1  # which is no leak


def test_clean_folds_are_called_clean(clean):
    assert clean.audit.ok
    assert clean.summary.endswith("; no copies cross the folds")
    assert not any("cop" in text for text in (*clean.warnings, *clean.notes))


def test_json_holds_what_was_found(leaky, clean):
    found = json.loads(json.dumps(leaky.to_dict()))["audit"]
    assert (found["ok"], found["n_copies"]) == (False, 4)
    assert clean.to_dict()["audit"]["ok"] is True


def test_the_page_shows_the_copies(leaky, clean, tmp_path):
    leaky.to_html(tmp_path / "leaky.html", COPIED)
    page = (tmp_path / "leaky.html").read_text(encoding="utf-8")
    shown = re.findall(r'alt="Copy: (pair \d, similarity [\d.]+, row \d+)"', page)
    assert shown[0].endswith(", row 0")
    assert shown[1].endswith(", row 36")
    assert shown[2:] == ["pair 2, similarity 1.00, row 6", "pair 2, similarity 1.00, row 37"]
    assert "LEAKAGE in 3 folds of 38 images" in page
    clean.to_html(tmp_path / "clean.html")
    page = (tmp_path / "clean.html").read_text(encoding="utf-8")
    assert "No leakage found in 3 folds of 36 images" in page
    assert "Copy: " not in page


def test_copies_of_files_are_shown_unless_they_are_lost(tmp_path):
    paths = [str(tmp_path / f"{row}.png") for row in range(len(COPIED))]
    for path, image in zip(paths, COPIED, strict=True):
        Image.fromarray(image).save(path)
    split = StratifiedPatientKFold(3, duplicates=None, random_state=0)
    evaluation = evaluate(DummyClassifier(), paths, LABELS, groups=GROUPS, cv=split, **QUICK)
    assert evaluation.audit.exact_duplicates == ((paths[6], paths[37], 1.0),)
    (tmp_path / "0.png").unlink()
    evaluation.to_html(tmp_path / "page.html", paths, max_items=0)
    shown = re.findall(r'alt="Copy: ([^"]+)"', (tmp_path / "page.html").read_text(encoding="utf-8"))
    assert shown == ["pair 2, similarity 1.00, 6.png", "pair 2, similarity 1.00, 37.png"]


def test_not_looked_for_is_said(tmp_path):
    evaluation = evaluate(DummyClassifier(), COPIED, LABELS, groups=GROUPS, cv=3, audit=False, **QUICK)
    assert evaluation.audit is None
    assert evaluation.notes == ()
    assert evaluation.summary.endswith("; copies not looked for")
    assert evaluation.to_dict()["audit"] is None
    evaluation.to_html(tmp_path / "page.html")
    assert "they were not looked for" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_rows_of_numbers_hold_no_copies_and_it_is_said():
    X = COPIED.reshape(len(COPIED), -1)
    evaluation = evaluate(DummyClassifier(), X, LABELS, groups=GROUPS, cv=3, **QUICK)
    assert evaluation.notes == (
        "copies of patches were not looked for: X has shape (38, 3072), which are no images.",
    )
    with pytest.raises(InputContractError, match="which are no images"):
        evaluate(DummyClassifier(), X, LABELS, groups=GROUPS, cv=3, audit=True, **QUICK)


def test_flattened_images_are_compared_where_their_shape_is_known():
    class Flat(DummyClassifier):
        def __init__(self, image_shape=(32, 32, 3)):
            super().__init__()
            self.image_shape = image_shape

    evaluation = evaluate(Flat(), COPIED.reshape(38, -1), LABELS, groups=GROUPS, cv=3, **QUICK)
    assert len(evaluation.audit.label_conflicts) == 1


def test_files_that_cannot_be_read_stop_only_who_asked(tmp_path):
    paths = [str(tmp_path / f"{row}.png") for row in range(36)]
    evaluation = evaluate(DummyClassifier(), paths, MADE.labels, groups=MADE.groups, cv=3, **QUICK)
    assert evaluation.notes == ("copies of patches were not looked for: 36 image files cannot be read.",)
    with pytest.raises(ImageReadError):
        evaluate(DummyClassifier(), paths, MADE.labels, groups=MADE.groups, cv=3, audit=True, **QUICK)


def test_many_patches_are_searched_only_if_that_is_wanted():
    assert search_if_cheap(lambda: "found", None, MOST_SEARCHED) == ("found", None)
    found, reason = search_if_cheap(lambda: "found", None, MOST_SEARCHED + 1)
    assert found is None
    assert reason.startswith("10,001 patches")
    assert search_if_cheap(lambda: "found", True, MOST_SEARCHED + 1) == ("found", None)
    assert search_if_cheap(lambda: "found", False, 1) == (None, None)


def test_an_unknown_wish_is_refused():
    with pytest.raises(ValueError, match="audit='always': expected True, False or 'auto'"):
        evaluate(DummyClassifier(), COPIED, LABELS, groups=GROUPS, audit="always")


def test_a_checkpoint_goes_on_with_and_without_the_audit(tmp_path, clean):
    def run(**options):
        kept = {"cv": 3, "checkpoint": tmp_path / "kept"} | QUICK | options
        return evaluate(of_images(), MADE.images, MADE.labels, groups=MADE.groups, **kept)

    without, again = run(audit=False), run()
    assert again.fit_times == without.fit_times
    assert (without.audit, again.audit) == (None, clean.audit)


# --- a split that ignores patients -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def random_split():
    split = StratifiedKFold(3, shuffle=True, random_state=0)
    options = {"cv": split, "baselines": None, "learning_curve": False}
    return evaluate(of_images(), MADE.images, MADE.labels, groups=MADE.groups, **options)


def test_a_random_split_is_told_its_patients_and_its_inflation(random_split, clean):
    assert list(random_split.audit.shared_groups) == np.unique(MADE.groups).tolist()
    inflation = random_split.inflation
    assert inflation.of_these_folds
    assert inflation.balanced_accuracy == random_split.model.balanced_accuracy
    assert inflation.by_patient == pytest.approx(clean.model.balanced_accuracy)  # of the very same folds
    assert inflation.auc_by_patient == pytest.approx(clean.model.auc)
    assert random_split.summary.endswith("; 6 patients CROSS THE FOLDS, no copies cross the folds")
    said = "\n".join(random_split.warnings)
    assert "6 patients are both trained on and tested on" in said
    assert f"folds by patient have {clean.model.balanced_accuracy:.3f} balanced accuracy, and these" in said
    assert random_split.probabilities.shape == (36, 2)


def test_the_page_of_a_random_split_sets_both_beside_each_other(random_split, tmp_path):
    random_split.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "these folds" in page
    assert f"<td>{random_split.inflation.by_patient:.3f}</td>" in page
    assert "6 of 6 patients on both sides" in page


def test_patients_that_were_not_given_are_read_from_names(tmp_path, random_split):
    save_patches(MADE.images, MADE.labels, MADE.groups, MADE.coords, tmp_path)
    paths = sorted(str(path) for path in tmp_path.rglob("*.png"))
    labels = [path.split("/")[-2] for path in paths]
    options = {"cv": 3, "baselines": ["mean colour"], "learning_curve": False}
    evaluation = evaluate(DummyClassifier(), paths, labels, **options)
    assert evaluation.groups is None
    assert len(evaluation.audit.shared_groups) == 6
    assert "groups were not given, though file names tell 6 patients, of whom 6 are" in evaluation.warnings[0]
    assert evaluation.inflation.of_these_folds


@pytest.mark.real_data
def test_a_random_split_of_real_patches_is_found_out(real_data):
    patches = find_patches(real_data / "idc_breast")
    few = slice(None, None, 12)
    paths, y, groups = patches.paths[few], patches.labels[few], patches.groups[few]
    model = make_pipeline(
        ImageLoader(image_size=8, flatten=True), StandardScaler(), LogisticRegression(C=0.01, max_iter=500)
    )
    options = {"baselines": None, "learning_curve": False}
    split = StratifiedKFold(5, shuffle=True, random_state=0)
    leaky = evaluate(model, paths, y, groups=groups, cv=split, **options)
    assert len(leaky.audit.shared_groups) == 13  # of the 14th there is one patch
    assert leaky.audit.n_copies == 0
    assert leaky.inflation.interval[0] > 0
    by_patient = evaluate(model, paths, y, groups=groups, inflation=False, **options)
    assert by_patient.audit.ok
    assert by_patient.model.balanced_accuracy == pytest.approx(leaky.inflation.by_patient)
