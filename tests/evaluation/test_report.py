"""The page of an evaluation: what it says, what it shows, and what it never does."""

import html
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from histoclf.datasets import make_patches
from histoclf.evaluation import Comparison, Evaluation, Row, evaluate
from histoclf.exceptions import InputContractError, MissingDependencyError
from histoclf.io import save_patches
from tests.report.chromium import browser
from tests.report.test_page import HOSTILE, Outline

MADE = make_patches(n_patients=12, patches_per_patient=10, image_size=16, random_state=0)
SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def evaluation():
    X = MADE.images.reshape(len(MADE.images), -1)[:, ::16] / 255
    return evaluate(LogisticRegression(max_iter=1000), X, MADE.labels, groups=MADE.groups, cv=3)


@pytest.fixture(scope="module")
def page(evaluation, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    evaluation.to_html(path, MADE.images, coords=MADE.coords)
    return path.read_text(encoding="utf-8")


def written(evaluation, path, *args, **kwargs):
    evaluation.to_html(path / "report.html", *args, **kwargs)
    return (path / "report.html").read_text(encoding="utf-8")


def headings(page):
    return re.findall("<h2>(.*?)</h2>", page)


def text_of(page):
    """Return what is to be read."""
    return html.unescape(re.sub("<[^>]*>", "", page)).replace("\N{NO-BREAK SPACE}", " ")


def simple(n_patients=3, n_each=4, n_classes=2, **fields):
    """An evaluation without a fit, from probabilities that are drawn."""
    rng = np.random.default_rng(0)
    n = n_patients * n_each
    classes = np.array([f"class {number}" for number in range(n_classes)])
    groups = np.repeat([f"P{number}" for number in range(n_patients)], n_each)
    probabilities = rng.dirichlet(np.ones(n_classes), n)
    kept = {
        "rows": (Row("Net", 0.8, 0.9), Row("majority class", 0.5, 0.5)),
        "comparisons": (Comparison("Net", "majority class", 0.3, (0.1, 0.5), 0.01, 0.02, 0.4, (0.3, 0.5)),),
        "out_of_fold": {"Net": probabilities},
        "classes": classes,
        "y": classes[np.arange(n) % n_classes],
        "groups": groups,
        "folds": np.repeat(np.arange(n_patients) % 3, n_each),
        "fit_times": (1.0, 1.0, 1.0),
        "warnings": (),
    }
    return Evaluation(**(kept | fields))


def test_the_verdict_comes_first_and_the_making_last(page):
    titles = headings(page)
    assert (titles[0], titles[-1]) == ("Verdict", "How this was made")
    assert titles[1:-1] == [
        "Scores",
        "Value added to shortcuts",
        "Estimated inflation",
        "Who is it?",
        "Patients",
        "Are the probabilities right?",
        "What would help",
        "Slides",
        "Most confident errors",
    ]


def test_words_of_the_evaluation_are_all_there(page, evaluation):
    said = text_of(page).casefold()
    for text in (evaluation.verdict, *evaluation.warnings, *evaluation.notes, evaluation.summary):
        assert text.casefold() in said
    assert "not for clinical use" in said


def test_every_score_of_every_row_is_there_with_its_interval(page, evaluation):
    said = text_of(page)
    for row in evaluation.rows:
        assert row.name in said
        for name in ("balanced_accuracy", "f1", "log_loss", "within_patient_auc"):
            low, high = row.intervals.get(name, (np.nan, np.nan))
            value = f"{getattr(row, name):.3f}"
            assert value in said
            assert np.isnan(low) or low == high or f"{value}\n[{low:.3f}, {high:.3f}]" in said
    for found in evaluation.comparisons:
        assert f"{100 * found.difference:+.1f} [{100 * found.interval[0]:+.1f}" in said


def test_it_asks_nothing_of_any_network(page):
    outline = Outline(page)
    assert "http:" not in page
    assert "https:" not in page
    assert not outline.named("script")
    assert all(picture["src"].startswith("data:image/") for picture in outline.named("img"))


def test_texts_of_figures_state_the_numbers(page, evaluation):
    texts = [picture["alt"] for picture in Outline(page).named("img")]
    patients, calibration, curve = texts[:3]
    assert re.match(r"Mean of the recalls of 12 patients: 0\.\d{3} \[0\.\d{3}, \d\.\d{3}\]\. From", patients)
    assert all(str(name) in patients for name in np.unique(MADE.groups))
    assert calibration.startswith("Calibration of 'malignant' in ")
    assert f"8 patients {evaluation.model.balanced_accuracy:.3f}" in curve
    maps = [text for text in texts if text.startswith("Map of slide")]
    assert len(maps) == 8
    assert all(re.search(r": \d+ of 10 patches right \(\d+ %\)\. Truth: \d+ ", text) for text in maps)


def test_slides_are_shown_from_the_worst_to_the_best_and_the_others_counted(page, evaluation):
    right = evaluation.classes[evaluation.probabilities.argmax(axis=1)] == evaluation.y
    shares = [right[MADE.groups == name].mean() for name in np.unique(MADE.groups)]
    shown = [
        int(n) for n in re.findall(r"(\d+) of 10 patches right \(\d+ %\)\. Truth[^<]*</figcaption", page)
    ]
    assert shown == sorted(shown)
    assert (shown[0], shown[-1]) == (10 * min(shares), 10 * max(shares))
    assert "8 slides are shown, evenly from that order; 4 are left out." in page


def test_the_surest_errors_come_first(page, evaluation):
    wrong = evaluation.classes[evaluation.probabilities.argmax(axis=1)] != evaluation.y
    surest = np.sort(evaluation.probabilities[wrong].max(axis=1))[::-1][:24]
    texts = [p["alt"] for p in Outline(page).named("img") if p["alt"].startswith("Misread")]
    assert [re.search(r" at (\S+), truth", text)[1] for text in texts] == [f"{p:.3f}" for p in surest]
    assert f"{wrong.sum()} of 120 patches were misread" in page


def test_how_it_was_made_names_folds_seed_and_versions(page):
    said = text_of(page)
    assert "Folds were by patient" in said
    for setting in ("LogisticRegression(max_iter=1000)", "scikit-learn", "random state", "number of folds"):
        assert setting in said
    for name in np.unique(MADE.groups):
        assert said.count(str(name)) >= 1


def test_inputs_are_not_modified(tmp_path):
    given, images = simple(), MADE.images[:12].copy()
    written(given, tmp_path, images, coords=MADE.coords[:12])
    np.testing.assert_array_equal(images, MADE.images[:12])
    np.testing.assert_array_equal(given.probabilities, simple().probabilities)


def test_without_patches_and_positions_there_are_no_pictures_of_them(evaluation, tmp_path):
    titles = headings(written(evaluation, tmp_path))
    assert not {"Slides", "Most confident errors"} & {*titles}


def test_positions_are_read_from_file_names_and_a_lost_file_is_no_end(tmp_path):
    rows = slice(0, 12)
    files = MADE.images[rows], MADE.labels[rows], MADE.groups[rows], MADE.coords[rows]
    save_patches(*files, tmp_path / "patches")
    paths = sorted((tmp_path / "patches").rglob("*.png"))
    given = simple()
    wrong = np.flatnonzero(given.classes[given.probabilities.argmax(axis=1)] != given.y)
    paths[wrong[0]].unlink()
    page = written(given, tmp_path, [str(path) for path in paths], max_items=12)
    assert "Slides" in headings(page)
    assert paths[wrong[1]].name in page
    assert "1 image file cannot be read any more." in page


def test_flattened_images_and_a_title(evaluation, tmp_path):
    flat = MADE.images.reshape(len(MADE.images), -1)
    page = written(evaluation, tmp_path, flat, image_shape=SHAPE, max_items=1, title=HOSTILE)
    assert [p["alt"][:7] for p in Outline(page).named("img")].count("Misread") == 1
    assert "<script" not in page


def test_without_patients_there_are_no_figures_of_them(tmp_path):
    with_none = simple(groups=None)
    titles = headings(written(with_none, tmp_path))
    assert titles == ["Verdict", "Scores", "Value added to shortcuts", "How this was made"]
    assert "folds were of patches" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="unknown which slide"):
        with_none.to_html(tmp_path / "other.html", coords=np.zeros((12, 2)))


