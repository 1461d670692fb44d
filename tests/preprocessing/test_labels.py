"""LabelCleaner."""

import pickle
import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
)

from histoclf.exceptions import LabelError
from histoclf.preprocessing import LabelCleaner

MESSY = [" Malignant", "BENIGN", "benign_tumour", "M", "malignant"]
CLEAN = ["malignant", "benign", "benign", "malignant", "malignant"]


# --- the scikit-learn contract: the checks that need no 2-D X, as for LabelEncoder --------------


@pytest.mark.parametrize(
    "check",
    [
        check_do_not_raise_errors_in_init_or_set_params,
        check_estimator_cloneable,
        check_estimator_repr,
        check_estimator_tags_renamed,
        check_get_params_invariance,
        check_mixin_order,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_set_params,
        check_valid_tag_types,
    ],
)
@pytest.mark.parametrize("cleaner", [LabelCleaner(), LabelCleaner(on_unknown="drop")], ids=str)
def test_scikit_learn_checks(check, cleaner):
    check("LabelCleaner", cleaner)


def test_tags_are_those_of_label_encoder():
    tags = LabelCleaner().__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.one_d_labels


@pytest.mark.parametrize("method", ["transform", "clean"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(LabelCleaner(), method)(["a"])


@pytest.mark.parametrize("params", [{"on_unknown": "ignore"}, {"table": "breast"}, {"aliases": ["a"]}])
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of LabelCleaner must be"):
        LabelCleaner(**params).fit(["a"])


def test_pickle_and_clone():
    cleaner = LabelCleaner(aliases={"benign": ["good"]}).fit(MESSY)
    again = pickle.loads(pickle.dumps(cleaner))
    assert again.transform(["GOOD"]).tolist() == ["benign"]
    assert again.report_ == cleaner.report_
    assert not hasattr(clone(cleaner), "classes_")


# --- cleaning ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "container",
    [list, tuple, np.array, lambda y: np.array(y, dtype=object), pd.Series, pd.Index, pd.Categorical],
)
def test_every_container(container):
    y = container(MESSY)
    cleaner = LabelCleaner()
    y_clean = cleaner.fit_transform(y)
    assert y_clean.dtype.kind == "U"
    assert y_clean.tolist() == CLEAN
    assert cleaner.classes_.tolist() == ["benign", "malignant"]
    assert list(y) == MESSY  # untouched


def test_cleaning_is_idempotent():
    once = LabelCleaner().fit_transform(MESSY)
    cleaner = LabelCleaner().fit(once)
    assert cleaner.transform(once).tolist() == once.tolist()
    assert not cleaner.report_.changes


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 1]),
        np.array([0.0, 1.0]),
        np.array([0, 1], dtype=np.uint8),
        ["0", "1"],
        ["0.0", 1],
        ["00", "1.0"],
        [0.0, "01"],
        pd.Series([0, 1], dtype="Int64"),
        pd.Series(["0", "1"], dtype="string"),
    ],
)
def test_numbers_have_one_spelling_and_no_table_is_guessed_for_them(y):
    cleaner = LabelCleaner()
    assert cleaner.fit_transform(y).tolist() == ["0", "1"]
    assert cleaner.table_ is None


def test_equal_values_of_different_type_are_one_class():
    assert LabelCleaner().fit_transform([0, "0", "0.0", 0.0, 1]).tolist() == ["0", "0", "0", "0", "1"]
    assert LabelCleaner().fit_transform([0, False]).tolist() == ["0", "false"]


def test_classes_without_a_table_keep_their_names():
    cleaner = LabelCleaner()
    y = ["01_TUMOR", "02-Stroma", "02 stroma", "benign"]
    assert cleaner.fit_transform(y).tolist() == ["01 tumor", "02 stroma", "02 stroma", "benign"]
    assert cleaner.table_ is None


@pytest.mark.parametrize(
    "y",
    [["IDC(+)", "non-IDC"], ["idc_positive", 0], ["Invasive Ductal Carcinoma", "class0"], ["IDC +", "IDC -"]],
)
def test_idc_is_recognised(y):
    cleaner = LabelCleaner()
    assert cleaner.fit_transform(y).tolist() == ["idc positive", "idc negative"]
    assert cleaner.table_ == "idc"


