"""Pages: what is in them, what they forbid, and whether others can use them."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from histoclf.exceptions import MissingDependencyError
from histoclf.report import _template
from histoclf.report._page import (
    Figure,
    Gallery,
    Notice,
    Section,
    Table,
    Text,
    render_page,
    to_data_uri,
    write_page,
)
from tests.report.chromium import browser

PICTURE = to_data_uri(b"\x89PNG", "image/png")
HOSTILE = "<script>alert(1)</script>\"'&"


class Outline(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def html() -> str:
    sections = [
        Section(
            "Result",
            [
                Text("One paragraph.\n\nAnother one."),
                Table(("", "AUC"), [("model", 0.9), ("mean colour", "0.8")], "Scores"),
                Notice("14 patients are few."),
                Section(
                    "Pictures", [Figure(PICTURE, "A patch", "caption"), Gallery([Figure(PICTURE, "b")] * 2)]
                ),
            ],
        ),
        Section("Empty"),
    ]
    return render_page("A title", sections, summary="In short.")


def test_text_tables_and_notices_are_there(html):
    assert "<p>One paragraph.</p>\n<p>Another one.</p>" in html
    assert "<strong>Warning:</strong> 14 patients are few." in html
    assert '<td class="number">0.9</td>' in html
    assert "In short." in html


def test_headings_go_down_one_level_at_a_time(html):
    levels = [int(tag[1]) for tag, _ in Outline(html).tags if re.fullmatch("h[1-6]", tag)]
    assert levels == [1, 2, 3, 2]


def test_tables_name_rows_and_columns(html):
    scopes = [cell["scope"] for cell in Outline(html).named("th")]
    assert scopes == ["col", "row", "row"]
    assert "<caption>Scores</caption>" in html


def test_every_picture_has_a_text_and_is_in_the_page(html):
    pictures = Outline(html).named("img")
    assert len(pictures) == 3
    assert all(picture["alt"] and picture["src"].startswith("data:image/") for picture in pictures)


def test_the_page_names_its_language_and_no_other_place(html):
    outline = Outline(html)
    assert outline.named("html") == [{"lang": "en"}]
    assert "http:" not in html
    assert "https:" not in html
    assert not outline.named("script")
    (policy,) = [meta["content"] for meta in outline.named("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "script-src" not in policy


@pytest.mark.parametrize("place", ["title", "text", "cell", "alt"])
def test_what_a_name_holds_is_shown_and_not_run(place):
    said = {"title": "t", "text": "t", "cell": "t", "alt": "t"} | {place: HOSTILE}
    blocks = [
        Text(said["text"]),
        Table(("", HOSTILE if place == "cell" else "a"), [(said["cell"], said["cell"])]),
        Figure(PICTURE, said["alt"]),
    ]
    page = render_page(said["title"], [Section("s", blocks)])
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_gallery_has_small_or_large_pictures():
    html = render_page("t", [Section("s", [Gallery([Figure(PICTURE, "a")], large=x) for x in (False, True)])])
    assert [found["class"] for found in Outline(html).named("ul")] == ["gallery", "gallery large"]


def test_a_figure_from_elsewhere_is_refused():
    with pytest.raises(ValueError, match="must hold its pictures itself"):
        Figure("https://example.org/a.png", "a")


def test_a_page_is_written_whole_or_not_at_all(tmp_path, html, monkeypatch):
    target = tmp_path / "page.html"
    write_page(target, html)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_page(target, "half")
    assert target.read_text(encoding="utf-8") == html
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_name_that_is_no_text_does_not_stop_the_page(tmp_path):
    write_page(tmp_path / "page.html", render_page("\udcff", []))
    assert "<h1>?</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_without_jinja_the_cure_is_named(monkeypatch):
    _template._templates.cache_clear()
    monkeypatch.setattr("histoclf.networks._optional.is_installed", lambda _: False)
    with pytest.raises(MissingDependencyError, match=r"writing an HTML page needs .*histoclf\[report\]"):
        render_page("t", [])


def test_colours_are_readable_in_light_and_dark():
    """Contrast after WCAG 2: at least 4.5 between text and what it stands on."""
    css = _template._source("page.css")
    for palette in re.findall(r":root \{(.*?)\}", css, re.S)[:2]:
        colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", palette))
        pairs = [(text, ground) for text in ("text", "faint", "accent") for ground in ("ground", "raised")]
        for text, ground in [*pairs, ("warning-text", "warning")]:
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        values = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted([light(one), light(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
def test_a_browser_loads_nothing_but_the_file_and_has_no_complaint(tmp_path, html):
    write_page(tmp_path / "page.html", html)
    with browser() as page:
        page.open(tmp_path / "page.html")
        sent = [
            e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"
        ]
        assert [url for url in sent if url[:5] != "data:"] == [(tmp_path / "page.html").as_uri()]
        assert not [e for e in page.events if e["method"] == "Log.entryAdded"]
        # The style is let through by its hash.
        assert page.run("getComputedStyle(document.querySelector('.notice')).borderLeftStyle") == "solid"
