import numpy as np
import pytest

from histoclf.evaluation._identity import probe_identity

GROUPS = np.repeat(["a", "b", "c", "d"], 20)
NOISE = np.random.default_rng(0).normal(size=(80, 3))


def test_colours_of_their_own_give_patients_away():
    colours = NOISE + 10 * np.unique(GROUPS, return_inverse=True)[1][:, np.newaxis]
    (probe,) = probe_identity({"mean colour": colours, "file size": colours}, GROUPS, None, 0)
    assert (probe.shortcut, probe.target, probe.n_targets) == ("mean colour", "patient", 4)
    assert probe.balanced_accuracy > 0.95


def test_colours_that_are_the_same_do_not():
    (probe,) = probe_identity({"mean colour": NOISE}, GROUPS, None, 0)
    assert probe.balanced_accuracy == pytest.approx(0.25, abs=0.15)
    assert probe.chance == 0.25


def test_patients_with_few_patches_are_left_out():
    groups = np.r_[GROUPS[:-3], ["few"] * 3]
    (probe,) = probe_identity({"mean colour": NOISE}, groups, None, 0)
    assert probe.n_targets == 4
    assert probe_identity({"mean colour": NOISE}, np.arange(80), None, 0) == ()


def test_sites_are_asked_of_patients_that_were_not_seen():
    sites = np.where(np.isin(GROUPS, ["a", "b"]), "here", "there")
    stains = {
        "a": 0,
        "b": 30,
        "c": 10,
        "d": 40,
    }  # each patient is known, and the sites have nothing in common
    colours = NOISE + np.array([stains[patient] for patient in GROUPS])[:, np.newaxis]
    of_patients, of_sites = probe_identity({"mean colour": colours}, GROUPS, sites, 0)
    assert of_patients.balanced_accuracy > 0.95
    assert of_sites.target == "site"
    assert of_sites.balanced_accuracy < 0.8


def test_sites_of_one_patient_each_are_not_asked_for():
    (probe,) = probe_identity({"mean colour": NOISE}, GROUPS, GROUPS, 0)
    assert probe.target == "patient"
