"""The report is one file that says everything, needs nothing and trusts no name."""

import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from napari_unetseg.batch.folder_review import open_review
from napari_unetseg.batch.review_page import SCRIPT, STYLE
from napari_unetseg.batch.review_report import REPORT_FILE
from napari_unetseg.batch.summary_tables import FILES
from napari_unetseg.errors import Cancelled
from napari_unetseg.io import read_label_image

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a page, and fails where tags do not close each other."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.rows, self.texts = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append((dict(attrs), []))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            return
        self.texts.append(data)
        if self.rows and "tbody" in self.open:
            self.rows[-1][1].append(data)


@pytest.fixture
def review(save, results):
    save("a.tif", 3)
    save("b.tif", 2)
    save("c <b>'&\".tif", 3, brightness=510)
    save("sick.tif", 1)
    review = open_review(results())
    odd, *_, last = review.items
    review.decide(odd, "rejected")
    review.fix(last, np.where(read_label_image(last.labels_path).array == 1, 0, 7))
    return review


@pytest.fixture
def page(review):
    return Page(review.report().read_text(encoding="utf-8"))


def test_it_lies_in_the_folder_and_the_tables_are_up_to_date(review):
    assert review.report() == review.folder / REPORT_FILE
    assert "rejected" in (review.folder / FILES).read_text(encoding="utf-8")


def test_each_image_has_a_row_in_the_order_of_doubt_with_what_was_decided(page, review):
    rows = page.rows[1:]
    assert [row["data-name"] for row, _ in rows] == [item.file.name for item in review.items]
    assert [row["data-decision"] for row, _ in rows] == [item.decision or "waiting" for item in review.items]
    text = " ".join(rows[0][1])
    assert "Rejected" in text
    assert "Low confidence: 3 of 3 objects." in text


def test_what_was_changed_is_counted_and_shown_before_and_after(page, review):
    (fixed,) = ((row, texts) for row, texts in page.rows if row.get("data-decision") == "fixed")
    before, after = review.item(next(item.file for item in review.items if item.decision == "fixed")), "1"
    assert f"{before.decided.changes.before} to {after}" in fixed[1]
    assert [text for text in fixed[1] if text in ("Before", "After")] == ["Before", "After"]
    assert any(text.startswith("By hand: 0 objects added, 1 removed") for text in page.texts)


def test_pictures_are_in_the_file(page):
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 4
    for picture in pictures:
        head, _, content = picture["src"].partition(",")
        assert head == "data:image/jpeg;base64"
        assert Pillow.open(BytesIO(b64decode(content))).size == (32, 32)
        assert picture["alt"]


def test_it_needs_nothing_from_elsewhere_and_may_load_nothing(page):
    named = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert [value for value in named if not value.startswith("data:image/")] == []
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch|XMLHttp", STYLE + SCRIPT)
    (policy,) = (
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_a_name_is_a_name_and_no_code(page):
    assert "c <b>'&\".tif" in {row.get("data-name") for row, _ in page.rows}
    assert "b" not in {tag for tag, _ in page.tags}


def test_it_follows_the_theme_of_the_reader():
    assert "prefers-color-scheme: dark" in STYLE


def test_what_cannot_be_reviewed_is_listed(page):
    assert "sick.tif: the network fell ill." in page.texts


def test_an_image_that_is_gone_is_told_in_its_row(review):
    (review.folder.parent / "a.tif").unlink()
    page = Page(review.report().read_text(encoding="utf-8"))
    (row,) = (texts for row, texts in page.rows if row.get("data-name") == "a.tif")
    assert "a.tif" in row[0]
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 3


def test_a_decision_about_an_earlier_result_is_told(review, results):
    results(segment_options={"threshold": 0.6})
    page = Page(open_review(review.folder).report().read_text(encoding="utf-8"))
    assert any("Rejected before, but the result has been replaced since" in text for text in page.texts)


def test_stopped_it_leaves_the_report_of_before(review):
    path = review.report()
    before = path.read_bytes()
    with pytest.raises(Cancelled):
        review.report(cancel=lambda: True)
    assert path.read_bytes() == before


def test_all_words_are_in_the_language_in_use(review):
    from napari_unetseg import language

    asked = []

    class Catalogue:
        def gettext(self, text):
            asked.append(text)
            return f"«{text}»"

    kept = language._catalogue
    language._catalogue = Catalogue()
    try:
        page = Page(review.report().read_text(encoding="utf-8"))
    finally:
        language._catalogue = kept
    words = [text.strip() for text in page.texts if re.search("[a-z]{4}", text)]
    foreign = [
        text for text in words if "«" not in text and not text.endswith(".tif") and not re.match(r"\w+, \d", text)
    ]
    assert [text for text in foreign if "sick.tif" not in text] == []
    assert asked