@pytest.mark.parametrize("n_classes", [3, 8])
def test_of_more_classes_each_has_a_calibration_curve_up_to_six(n_classes, tmp_path):
    page = written(simple(n_patients=2, n_each=16, n_classes=n_classes), tmp_path, coords=np.zeros((32, 2)))
    texts = [p["alt"] for p in Outline(page).named("img") if p["alt"].startswith("Calibration")]
    assert len(texts) == min(n_classes, 6)
    assert ("2 more classes are not drawn" in page) is (n_classes == 8)


def test_patients_on_both_sides_are_not_called_apart(tmp_path):
    page = written(simple(folds=np.arange(12) % 3), tmp_path)
    assert "Patients were NOT kept together" in page


def test_what_no_fold_tested_is_left_out(tmp_path):
    kept = simple()
    folds = kept.folds.copy()
    folds[:4] = -1
    kept.out_of_fold["Net"][:4] = np.nan
    page = written(replace(kept, folds=folds), tmp_path, MADE.images[:12])
    assert "of 8 patches were misread" in page
    assert "Mean of the recalls of 2 patients" in page


def test_a_page_without_a_splitter_over_all_has_no_end_of_the_curve(tmp_path):
    X = MADE.images.reshape(len(MADE.images), -1)[:, ::64] / 255
    one = list(StratifiedGroupKFold(3).split(X, MADE.labels, MADE.groups))[:1]
    found = evaluate(LogisticRegression(max_iter=1000), X, MADE.labels, groups=MADE.groups, cv=one)
    page = written(found, tmp_path)
    assert "What would help" in headings(page)
    assert "after learning from" not in page


