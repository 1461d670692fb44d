"""Decisions about labels: read, checked, and applied to training parts only."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

from histoclf import LabelCleaningClassifier, LabelCorrections
from histoclf.classifiers._label_corrections import protect_cell
from histoclf.exceptions import LabelError

HEAD = "item,given_label,decision,new_label\n"
PATHS = np.array([f"slides/{row}.png" for row in range(12)], dtype=object)
Y = np.array(["benign", "malignant"] * 6)


@pytest.fixture
def read(tmp_path):
    def read(lines: str, head: str = HEAD) -> LabelCorrections:
        (tmp_path / "review.csv").write_bytes((head + lines).encode())
        return LabelCorrections.from_csv(tmp_path / "review.csv")

    return read


class Spy(ClassifierMixin, BaseEstimator):
    """Remembers what it was trained and scored on."""

    trained: list = []  # noqa: RUF012  (clones share them)
    scored: list = []  # noqa: RUF012

    def __init__(self, knob=0):
        self.knob = knob

    def fit(self, X, y, sample_weight=None, groups=None):
        self.classes_ = np.unique(y)
        self.trained.append((list(X), list(y), sample_weight, groups))
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        self.scored.append((list(X), list(y)))
        return 0.5


@pytest.fixture
def spy():
    Spy.trained.clear()
    Spy.scored.clear()
    return Spy()


def test_what_a_spreadsheet_would_compute_comes_back_as_it_was(read):
    items = ["=1.png", "+a", "-b", "@c", "'=d", "''+e", "'f", "g"]
    protected = [protect_cell(item) for item in items]
    assert protected == ["'=1.png", "'+a", "'-b", "'@c", "''=d", "'''+e", "'f", "g"]
    found = read("".join(f"{item},'+1,relabel,-1\n" for item in protected))
    assert [row.item for row in found.corrections] == items
    assert {(row.given, row.new) for row in found.corrections} == {("+1", "-1")}


# --- reading -----------------------------------------------------------------------------------------------


def test_decisions_are_read(read):
    found = read(
        "slides/0.png,benign,relabel,malignant\nslides/1.png,malignant,drop,\nslides/2.png,benign,keep,\n"
    )
    assert repr(found) == "LabelCorrections(1 to keep, 1 to relabel, 1 to drop)"
    labels, kept = found.apply(PATHS, Y)
    assert labels[0] == "malignant"
    assert (labels[1:] == Y[1:]).all()
    assert kept.tolist() == [0, *range(2, 12)]
    assert Y[0] == "benign"  # the caller's own is not changed


def test_what_spreadsheets_make_of_it_is_read(read):
    found = read(
        "slides/0.png;benign; Relabel ;malignant;0.1\r\n",
        "\ufeffitem;given_label;decision;new_label;margin\r\n",
    )
    assert found.apply(PATHS, Y)[0][0] == "malignant"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a.png,benign,remove,\n", "line 2: 'remove' is no decision"),
        ("a.png,benign,relabel,\n", "line 2: relabel needs a new label"),
        ("a.png,benign,relabel,benign\n", "another one than 'benign'"),
        (",benign,keep,\n", "line 2: item or given_label is empty"),
        ("a.png,benign\n,,drop,\nb,c,x,\n", "2 lines that cannot be understood: line 3.*line 4"),
        (
            "a.png,benign,keep,\na.png,benign,drop,\n",
            r"decides 1 items in two ways: a.png \(lines \[2, 3\]\)",
        ),
    ],
)
def test_lines_that_make_no_sense_are_all_named(read, lines, message):
    with pytest.raises(LabelError, match=message):
        read(lines)


def test_a_file_of_another_kind_is_refused(read):
    with pytest.raises(LabelError, match=r"lacks the columns \['given_label', 'new_label'\]"):
        read("", "item,decision\n")
    with pytest.raises(LabelError, match="lacks the columns"):
        read("", "")


def test_repeated_lines_are_warned_of(read):
    with pytest.warns(UserWarning, match=r"1 items more than once.*a.png \(lines \[2, 3\]\)"):
        found = read("a.png,benign,drop,\na.png,benign,drop,\n")
    assert len(found.corrections) == 1


def test_a_sheet_on_which_nothing_was_decided_is_warned_of(read):
    with pytest.warns(UserWarning, match="no decision in 1 lines"):
        read("a.png,benign,,\n")


def test_undecided_next_to_decided_is_decided(read):
    """Two identical arrays have one name: a decision about one of them holds for both."""
    found = read("a.png,benign,,\na.png,benign,drop,\n")
    assert [correction.decision for correction in found.corrections] == ["drop"]


# --- applying ----------------------------------------------------------------------------------------------


def test_other_orders_and_parts_of_x_are_matched_by_name(read):
    found = read("slides/0.png,benign,relabel,malignant\nslides/5.png,malignant,drop,\n")
    rows = np.array([5, 3, 0, 2])
    labels, kept = found.apply(PATHS[rows], Y[rows])
    assert labels.tolist() == ["malignant", "malignant", "malignant", "benign"]
    assert kept.tolist() == [1, 2, 3]


def test_numbers_stay_numbers(read):
    labels, _ = read("slides/0.png,0,relabel,1\n").apply(PATHS, np.array([0, 1] * 6))
    assert labels.dtype.kind == "i"
    assert labels[0] == 1


def test_arrays_are_matched_by_content(read):
    from histoclf.io._items import item_names

    X = np.random.default_rng(0).random((12, 3))
    found = read(f"{item_names(X)[4]},benign,relabel,malignant\n")
    labels, _ = found.apply(X[::-1], Y[::-1])
    assert np.flatnonzero(labels != Y[::-1]).tolist() == [7]


def test_of_equal_arrays_with_two_labels_each_is_decided_by_itself(read):
    from histoclf.io._items import item_names

    X = np.zeros((2, 3))
    name = item_names(X)[0]
    labels, kept = read(f"{name},benign,drop,\n{name},malignant,,\n").apply(X, ["benign", "malignant"])
    assert labels[kept].tolist() == ["malignant"]


def test_labels_that_have_changed_since_are_named(read):
    found = read("slides/0.png,malignant,drop,\nslides/1.png,benign,keep,\n")
    with pytest.raises(
        LabelError, match=r"2 labels have changed .*slides/0.png \(now benign, then malignant\)"
    ):
        found.apply(PATHS, Y)


def test_what_was_corrected_at_its_source_is_left_alone(read):
    found = read("slides/0.png,malignant,relabel,benign\nslides/3.png,malignant,drop,\n")
    labels, kept = found.apply(PATHS, Y)
    assert labels[0] == "benign"
    assert len(kept) == 11


def test_a_new_label_that_is_none_is_named(read):
    with pytest.raises(
        LabelError, match=r"none of y: \['malign'\]. Expected one of \['benign', 'malignant'\]"
    ):
        read("slides/0.png,benign,relabel,malign\n").apply(PATHS, Y)


def test_dropping_everything_is_refused(read):
    with pytest.raises(LabelError, match="drop all 1 samples"):
        read("slides/0.png,benign,drop,\n").apply(PATHS[:1], Y[:1])


def test_check_names_what_is_not_in_x(read):
    found = read("slides/0.png,benign,drop,\nmoved/1.png,malignant,drop,\nslides/99.png,benign,drop,\n")
    with pytest.raises(
        LabelError, match=r"2 of 3 items .*: moved/1.png, slides/99.png.*may be 'slides/1.png'"
    ):
        found.check(PATHS, Y)
    read("slides/0.png,benign,drop,\n").check(PATHS, Y)


@pytest.mark.parametrize(
    ("X", "hint"), [(PATHS, "'elsewhere/0.png' may be"), (np.zeros((12, 2)), "X holds pixels")]
)
def test_corrections_that_meet_nothing_are_warned_of(read, X, hint):
    found = read("elsewhere/0.png,benign,drop,\n")
    with pytest.warns(UserWarning, match=f"None of the 1 corrected items is in X.*{hint}"):
        found.apply(X, Y)


# --- in a classifier ---------------------------------------------------------------------------------------


def test_training_labels_are_corrected_and_test_labels_are_not(read, spy):
    found = read(
        "slides/0.png,benign,relabel,malignant\nslides/1.png,malignant,drop,\nslides/6.png,benign,drop,\n"
    )
    cross_val_score(
        LabelCleaningClassifier(spy, corrections=found), PATHS, Y, groups=np.arange(12) // 2, cv=GroupKFold(3)
    )
    truth = dict(zip(PATHS, Y, strict=True))
    assert sorted(path for paths, _ in spy.scored for path in paths) == sorted(PATHS)
    assert all(truth[path] == label for scored in spy.scored for path, label in zip(*scored, strict=True))
    for paths, labels, *_ in spy.trained:
        assert not {"slides/1.png", "slides/6.png"} & {*paths}
        seen = dict(zip(paths, labels, strict=True))
        assert seen.pop("slides/0.png", "malignant") == "malignant"
        assert all(truth[path] == label for path, label in seen.items())


def test_whatever_has_a_row_for_each_sample_is_dropped_with_it(read, spy):
    found = read("slides/1.png,malignant,drop,\n")
    groups, weights = np.arange(12) // 2, np.arange(12.0)
    LabelCleaningClassifier(spy, corrections=found).fit(PATHS, Y, sample_weight=weights, groups=groups)
    _, _, seen_weights, seen_groups = spy.trained[0]
    assert seen_weights.tolist() == [0, *range(2, 12)]
    assert seen_groups.tolist() == np.delete(groups, 1).tolist()


def test_a_search_carries_the_corrections_along(read, spy):
    found = read("slides/1.png,malignant,drop,\n")
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            LabelCleaningClassifier(
                spy.set_fit_request(sample_weight=False, groups=False), corrections=found
            ),
            {"estimator__knob": [0, 1]},
            cv=2,
        ).fit(PATHS, Y)
    assert search.best_estimator_.corrections.corrections == found.corrections
    assert all("slides/1.png" not in paths for paths, *_ in spy.trained)


def test_messy_labels_are_cleaned_first(read):
    found = read("slides/0.png,benign,relabel,malignant\n")
    messy = np.where(Y == "benign", "Benign ", "M")
    with pytest.warns(UserWarning, match="cleaned the labels"):
        clf = LabelCleaningClassifier(Spy(), corrections=found).fit(PATHS, messy)
    assert clf.classes_.tolist() == ["benign", "malignant"]


def test_clone_and_parameters():
    clf = LabelCleaningClassifier(LogisticRegression(), corrections=LabelCorrections(()))
    assert clone(clf).get_params()["corrections"] == LabelCorrections(())
    with pytest.raises(ValueError, match="'corrections' parameter"):
        LabelCleaningClassifier(LogisticRegression(), corrections="review.csv").fit(
            [[0.0], [1.0]], ["a", "b"]
        )