@pytest.mark.parametrize("y", [[1, 0], ["1.0", "0"], ["class1", "class0"], [True, False], ["yes", "NO"]])
@pytest.mark.parametrize(
    ("table", "expected"),
    [("idc", ["idc positive", "idc negative"]), ("benign_malignant", ["malignant", "benign"])],
)
def test_a_table_chosen_by_name_reads_codes(table, expected, y):
    assert LabelCleaner(table=table).fit_transform(y).tolist() == expected


def test_no_table():
    assert LabelCleaner(table=None).fit_transform(["Cancer", "malignant"]).tolist() == ["cancer", "malignant"]


def test_auto_ignores_missing_labels():
    cleaner = LabelCleaner(on_unknown="keep").fit(["benign", "M", None])
    assert cleaner.table_ == "benign_malignant"


def test_transform_uses_the_table_that_fit_chose():
    assert LabelCleaner().fit(["benign", "malignant"]).transform(["B", 1]).tolist() == ["benign", "malignant"]


# --- aliases -----------------------------------------------------------------------------------------------


def test_aliases_with_a_table():
    cleaner = LabelCleaner(aliases={"malignant": ["ca", 7]})
    assert cleaner.fit_transform(["CA", "7.0", "B", "cancer"]).tolist() == ["malignant"] * 2 + [
        "benign",
        "malignant",
    ]
    assert cleaner.table_ == "benign_malignant"


def test_aliases_are_no_closed_list():
    cleaner = LabelCleaner(aliases={"tumour": ["tumor"]})
    assert cleaner.fit_transform(["Tumor", "stroma"]).tolist() == ["tumour", "stroma"]


def test_an_alias_keeps_its_own_spelling_and_renames_a_class_of_the_table():
    cleaner = LabelCleaner(aliases={"Malignant": []})
    assert cleaner.fit_transform(["cancer", "MALIGNANT", "B"]).tolist() == [
        "Malignant",
        "Malignant",
        "benign",
    ]
    assert cleaner.transform(["Malignant"]).tolist() == ["Malignant"]


def test_an_alias_makes_a_word_for_missing_a_class():
    assert LabelCleaner(aliases={"none": []}).fit_transform(["None", "a"]).tolist() == ["none", "a"]
    assert LabelCleaner(aliases={"healthy": [None]}).fit_transform([None, "a"]).tolist() == ["healthy", "a"]


def test_aliases_written_the_wrong_way_round():
    with pytest.raises(
        LabelError, match=r"aliases\['M'\] must be a list of spellings, got 'malignant': write the class"
    ):
        LabelCleaner(aliases={"M": "malignant"}).fit(["M"])


def test_aliases_that_contradict_themselves():
    with pytest.raises(LabelError, match="gives the spelling 'x' to two classes, 'a' and 'b'"):
        LabelCleaner(aliases={"a": ["X"], "b": ["x "]}).fit(["a"])


# --- missing and unknown labels ----------------------------------------------------------------------------

MISSING = [None, np.nan, pd.NA, pd.NaT, "", " n/a", "Unknown"]


def test_all_missing_labels_are_named_at_fit():
    with pytest.raises(LabelError, match=r"None \(missing, 2 x\), nan \(missing.*' n/a' \(missing") as caught:
        LabelCleaner().fit(["a", None, *MISSING])
    assert "<NA> (missing, 1 x)" in str(caught.value)
    assert 'on_unknown="keep" or "drop"' in str(caught.value)


def test_nan_in_a_float_array_is_missing():
    with pytest.raises(LabelError, match=r"nan \(missing"):
        LabelCleaner().fit(np.array([0.0, np.nan]))


def test_kept_missing_labels_are_one_class():
    cleaner = LabelCleaner(on_unknown="keep")
    assert cleaner.fit_transform(["A", *MISSING]).tolist() == ["a"] + ["unknown"] * len(MISSING)
    assert cleaner.classes_.tolist() == ["a", "unknown"]
    assert cleaner.report_.n_changed == 1 + len(MISSING)