@pytest.mark.parametrize(
    ("X", "options", "error", "words"),
    [
        (MADE.images[:5], {}, ValueError, "X has 5 rows. Expected the 120"),
        (MADE.images, {"max_items": -1}, ValueError, "max_items=-1: expected 0 or more"),
        (np.zeros((120, 7)), {}, InputContractError, "of which no pictures can be made"),
        (MADE.images, {"coords": np.zeros((120, 3))}, ValueError, r"coords has shape \(120, 3\)"),
        (MADE.images, {"coords": np.zeros((5, 2))}, ValueError, "inconsistent numbers of samples"),
    ],
)
def test_wrong_input_is_named_and_no_file_is_touched(X, options, error, words, evaluation, tmp_path):
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(error, match=words):
        evaluation.to_html(tmp_path / "report.html", X, **options)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_the_extra_the_cure_is_named(package, evaluation, tmp_path, monkeypatch):
    monkeypatch.setattr("histoclf.networks._optional.is_installed", lambda name: name != package)
    with pytest.raises(MissingDependencyError, match=rf"{package}.*histoclf\[report\]"):
        evaluation.to_html(tmp_path / "report.html")


def test_ten_thousand_patches_of_many_patients_stay_below_5_mb(tmp_path):
    rng = np.random.default_rng(0)
    large = simple(n_patients=200, n_each=50)
    images = rng.integers(0, 256, (10_000, 32, 32, 3), dtype=np.uint8)  # noise: nothing compresses worse
    coords = np.tile([(x, y) for x in range(10) for y in range(5)], (200, 1)) * 32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        large.to_html(tmp_path / "report.html", images, coords=coords, max_items=200)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


@pytest.mark.slow
def test_a_browser_shows_every_picture_and_loads_nothing_else(evaluation, tmp_path):
    path = tmp_path / "report.html"
    evaluation.to_html(path, MADE.images, coords=MADE.coords)
    with browser() as page:
        page.open(path)
        page.run("document.querySelectorAll('img').forEach(picture => picture.loading = 'eager')")
        decoded = page.ask(
            "Runtime.evaluate",
            expression="Promise.all([...document.images].map(i => i.decode())).then(all => all.length)",
            awaitPromise=True,
            returnByValue=True,
        )["result"]
        assert decoded["value"] > 10
        sent = [
            e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"
        ]
        assert [url for url in sent if url[:5] != "data:"] == [path.as_uri()]
        assert not [e for e in page.events if e["method"] == "Log.entryAdded"]
