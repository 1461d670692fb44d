"""The model card: what it says, what it keeps to itself, and how it is read."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from histoclf import SlideContextClassifier, evaluate, load_model, read_card, save_model
from histoclf.exceptions import ModelFileError
from histoclf.persistence._archive import pack, unpack
from histoclf.persistence._card import WRITABLE, build_card
from histoclf.persistence._card_text import card_to_text
from tests.tiny import textures, tiny_backbone, tiny_cnn, tiny_embedder, tiny_transfer

X, y = textures()
PATIENTS = np.array([f"Doe{number:02}" for number in np.arange(64) // 8])


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.keras"
    tiny_backbone().save(path)
    return str(path)


@pytest.fixture(scope="module")
def fitted(network):
    return tiny_transfer(backbone=network).fit(X, y, groups=PATIENTS)


@pytest.fixture(scope="module")
def evaluation(network):
    return evaluate(tiny_transfer(backbone=network), X, y, groups=PATIENTS, cv=2)


@pytest.fixture(scope="module")
def path(fitted, evaluation, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "textures.histoclf"
    save_model(fitted, path, evaluation=evaluation)
    return path


def without_card(path, tmp_path):
    """The file as a version without cards wrote it."""
    document, arrays = unpack(path.read_bytes())
    del document["card"]
    (tmp_path / "old.histoclf").write_bytes(pack(document, arrays))
    return tmp_path / "old.histoclf"


# --- what it says ------------------------------------------------------------------------------------------


def test_the_card_says_what_the_model_is(path):
    card = read_card(path)
    assert card["model_details"]["class"] == "HistoTransferClassifier"
    assert card["model_details"]["parameters"]["C"] == "1.0"
    assert card["model_details"]["parameters"]["backbone"] == "'tiny.keras'"  # and not whose folder it is in
    assert card["model_details"]["packages"]["scikit-learn"].startswith("1.")
    assert card["classes"] == ["coarse", "fine"]
    assert card["input"]["units"] == "0-255"
    assert (card["input"]["height"], card["input"]["channels"]) == (16, 3)
    assert "NOT FOR CLINICAL USE" in card["restriction"]


def test_the_card_says_what_it_learned_from(path, fitted):
    training = read_card(path)["training_data"]
    assert training["n_patches"] == 64
    assert training["n_patients"] == 8
    assert training["class_counts"] == [["coarse", 32], ["fine", 32]]
    assert training["fingerprint"] == fitted.training_data_["fingerprint"]
    assert (training["n_held_out"], training["n_skipped"]) == (0, 0)


def test_the_card_has_scores_intervals_and_baselines(path, evaluation):
    scores = read_card(path)["evaluation"]
    assert [row["name"] for row in scores["rows"]] == [row.name for row in evaluation.rows]
    assert scores["rows"][0]["balanced_accuracy"] == evaluation.rows[0].balanced_accuracy
    assert scores["n_folds"] == 2
    assert scores["verdict"] == evaluation.verdict


@pytest.mark.slow
def test_a_backbone_of_the_catalogue_comes_with_licence_and_size():
    clf = tiny_transfer(backbone="mobilenet", weights=None, image_size=32).fit(X[:8], y[:8])
    backbone = build_card(clf)["model_details"]["backbone"]
    assert backbone["name"].startswith("mobilenet")
    assert backbone["licence"]
    assert backbone["weights"] == "random"
    assert backbone["download_megabytes"] == 13.1
    assert backbone["megabytes"] > 1


def test_every_kind_of_model_has_a_card(network, tmp_path):
    places = {"groups": PATIENTS, "coords": np.column_stack([np.arange(64) % 8, np.arange(64) % 2]) * 16.0}
    context = SlideContextClassifier(tiny_transfer(backbone=network), random_state=0, cv=2).fit(
        X, y, **places
    )
    for model in (tiny_cnn().fit(X, y), tiny_embedder(backbone=network).fit(X), context):
        save_model(model, tmp_path / "model")
        card = read_card(tmp_path / "model")
        assert card["model_details"]["class"] == type(model).__name__
        assert "NOT FOR CLINICAL USE" in card_to_text(card)
    assert card["model_details"]["inner_class"] == "HistoTransferClassifier"
    assert card["training_data"]["n_patients"] == 8


def test_what_is_not_known_is_said(network):
    caveats = " ".join(build_card(tiny_transfer(backbone=network).fit(X, y))["caveats"])
    assert "How many patients it was trained on is not known" in caveats
    assert "saved without an evaluation" in caveats


def test_scores_of_something_else_are_told_apart(fitted):
    table = X.reshape(64, -1) / 255
    other = evaluate(LogisticRegression(max_iter=500), table[:32], y[:32], groups=PATIENTS[:32], cv=2)
    caveats = build_card(fitted, other)["caveats"]
    assert "The scores are of a LogisticRegression, and the model is a HistoTransferClassifier." in caveats
    assert "The scores are of 32 patches, and it was trained on 64." in caveats
    assert "The scores are of 4 patients, and it was trained on 8." in caveats


# --- what it keeps to itself -------------------------------------------------------------------------------


def test_no_patient_and_no_file_is_named(fitted, evaluation):
    telling = ("Fold 1: Doe03 has one class.", "Fold 2: slides/a.png cannot be read.", "3 patients are few.")
    card = build_card(fitted, replace(evaluation, warnings=telling))
    text = json.dumps(card)
    assert not [patient for patient in PATIENTS if patient in text]
    assert "a.png" not in text
    assert card["evaluation"]["warnings"][-1] == "3 patients are few."
    assert card["evaluation"]["n_warnings_left_out"] == 2
    assert "2 warnings that name patients or files are left out" in card_to_text(card)


def test_the_model_file_names_no_patient(path):
    assert b"Doe" not in path.read_bytes()


# --- what the user says ------------------------------------------------------------------------------------


def test_sections_in_the_users_words(fitted):
    card = build_card(fitted, texts={"intended_use": "Sorting of textures.", "caveats": "Tiny."})
    assert card["intended_use"] == "Sorting of textures."
    assert card["caveats"][-1] == "Tiny."
    assert len(card["caveats"]) == 2
    assert "NOT FOR CLINICAL USE" in card["restriction"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"restriction": "none"}, rf"card has \['restriction'\].* some of {', '.join(WRITABLE)}"),
        ({"training_data": "lots"}, "facts are taken from the model"),
        ({"factors": ["a"]}, r"card has \['factors'\] that are no strings"),
    ],
)
def test_facts_cannot_be_written(fitted, texts, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_model(fitted, tmp_path / "model", card=texts)
    assert not list(tmp_path.iterdir())


def test_an_evaluation_of_other_classes_is_refused(fitted, evaluation, tmp_path):
    other = replace(evaluation, classes=np.array(["a", "b"]))
    with pytest.raises(
        ValueError, match=r"of the classes \['a', 'b'\], and the model of \['coarse', 'fine'\]"
    ):
        save_model(fitted, tmp_path / "model", evaluation=other)
    assert not list(tmp_path.iterdir())


def test_an_evaluation_is_carried_over_to_another_file(path, tmp_path):
    save_model(load_model(path), tmp_path / "again", evaluation=read_card(path)["evaluation"])
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_dict_that_may_name_patients_is_refused(fitted, evaluation):
    with pytest.raises(ValueError, match="a dict that is not from a model card"):
        build_card(fitted, evaluation.to_dict())


# --- reading -----------------------------------------------------------------------------------------------


def test_a_card_is_json_that_any_zip_tool_shows(path):
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("model.json"))["card"] == read_card(path)


def test_an_altered_card_is_noticed(path, tmp_path):
    data = path.read_bytes()
    altered = data.replace(b'"n_patients": 8', b'"n_patients": 9')
    assert altered != data
    (tmp_path / "altered").write_bytes(altered)
    with pytest.raises(ModelFileError, match="altered after saving"):
        read_card(tmp_path / "altered")


def test_what_is_no_card_is_refused(path, tmp_path):
    document, arrays = unpack(path.read_bytes())
    (tmp_path / "odd").write_bytes(pack(document | {"card": "good"}, arrays))
    with pytest.raises(ModelFileError, match="its card is no card"):
        read_card(tmp_path / "odd")


def test_a_file_from_before_there_were_cards_is_read(path, tmp_path, fitted):
    old = without_card(path, tmp_path)
    np.testing.assert_array_equal(load_model(old).predict_proba(X), fitted.predict_proba(X))
    card = read_card(old)
    assert card["classes"] == ["coarse", "fine"]
    assert card["model_details"]["packages"] == {}
    assert any("older than model cards" in text for text in card["caveats"])
    assert "Made with: unknown" in card_to_text(card)


def test_a_missing_file_is_answered_with_the_nearest(path):
    with pytest.raises(FileNotFoundError, match=r"did you mean .*textures.histoclf"):
        read_card(path.with_name("texture.histoclf"))


# --- as text -----------------------------------------------------------------------------------------------


def test_the_text_has_the_sections_of_a_model_card(path, evaluation):
    text = card_to_text(read_card(path))
    titles = ["Model details", "Intended use", "Factors", "Training data", "Evaluation", "Ethical", "Caveats"]
    positions = [text.index(title) for title in titles]
    assert positions == sorted(positions)
    assert "64 patches of 8 patients" in text
    assert "coarse (32), fine (32)" in text
    row = evaluation.rows[0]
    assert f"{row.balanced_accuracy:.3f}" in text
    assert "mean colour" in text


def test_intervals_are_printed_in_whichever_way_rows_hold_them(path):
    card = read_card(path)
    rows = [
        {"name": "one", "auc": 0.8, "auc_interval": [0.7, 0.9]},
        {"name": "other", "auc": 0.6, "intervals": {"auc": [0.5, 0.7]}},
        {"name": "third", "auc": None},
    ]
    text = card_to_text(card | {"evaluation": card["evaluation"] | {"rows": rows}})
    assert "0.800 [0.700, 0.900]" in text
    assert "0.600 [0.500, 0.700]" in text
    assert "third  -" in text