def test_a_table_chosen_by_name_is_a_closed_list():
    with pytest.raises(
        LabelError, match=r"'malignent' \(did you mean 'malignant'\?, 2 x\), 'x' \(unknown, 1 x\)\. The cl"
    ):
        LabelCleaner(table="benign_malignant").fit(["malignent", "benign", "malignent", "x"])
    kept = LabelCleaner(table="benign_malignant", on_unknown="keep").fit(["B", "Normal tissue"])
    assert kept.classes_.tolist() == ["benign", "normal tissue"]


def test_only_ten_unknown_labels_are_named():
    with pytest.raises(LabelError, match=r"'x9' \(unknown, 1 x\) and 4 more\."):
        LabelCleaner(table="idc").fit([f"x{i}" for i in range(14)])


def test_unknown_at_transform_is_what_fit_has_not_seen():
    cleaner = LabelCleaner().fit(["benign", "malignant"])
    with pytest.raises(
        LabelError, match=r"'benigne' \(did you mean 'benign'\?, 1 x\).*classes are 'benign', 'malignant'"
    ):
        cleaner.transform(["B", "benigne"])
    only_one = LabelCleaner(table="idc").fit([0, 0])
    with pytest.raises(LabelError, match="'1'"):
        only_one.transform(["1"])


def test_unknown_at_transform_kept():
    cleaner = LabelCleaner(on_unknown="keep").fit(["stroma", "tumour"])
    assert cleaner.transform(["Fat_Tissue", None, "TUMOUR"]).tolist() == ["fat tissue", "unknown", "tumour"]


@pytest.mark.parametrize("method", ["transform", "fit_transform"])
def test_drop_has_no_transform_and_says_what_to_use(method):
    cleaner = LabelCleaner(on_unknown="drop")
    assert not hasattr(cleaner, method)
    with pytest.raises(AttributeError) as caught:
        getattr(cleaner, method)
    assert "use fit_resample(X, y)" in str(caught.value.__cause__)


def test_clean_says_which_rows_were_kept():
    cleaner = LabelCleaner(on_unknown="drop").fit(["a", "b", None])
    y_clean, kept = cleaner.clean([None, "B", "c", "A"])
    assert y_clean.tolist() == ["b", "a"]
    assert kept.tolist() == [1, 3]


@pytest.mark.parametrize("y", [[None, "n/a"], np.full(3, np.nan)])
def test_nothing_left(y):
    with pytest.raises(LabelError, match=f"No label is left: all {len(y)} labels"):
        LabelCleaner(on_unknown="drop").fit(y)


def test_empty():
    with pytest.raises(LabelError, match="y is empty"):
        LabelCleaner().fit([])
    assert LabelCleaner().fit(["a"]).transform([]).shape == (0,)


@pytest.mark.parametrize("y", [None, "benign", [["a", "b"], ["c", "d"]], np.zeros((2, 2)), {"a": 1}])
def test_not_one_dimensional(y):
    with pytest.raises(ValueError, match="y should be a 1d array"):
        LabelCleaner().fit(y)


def test_a_column_is_accepted_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert LabelCleaner().fit(pd.DataFrame({"y": ["A", "b"]})).classes_.tolist() == ["a", "b"]


# --- the report --------------------------------------------------------------------------------------------


def test_report():
    y = ["benign", "Benign ", "Benign ", "ca", b"M", 0, None, "zebra"]
    cleaner = LabelCleaner(table="benign_malignant", aliases={"malignant": ["ca"]}, on_unknown="drop").fit(y)
    rows = [(change.raw, change.clean, change.count, change.reason) for change in cleaner.report_.changes]
    assert rows == [
        ("Benign ", "benign", 2, "spelling"),
        ("ca", "malignant", 1, "alias"),
        ("zebra", None, 1, "unknown"),
        (0, "benign", 1, "table"),
        (None, None, 1, "missing"),
        (b"M", "malignant", 1, "table"),
    ]
    assert (cleaner.report_.n_labels, cleaner.report_.n_changed, cleaner.report_.n_dropped) == (8, 5, 2)
    text = str(cleaner.report_).splitlines()
    assert text[0] == "8 labels: 5 changed, 2 dropped; table: benign_malignant"
    assert "  'Benign ' -> 'benign', 2 x (spelling)" in text
    assert "  None -> dropped, 1 x (missing)" in text


