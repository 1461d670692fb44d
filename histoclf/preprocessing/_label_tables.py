"""Spellings of class labels met in public histology data, as plain data, and how a spelling is read.

Every spelling is written in its natural form and brought into normal form before use, so case, white
space, underscores and hyphens need no entries of their own.

Sources of the spellings:

* IDC: file names ``8863_idx5_x51_y1251_class1.png`` and folders ``0`` and ``1`` of the invasive ductal
  carcinoma patches of Cruz-Roa et al. (2014) and Janowczyk and Madabhushi (2016), where 1 is IDC; "IDC(+)"
  and "IDC(-)" in the articles that use them.
* Benign and malignant: BreaKHis (Spanhol et al., 2016; ``B`` and ``M`` in its file names), BACH (Aresta et
  al., 2019), and ``B``/``M`` of the Wisconsin breast data (Street et al., 1993). Sub-types (fibroadenoma,
  ductal carcinoma, ...) are left out on purpose: mapping them would merge the classes of a sub-type problem.
* Missing: what ``pandas.read_csv`` takes for missing, and the words people write into label sheets.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from histoclf.exceptions import LabelError

__all__ = [
    "MISSING",
    "MISSING_NAME",
    "TABLES",
    "alias_synonyms",
    "all_synonyms",
    "detect_table",
    "normal_spelling",
]


class LabelTable(NamedTuple):
    """Class names and their spellings.

    ``words`` say by themselves what they mean. ``codes`` (numbers, letters, yes and no) mean something only
    beside such words, or where the user chooses the table by name.
    """

    words: dict[str, tuple[str, ...]]
    codes: dict[str, tuple[str, ...]]


_NO = ("0", "false", "no", "negative", "neg", "class0", "class 0", "label 0")
_YES = ("1", "true", "yes", "positive", "pos", "class1", "class 1", "label 1")

# The names sort negative before positive: scikit-learn takes the second class as the positive one.
TABLES: dict[str, LabelTable] = {
    "benign_malignant": LabelTable(
        words={
            "benign": (
                *("benign tumor", "benign tumour", "benign lesion", "benign tissue", "SOB B"),
                *("non-malignant", "nonmalignant", "not malignant", "no malignancy"),
                *("non-cancerous", "noncancerous", "non-cancer", "not cancer", "no cancer"),
            ),
            "malignant": (
                *("malignant tumor", "malignant tumour", "malignant lesion", "malignant tissue", "SOB M"),
                *("malignancy", "malign", "cancer", "cancerous", "non-benign", "not benign"),
            ),
        },
        codes={"benign": ("B", *_NO), "malignant": ("M", *_YES)},
    ),
    "idc": LabelTable(
        words={
            "idc negative": (
                *("IDC-", "IDC neg", "negative IDC", "IDC 0", "IDC0", "IDC no", "IDC false", "IDC absent"),
                *("non-IDC", "nonIDC", "no IDC", "not IDC", "without IDC"),
                *("non invasive ductal carcinoma", "no invasive ductal carcinoma"),
            ),
            "idc positive": (
                *("IDC", "IDC+", "IDC pos", "positive IDC", "IDC 1", "IDC1", "IDC yes", "IDC true"),
                *("IDC present", "with IDC", "invasive ductal carcinoma", "invasive ductal carcinoma (IDC)"),
            ),
        },
        codes={"idc negative": _NO, "idc positive": _YES},
    ),
}

# The one spelling of a missing label where ``on_unknown="keep"`` keeps it.
MISSING_NAME = "unknown"

_MISSING_SPELLINGS = (
    *("", "nan", "-nan", "NaT", "NA", "<NA>", "N/A", "#N/A", "#NA", "n.a.", "none", "null", "nil"),
    *("?", "-", "--", ".", MISSING_NAME, "missing", "unlabeled", "unlabelled", "no label", "not labelled"),
    *("not available", "not applicable", "undefined", "unspecified", "to do", "tbd"),
)


# --- reading a spelling ------------------------------------------------------------------------------------

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?")
# "IDC (+)", "IDC +" and "IDC+" are one label, and a minus at the end is a sign as well: "HER2-".
_SIGN = re.compile(r"\s*\(?\s*([+-])\s*\)?$")
# A hyphen joins words ("non-IDC", "in situ - left"), but is a minus in front of a number ("class -1").
_HYPHEN = re.compile(r"\s-+\s|(?<=\w)-+(?=\w)|(?<!\w)-+(?=[^\W\d])")


def normal_spelling(label: Any) -> str:
    """Return the normal spelling of a label; the empty string for None, NaN and pandas.NA."""
    # pandas is no dependency: its NA has no truth value, and is known by the name of its type only.
    if label is None or type(label).__name__ == "NAType" or label != label:
        return ""
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_DASHES)
    if not text.isascii():  # byte order marks, zero-width spaces and soft hyphens cannot be seen
        text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = re.sub(r"[\s_]+", " ", text).strip()
    if _NUMBER.fullmatch(text):
        return _normal_number(text)
    return " ".join(_HYPHEN.sub(" ", _SIGN.sub(r"\1", text)).split())


def _normal_number(text: str) -> str:
    number = Decimal(text)  # not a float, which would round long numbers
    digits = f"{number:f}" if number else "0"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


MISSING = frozenset(map(normal_spelling, _MISSING_SPELLINGS))


# --- from spelling to class --------------------------------------------------------------------------------


def alias_synonyms(aliases: Mapping[Any, Iterable[Any]] | None) -> dict[str, str]:
    """Turn ``{class: [spelling, ...]}`` round: normal spelling to class name."""
    synonyms: dict[str, str] = {}
    for name, spellings in (aliases or {}).items():
        if isinstance(spellings, str | bytes) or not isinstance(spellings, Iterable):
            raise LabelError(
                f"aliases[{name!r}] must be a list of spellings, got {spellings!r}: write the class name "
                "first and its spellings after it, as in aliases={'malignant': ['M', 'ca']}."
            )
        for form in map(normal_spelling, (name, *spellings)):
            if synonyms.setdefault(form, str(name)) != str(name):
                raise LabelError(
                    f"aliases gives the spelling {form!r} to two classes, {synonyms[form]!r} and "
                    f"{str(name)!r}: remove it from one of them."
                )
    return synonyms


def _table_synonyms(spellings: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {normal_spelling(form): name for name, forms in spellings.items() for form in (name, *forms)}


def detect_table(forms: set[str]) -> str | None:
    """Return the first table that knows every normal spelling, and at least one of them as a word."""
    for name, table in TABLES.items():
        words = _table_synonyms(table.words).keys()
        if forms & words and forms <= words | _table_synonyms(table.codes).keys():
            return name
    return None


def all_synonyms(table: str | None, aliases: dict[str, str]) -> dict[str, str]:
    """Unite a table with aliases, which come first."""
    if table is None:
        return aliases
    known = _table_synonyms(TABLES[table].words) | _table_synonyms(TABLES[table].codes)
    # An alias may rename a class of the table; then all spellings of that class follow.
    return {form: aliases.get(name, name) for form, name in known.items()} | aliases
