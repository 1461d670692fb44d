"""Reading of spellings, and the built-in tables."""

import numpy as np
import pandas as pd
import pytest

from histoclf.preprocessing._label_tables import MISSING, TABLES, detect_table, normal_spelling

each_table = pytest.mark.parametrize("name", TABLES)


def entries(name, part):
    """Pairs of normal spelling and class."""
    spellings = getattr(TABLES[name], part)
    return [(normal_spelling(form), cls) for cls, forms in spellings.items() for form in (cls, *forms)]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("  Malignant\t", "malignant"),
        ("in  situ", "in situ"),
        ("In_Situ", "in situ"),
        ("in-situ", "in situ"),
        ("in situ - left", "in situ left"),
        ("non–IDC", "non idc"),  # en dash
        ("a\xa0b", "a b"),  # non-breaking space
        ("\ufeffbe\u200bnign\u00ad", "benign"),  # byte order mark, zero-width space, soft hyphen
        ("ＢＥＮＩＧＮ", "benign"),  # full width
        ("Straße", "strasse"),
        (b"Benign", "benign"),
        (np.str_("Benign"), "benign"),
    ],
)
def test_spellings_of_words(label, expected):
    assert normal_spelling(label) == expected


@pytest.mark.parametrize(
    "label", [0, 0.0, "0", "0.0", "0.", " 00 ", "-0", "００", np.int8(0), np.float32(0), b"0"]
)
def test_every_zero_is_one_label(label):
    assert normal_spelling(label) == "0"


@pytest.mark.parametrize(
    ("label", "expected"),
    [(-1, "-1"), ("−1.0", "-1"), ("+2", "2"), (0.50, "0.5"), ("1e2", "100"), (10**30, "1" + 30 * "0")],
)
def test_spellings_of_numbers(label, expected):
    assert normal_spelling(label) == expected


@pytest.mark.parametrize("label", [True, np.True_, "TRUE"])
def test_booleans_are_words(label):
    assert normal_spelling(label) == "true"


@pytest.mark.parametrize("positive", ["HER2+", "her2 +", "HER2 (+)", "HER2( + )"])
@pytest.mark.parametrize("negative", ["HER2-", "her2 -", "HER2 (-)", "HER2(−)"])
def test_a_sign_at_the_end_is_kept(positive, negative):
    assert normal_spelling(positive) == "her2+"
    assert normal_spelling(negative) == "her2-"


def test_a_minus_in_front_of_a_number_is_kept():
    assert normal_spelling("class -1") == normal_spelling("class_-1") == "class -1"
    assert normal_spelling("class 1") == normal_spelling("class-1") == "class 1"


@pytest.mark.parametrize("label", [None, np.nan, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), "", "  "])
def test_missing_values_have_the_empty_spelling(label):
    assert normal_spelling(label) in MISSING


@pytest.mark.parametrize(
    "label", ["nan", "NA", "<NA>", "N/A", "n.a.", "None", "NULL", "Unknown", "?", "-", "un-labelled "]
)
def test_words_for_missing(label):
    assert (normal_spelling(label) in MISSING) == (label != "un-labelled ")


@each_table
def test_no_spelling_leads_to_two_classes(name):
    pairs = entries(name, "words") + entries(name, "codes")
    classes = {}
    for form, cls in pairs:
        assert classes.setdefault(form, cls) == cls, form


@each_table
def test_no_entry_is_superfluous(name):
    forms = [form for part in ("words", "codes") for form, _ in set(map(tuple, entries(name, part)))]
    listed = [
        s for part in ("words", "codes") for forms in getattr(TABLES[name], part).values() for s in forms
    ]
    assert len({normal_spelling(s) for s in listed}) == len(listed)
    assert not MISSING & set(forms)


@each_table
def test_class_names_are_their_own_normal_spelling_and_sort_negative_first(name):
    names = list(TABLES[name].words)
    assert [normal_spelling(cls) for cls in names] == names == sorted(names)
    assert "1" in TABLES[name].codes[names[1]]


def test_words_belong_to_one_table_only():
    words = [{form for form, _ in entries(name, "words")} for name in TABLES]
    assert len(set.union(*words)) == sum(map(len, words))


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        ({"benign", "m"}, "benign_malignant"),
        ({"cancer", "0"}, "benign_malignant"),
        ({"idc", "non idc"}, "idc"),
        ({"idc+", "0"}, "idc"),
        ({"0", "1"}, None),
        ({"b", "m"}, None),
        ({"class0", "class1"}, None),
        ({"benign", "malignant", "normal"}, None),
        ({"benign", "idc"}, None),
        (set(), None),
    ],
)
def test_a_table_is_detected_only_by_words_and_only_if_complete(forms, expected):
    assert detect_table(forms) == expected
