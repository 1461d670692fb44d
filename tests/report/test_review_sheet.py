"""The review sheet, in a real browser."""

import csv
import io
import json
import time

import numpy as np
import pytest

from histoclf import LabelCorrections, review_labels
from histoclf.io import encode_png
from histoclf.report._review_sheet import Card, render_review_sheet
from tests.report.chromium import browser

CARDS = [
    Card('slides/a, "b".png', "a.png", "benign", "malignant", None, [("Reason", "doubt")]),
    Card("slides/c.png", "c.png", "malignant", "benign", None, []),
    Card("slides/d.png", "d.png", "benign", "malignant", None, []),
]
CLASSES = ["artefact", "benign", "malignant"]


def test_every_card_offers_each_decision_and_every_other_label():
    html = render_review_sheet("Review", CARDS, CLASSES, "In short.", ["Few patients."])
    assert html.count('type="radio"') == 9
    assert html.count("<option>artefact</option>") == 3
    assert html.count("<option selected>malignant</option>") == 2
    assert "Few patients." in html
    assert 'data-item="slides/a, &#34;b&#34;.png"' in html


def test_labels_and_names_cannot_run_anything():
    evil = "</script><script>alert(1)</script>"
    html = render_review_sheet(evil, [Card(evil, evil, evil, evil, None, [(evil, evil)])], [evil, "b"])
    assert html.count("<script") == 1


def test_a_sheet_of_ten_thousand_patches_stays_under_five_megabytes(tmp_path):
    """Noise is what shrinks least; real patches take a fifth of it."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (150, 150, 3), dtype=np.uint8) for _ in range(20)]
    for number, image in enumerate(images):
        encode_png(image, tmp_path / f"{number}.png")
    paths = [tmp_path / f"{number % 20}.png" for number in range(10_000)]
    y = np.tile(["benign", "malignant"], 5000)
    probabilities = np.where(y[:, None] == ["benign", "malignant"], 0.8, 0.2)
    wrong = rng.choice(10_000, 1000, replace=False)
    probabilities[wrong] = probabilities[wrong][:, ::-1]
    review = review_labels(probabilities, paths, y, groups=np.arange(10_000) // 500, duplicates=None)
    assert sorted(issue.row for issue in review.issues) == sorted(wrong)
    review.to_html(tmp_path / "sheet.html", paths)
    assert (tmp_path / "sheet.html").stat().st_size < 5e6
    html = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert html.count("<img") == 200
    assert "The first 200 are shown." in html


@pytest.mark.slow
def test_decisions_are_ticked_kept_over_a_reload_and_exported(tmp_path):
    sheet = tmp_path / "sheet.html"
    sheet.write_text(render_review_sheet("Review", CARDS, CLASSES), encoding="utf-8")
    with browser() as page:
        page.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "down"))
        page.open(sheet)
        page.run("document.querySelector('input[name=decision1][value=relabel]').click()")
        # Choosing a label means to relabel.
        page.run(
            "const s = document.querySelectorAll('select')[2]; s.value = 'artefact';"
            "s.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        page.run("document.querySelector('input[name=decision2]').focus()")
        page.press("d")
        assert page.run("document.getElementById('status').textContent").startswith("3 of 3 decided")
        page.open(sheet)
        status = page.run("document.getElementById('status').textContent")
        assert status == "3 of 3 decided; kept in this browser."
        page.run("document.getElementById('export').click()")
        exported = _wait_for(tmp_path / "down" / "label_review.csv")
        assert not [e for e in page.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    rows = list(csv.reader(io.StringIO(exported)))
    assert rows == [
        ["item", "given_label", "decision", "new_label"],
        ['slides/a, "b".png', "benign", "relabel", "malignant"],
        ["slides/c.png", "malignant", "drop", ""],
        ["slides/d.png", "benign", "relabel", "artefact"],
    ]
    corrections = LabelCorrections.from_csv(tmp_path / "down" / "label_review.csv")
    items = [*(card.item for card in CARDS), "slides/e.png"]
    labels, kept = corrections.apply(items, ["benign", "malignant", "benign", "artefact"])
    assert labels[kept].tolist() == ["malignant", "artefact", "artefact"]


@pytest.mark.slow
def test_undo_and_what_is_not_decided(tmp_path):
    sheet = tmp_path / "sheet.html"
    sheet.write_text(render_review_sheet("Review", CARDS, CLASSES), encoding="utf-8")
    with browser() as page:
        page.open(sheet)
        page.run("document.querySelector('input[name=decision1][value=keep]').click()")
        page.run("document.querySelector('.undo').click()")
        assert page.run("document.getElementById('status').textContent").startswith("0 of 3 decided")
        texts = ["+1", "=a", "'-b", "c-d", "e"]
        protected = ["'+1", "'=a", "''-b", "c-d", "e"]
        assert page.run(f"{json.dumps(texts)}.map(protect)") == protected
        assert page.run("rowOf(cards[0])") == ['slides/a, "b".png', "benign", "", ""]


def _wait_for(path, seconds=10):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not downloaded"
        time.sleep(0.05)
    return path.read_text(encoding="utf-8")