def test_report_names_a_change_of_type_and_a_kept_unknown():
    assert [c.reason for c in LabelCleaner().fit([0, "1"]).report_.changes] == ["type"]
    kept = LabelCleaner(table="idc", on_unknown="keep").fit(["zebra"])
    assert [(c.clean, c.reason) for c in kept.report_.changes] == [("zebra", "unknown")]


# --- rows --------------------------------------------------------------------------------------------------


def as_rows(X):
    return np.asarray(X.todense() if sparse.issparse(X) else X)


@pytest.mark.parametrize(
    "X",
    [
        ["a.png", "b.png", "c.png"],
        np.arange(3),
        np.arange(3 * 2 * 2 * 3).reshape(3, 2, 2, 3),
        pd.Series(["a", "b", "c"], index=[5, 6, 7]),
        pd.DataFrame({"f": [1, 2, 3]}, index=list("xyz")),
        sparse.csr_matrix(np.eye(3)),
        sparse.coo_array(np.eye(3)),
    ],
    ids=lambda X: type(X).__name__,
)
def test_fit_resample_drops_the_same_rows_of_x(X):
    cleaner = LabelCleaner(on_unknown="drop")
    kept, y = cleaner.fit_resample(X, ["A", None, "b"])
    assert y.tolist() == ["a", "b"]
    assert cleaner.sample_indices_.tolist() == [0, 2]
    assert isinstance(kept, list) == isinstance(X, list)
    np.testing.assert_array_equal(as_rows(kept), as_rows(X)[[0, 2]])


@pytest.mark.parametrize("on_unknown", ["raise", "keep", "drop"])
def test_fit_resample_copies_nothing_if_nothing_is_dropped(on_unknown):
    X = np.arange(2)
    assert LabelCleaner(on_unknown=on_unknown).fit_resample(X, ["a", "B"])[0] is X


def test_fit_resample_with_another_number_of_rows():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LabelCleaner(on_unknown="drop").fit_resample([1, 2], ["a"])


# --- in a Pipeline of imbalanced-learn ----------------------------------------------------------------------


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    y = np.array(["Benign", " benign", "M", "cancer", None] * 12, dtype=object)
    X = rng.normal(size=(60, 2)) + np.isin(y, ["M", "cancer"])[:, None] * 6
    return X, y


@pytest.mark.parametrize("routing", [False, True])
def test_a_step_of_an_imbalanced_learn_pipeline(samples, routing):
    imblearn = pytest.importorskip("imblearn")
    under_sampling = pytest.importorskip("imblearn.under_sampling")
    X, y = samples
    with config_context(enable_metadata_routing=routing):
        pipeline = imblearn.pipeline.make_pipeline(
            LabelCleaner(on_unknown="drop"),
            under_sampling.RandomUnderSampler(random_state=0),
            LogisticRegression(),
        )
        pipeline.fit(X, y)
        assert pipeline.classes_.tolist() == ["benign", "malignant"]
        predicted = cross_val_predict(pipeline, X, y, cv=KFold(3, shuffle=True, random_state=0))
    assert predicted.shape == (60,)  # rows are dropped for training only
    usable = y != None  # noqa: E711
    assert np.mean(predicted[usable] == LabelCleaner().fit_transform(y[usable])) == 1


def test_imbalanced_learn_refuses_a_step_that_could_be_either(samples):
    imblearn = pytest.importorskip("imblearn")
    with pytest.raises(TypeError, match="implements both"):
        imblearn.pipeline.make_pipeline(LabelCleaner(), LogisticRegression()).fit(*samples)


# --- speed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [object, str])
def test_300_000_labels_in_a_second(dtype):
    y = np.random.default_rng(0).choice(np.array(["Benign", "M ", "cancer"], dtype=dtype), 300_000)
    start = time.process_time()
    LabelCleaner().fit_transform(y)
    assert time.process_time() - start < 1
