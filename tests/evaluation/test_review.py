"""review_labels: where probabilities come from, what comes first, and what is said about it."""

import csv

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from histoclf import (
    LabelCorrections,
    SlideContextClassifier,
    evaluate,
    find_duplicates,
    make_patches,
    review_labels,
)
from histoclf.evaluation._label_review import CONFLICT, UNLIKELY
from histoclf.evaluation._ranking import join_duplicates, link_patients
from histoclf.exceptions import InputContractError, SplitError

N = 120
GROUPS = np.repeat([f"P{number}" for number in range(10)], 12)
TRUTH = np.tile(["benign", "malignant"], N // 2)
X = np.where(TRUTH == "malignant", 1.0, 0.0)[:, None] + np.random.default_rng(0).normal(0, 0.1, (N, 2))
WRONG = [5, 40, 77]
Y = TRUTH.copy()
Y[WRONG] = np.where(TRUTH[WRONG] == "benign", "malignant", "benign")
PROBABILITIES = np.where(TRUTH[:, None] == ["benign", "malignant"], 0.9, 0.1)


def rows_of(review):
    return [issue.row for issue in review.issues]


# --- where probabilities come from -------------------------------------------------------------------------


def test_planted_errors_are_found_by_a_classifier_that_has_not_seen_the_patient():
    review = review_labels(LogisticRegression(), X, Y, groups=GROUPS)
    # As many are listed as are estimated; one of three stays below the threshold.
    assert {*rows_of(review)} == {5, 40}
    first = review.issues[0]
    assert (first.given, first.suggested) == (Y[first.row], TRUTH[first.row])
    assert first.patient == GROUPS[first.row]
    assert 0 <= first.self_confidence < 0.5
    assert review.warnings == ()


def test_an_evaluation_and_its_probabilities_give_the_same():
    evaluation = evaluate(LogisticRegression(), X, Y, groups=GROUPS, cv=3)
    from_evaluation = review_labels(evaluation, X, Y)
    from_probabilities = review_labels(evaluation.probabilities, X, Y, groups=GROUPS)
    from_classifier = review_labels(LogisticRegression(), X, Y, groups=GROUPS, cv=3)
    assert from_evaluation.issues == from_probabilities.issues == from_classifier.issues


def test_a_classifier_of_whole_slides_gets_its_slides():
    context = SlideContextClassifier(LogisticRegression(), radius=16.0, weight=0.0)
    coords = np.column_stack([np.arange(N) % 12, np.zeros(N)]) * 16.0
    review = review_labels(context, X, Y, groups=GROUPS, coords=coords)
    assert review.issues == review_labels(LogisticRegression(), X, Y, groups=GROUPS).issues


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers on which rows it was trained, and for which it was asked."""

    log: list = []  # noqa: RUF012  (clones share it)

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.log.append([X[:, 0].tolist()])
        return self

    def predict_proba(self, X):
        self.log[-1].append(X[:, 0].tolist())
        return np.full((len(X), 2), 0.5)


def test_patients_and_those_who_share_a_duplicate_are_never_on_both_sides():
    Recorder.log.clear()
    numbers = np.arange(float(N))[:, None]
    review_labels(Recorder(), numbers, Y, groups=GROUPS, duplicates=[(0, 30), (31, 119)])
    linked = {"P0": "A", "P2": "A", "P9": "A"}
    for train, test in Recorder.log:
        sides = [{linked.get(GROUPS[int(row)], GROUPS[int(row)]) for row in side} for side in (train, test)]
        assert not sides[0] & sides[1]
    assert sorted(row for _, test in Recorder.log for row in test) == list(range(N))


def test_rows_that_were_not_tested_are_left_out_and_said():
    probabilities = PROBABILITIES.copy()
    probabilities[WRONG[0]] = np.nan
    review = review_labels(probabilities, X, Y, groups=GROUPS)
    assert sorted(rows_of(review)) == WRONG[1:]
    assert review.warnings == ("1 of 120 patches were never tested; of them only duplicates are listed.",)


def test_without_patients_the_result_says_so():
    (warning,) = review_labels(PROBABILITIES, X, Y).warnings
    assert "Patients are unknown" in warning


def test_an_evaluation_that_split_duplicates_is_told_on():
    evaluation = evaluate(LogisticRegression(), X, Y, groups=GROUPS, cv=10)
    review = review_labels(evaluation, X, Y, duplicates=[(0, 30), (1, 3)])
    assert any(text.startswith("1 sets of duplicates were on both sides") for text in review.warnings)


# --- duplicates --------------------------------------------------------------------------------------------


def test_conflicts_come_first_and_together_and_the_majority_is_suggested():
    # 5 is wrong; 1 and 3 are its copies. 2 and 4 agree with each other.
    review = review_labels(PROBABILITIES, X, np.where(np.arange(N) == 5, "benign", TRUTH), groups=GROUPS,
                           duplicates=[(5, 1), (3, 5), (2, 4)])  # fmt: skip
    assert rows_of(review) == [1, 3, 5]
    assert {issue.reason for issue in review.issues} == {CONFLICT}
    assert {issue.suggested for issue in review.issues} == {"malignant"}
    assert review.issues[2].duplicates == (1, 3)


def test_a_tie_is_settled_by_the_probabilities():
    review = review_labels(PROBABILITIES, X, Y, groups=GROUPS, duplicates=[(5, 3)])
    assert [(issue.row, issue.suggested) for issue in review.issues[:2]] == [
        (3, "malignant"),
        (5, "malignant"),
    ]
    assert [issue.reason for issue in review.issues] == [CONFLICT, CONFLICT, UNLIKELY, UNLIKELY]


def test_copies_are_found_by_themselves_unless_told_otherwise():
    made = make_patches(n_patients=4, patches_per_patient=5, image_size=32, random_state=0)
    images = np.concatenate([made.images, np.rot90(made.images[2:3], axes=(1, 2))])
    other = "malignant" if made.labels[2] == "benign" else "benign"
    y, groups = np.append(made.labels, other), np.append(made.groups, made.groups[-1])
    sure = np.where(y[:, None] == ["benign", "malignant"], 0.9, 0.1)
    review = review_labels(sure, images, y, groups=groups)
    assert [(issue.row, issue.duplicates, issue.reason) for issue in review.issues] == [
        (2, (20,), CONFLICT),
        (20, (2,), CONFLICT),
    ]
    assert review.warnings == ()
    assert review_labels(sure, images, y, groups=groups, duplicates=None).issues == ()
    found = find_duplicates(images)
    assert review_labels(sure, images, y, groups=groups, duplicates=found).issues == review.issues
    with pytest.raises(ValueError, match=r"a search of 21 images, but X has 20 rows"):
        review_labels(sure[:20], images[:20], y[:20], groups=groups[:20], duplicates=found)
    with pytest.raises(ValueError, match="duplicates='all': expected one of 'auto'"):
        review_labels(sure, images, y, groups=groups, duplicates="all")


def test_files_that_cannot_be_compared_are_said_and_do_not_stop_the_review():
    review = review_labels(PROBABILITIES, [f"{row}.png" for row in range(N)], Y, groups=GROUPS)
    assert review.warnings == (
        "Copies were not looked for: 120 image files cannot be read. Pass duplicates, if they are known.",
    )


def test_what_a_fit_warns_of_is_in_the_result():
    review = review_labels(LogisticRegression(max_iter=1), X * 1e3, Y, groups=GROUPS, cv=2)
    assert any(text.startswith("Folds 1, 2: lbfgs failed to converge") for text in review.warnings)


def test_duplicates_of_one_label_are_no_issue():
    assert rows_of(review_labels(PROBABILITIES, X, TRUTH, groups=GROUPS, duplicates=[(0, 2)])) == []


@pytest.mark.parametrize("duplicates", [[(1, 1)], [(3,)], [(0, N)], [(-1, 2)], [("a", "b")], [(0.5, 1.0)]])
def test_what_is_no_set_of_rows_is_named(duplicates):
    with pytest.raises(ValueError, match=r"duplicates has 1 entries that are no sets of rows: .*0 to 119"):
        review_labels(PROBABILITIES, X, Y, duplicates=duplicates)


def test_sets_that_overlap_are_joined():
    joined = join_duplicates([(1, 2), (5, 4), (2, 9)], 10)
    assert [rows.tolist() for rows in joined] == [[1, 2, 9], [4, 5]]
    assert join_duplicates([], 10) == []


def test_linking_without_duplicates_changes_nothing():
    assert link_patients(GROUPS, [], N) is GROUPS
    assert link_patients(None, [], N) is None
    assert link_patients(None, [np.array([0, 2])], 4).tolist() == [0, 1, 0, 2]


# --- ranking -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank_by", ["normalized_margin", "self_confidence"])
def test_the_most_doubtful_comes_first(rank_by):
    probabilities = PROBABILITIES.copy()
    probabilities[77] = np.where(Y[77] == np.array(["benign", "malignant"]), 0.01, 0.99)
    review = review_labels(probabilities, X, Y, groups=GROUPS, rank_by=rank_by)
    assert rows_of(review)[0] == 77
    scores = [getattr(issue, rank_by) for issue in review.issues]
    assert scores == sorted(scores)


# --- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"source": PROBABILITIES[:, :1]}, ValueError, r"shape \(120, 1\). Expected \(120, 2\)"),
        ({"source": PROBABILITIES * 2}, ValueError, "do not sum to 1"),
        ({"source": PROBABILITIES * np.nan}, ValueError, "0 of 0 tested rows"),
        ({"source": LinearSVC()}, TypeError, "has no predict_proba"),
        ({"y": ["a"] * N}, ValueError, "only 1 class"),
        ({"filter_by": "prune"}, ValueError, "filter_by='prune': expected one of 'prune_by_noise_rate'"),
        ({"rank_by": "margin"}, ValueError, "rank_by='margin'"),
        ({"engine": "own"}, ValueError, "engine='own': expected one of 'histoclf', 'cleanlab'"),
        ({"groups": GROUPS[:5]}, ValueError, "inconsistent numbers of samples"),
        ({"source": LogisticRegression(), "cv": 11}, SplitError, "need at least 11 patients"),
    ],
)
def test_what_does_not_fit_is_an_error(changes, kind, message):
    arguments = {"source": PROBABILITIES, "X": X, "y": Y, "groups": GROUPS} | changes
    with pytest.raises(kind, match=message):
        review_labels(**arguments)


def test_an_evaluation_of_other_labels_is_refused():
    evaluation = evaluate(LogisticRegression(), X, TRUTH, groups=GROUPS, cv=3)
    with pytest.raises(ValueError, match="of 120 other labels than the 120 in y"):
        review_labels(evaluation, X, Y)


# --- the result --------------------------------------------------------------------------------------------


def test_the_text_says_how_many_and_which():
    text = str(review_labels(PROBABILITIES, [f"{row}.png" for row in range(N)], Y, groups=GROUPS))
    assert text.startswith("3 of 120 labels of 10 patients are doubtful")
    assert f"5.png: {Y[5]}, perhaps {TRUTH[5]}" in text


def test_the_table_is_what_corrections_read(tmp_path):
    review = review_labels(PROBABILITIES, [f"{row}.png" for row in range(N)], Y, groups=GROUPS)
    review.to_csv(tmp_path / "review.csv")
    rows = list(csv.reader((tmp_path / "review.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0][:4] == ["item", "given_label", "decision", "new_label"]
    assert [row[0] for row in rows[1:]] == ["5.png", "40.png", "77.png"]


def test_a_table_survives_names_and_labels_that_look_like_formulas(tmp_path):
    items, y = [f"={row}.png" for row in range(N)], np.where(Y == "benign", "-1", "+1")
    p = PROBABILITIES[:, ::-1]  # columns are sorted: "+1" comes before "-1"
    review = review_labels(p, items, y, groups=GROUPS, duplicates=None)
    review.to_csv(tmp_path / "review.csv")
    assert "'=5.png,'" in (tmp_path / "review.csv").read_text(encoding="utf-8")
    with pytest.warns(UserWarning, match="has no decision"):
        corrections = LabelCorrections.from_csv(tmp_path / "review.csv")
    found = [(correction.item, correction.given) for correction in corrections.corrections]
    assert found == [(issue.item, issue.given) for issue in review.issues]


def test_the_sheet_wants_the_x_that_was_reviewed(tmp_path):
    review = review_labels(PROBABILITIES, X, Y, groups=GROUPS)
    with pytest.raises(ValueError, match=r"X has 3 rows\. Expected the 120"):
        review.to_html(tmp_path / "sheet.html", X[:3])
    with pytest.raises(InputContractError, match="no pictures"):
        review.to_html(tmp_path / "sheet.html", X)
    assert not list(tmp_path.iterdir())


def test_the_sheet_of_images_names_rows(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
    review = review_labels(PROBABILITIES, images, Y, groups=GROUPS, duplicates=None)
    review.to_html(tmp_path / "sheet.html", images, max_items=2)
    html = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "1. row 5</h3>" in html
    assert html.count("data:image/webp") == 2
    assert "The first 2 are shown." in html


def test_members_of_a_conflict_name_each_other(tmp_path):
    paths = [f"slides/{row}.png" for row in range(N)]
    review = review_labels(PROBABILITIES, paths, Y, groups=GROUPS, duplicates=[(5, 3)])
    assert "3.png: malignant, perhaps right (duplicates with different labels)" in str(review)
    review.to_html(tmp_path / "sheet.html", paths)
    html = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert [html.count(f"<dd>{row}.png</dd>") for row in (3, 5)] == [1, 1]


def test_no_doubt_gives_a_sheet_that_says_so(tmp_path):
    review = review_labels(PROBABILITIES, ["none.png"] * N, TRUTH, groups=GROUPS)
    review.to_html(tmp_path / "sheet.html", ["none.png"] * N)
    assert "No label is doubtful." in (tmp_path / "sheet.html").read_text(encoding="utf-8")
