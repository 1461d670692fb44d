import numpy as np
import pytest

from histoclf.evaluation import IdentityProbe, Row
from histoclf.evaluation._words import describe_extras, warn_of_intervals, warn_of_shortcuts


def row(name, interval):
    return Row(name, 0.8, 0.9, intervals={"balanced_accuracy": interval})


@pytest.mark.parametrize(
    ("n_patients", "interval", "said"),
    [
        (14, (0.71, 0.89), ["14 patients: the interval is ±9 points of balanced accuracy."]),
        (40, (0.77, 0.83), []),
        (5, (0.77, 0.83), ["5 patients are too few to show a difference: the smallest possible p-value is"]),
    ],
)
def test_few_patients_are_said_in_points(n_patients, interval, said):
    groups, y = np.repeat(np.arange(n_patients), 2), np.tile(["a", "b"], n_patients)
    found = warn_of_intervals(row("net", interval), y, groups)
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


def test_a_class_of_one_patient_is_named():
    y, groups = np.array(["a"] * 7 + ["b"]), np.arange(8)
    (text,) = warn_of_intervals(row("net", (np.nan, np.nan)), y, groups)
    assert text.startswith("only 1 patient has class 'b'")


def test_metadata_are_warned_of_only_beyond_their_spread():
    rows = (row("net", (0.7, 0.9)), row("file metadata", (0.48, 0.6)), row("site", (0.6, 0.7)))
    (text,) = warn_of_shortcuts(rows, 2)
    assert text.startswith("the site alone (where patches are from) has 0.800 balanced accuracy")


def test_the_best_probe_is_told_and_its_meaning_only_above_chance():
    probes = (
        IdentityProbe("mean colour", "patient", 0.4, 10),
        IdentityProbe("colour histogram", "patient", 0.6, 10),
        IdentityProbe("mean colour", "site", 0.52, 2),
    )
    first, second = describe_extras(None, None, probes, [])
    assert first.startswith("the colour histogram names the patient of 60 % of patches (chance 10 %): where")
    assert second == "the mean colour names the site of 52 % of patches (chance 50 %)."
