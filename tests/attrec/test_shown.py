"""Text of data where it is shown: nothing is obeyed, nothing is markup, nothing is calculated, and nothing is lost."""

from __future__ import annotations

import io
import re
import unicodedata
from html.parser import HTMLParser

import mistune
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from attrec.errors import DataError, NotFitted
from attrec.shown import as_cell, as_cells, as_markdown, from_cell, from_cells, one_line, some_is_formula

BAD = "\N{REPLACEMENT CHARACTER}"
MARKS = st.text(st.sampled_from("\\`*_{}[]()<>#+-.!|~&;:/$'\" ab1\n")) | st.text()
CELLS = st.text(st.sampled_from("'=+-@\t\r\n＝＋－＠a1")) | st.text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("red \x1b[31m and \x9b31m", f"red {BAD}[31m and {BAD}31m"),
        ("link \x1b]8;;file:///etc/passwd\x07here", f"link {BAD}]8;;file:///etc/passwd{BAD}here"),
        ("one\ntwo\r\x00\b\x7f\u2028", f"one{BAD}two{BAD}{BAD}{BAD}{BAD}{BAD}"),
        ("\u202egnihton \u2066x\u2069", f"{BAD}gnihton {BAD}x{BAD}"),
        ("not UTF-8: \udcff", f"not UTF-8: {BAD}"),
    ],
)
def test_what_a_terminal_obeys_is_marked(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize(
    "text", ["Amélie", "الفيلم", "👩\u200d👩\u200d👧", "[/red] $x$ <b> =1 %s {0} \\", "שלום\u200f"]
)
def test_whatever_else_is_written_stands_as_it_is(text: str) -> None:
    assert one_line(text) == text


@given(st.text())
def test_a_line_is_one_and_can_be_printed(text: str) -> None:
    shown = one_line(text)
    assert len(shown) == len(text)
    assert shown.splitlines() in ([], [shown])
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode()


def test_no_message_of_ours_controls_what_shows_it() -> None:
    assert str(DataError("no title is like \x1b[31m\u202e")) == f"no title is like {BAD}[31m{BAD}"
    assert str(NotFitted()) == ""


class Read(HTMLParser):
    """What a page shows, and the tags that are no paragraph."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags = "", list[str]()
        self.feed(page)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags += [tag] * (tag != "p")


@given(MARKS)
@example("https://evil.example/x, HTTP://evil.example, www.evil.example, WWW.evil.example and a@evil.example")
def test_markdown_shows_the_text_as_it_stands(text: str) -> None:
    """By three readers, inside a sentence as it is used; the last makes links of addresses that stand alone."""
    for read in (MarkdownIt().render, mistune.html, mistune.create_markdown(escape=False, plugins=["url"])):
        page = Read(str(read(f"It says: {as_markdown(text)}.")))
        assert page.tags == []
        assert page.text.strip() == f"It says: {one_line(text)}."


@given(CELLS)
def test_no_cell_is_a_formula_and_each_is_read_back(text: str) -> None:
    assert not re.match("[=+@\t\r\n＝＋－＠-]", as_cell(text))
    assert from_cell(as_cell(text)) == text


@given(CELLS, CELLS)
def test_two_texts_have_two_cells(one: str, other: str) -> None:
    assert (as_cell(one) == as_cell(other)) == (one == other)


@pytest.mark.parametrize("title", ["'Til There Was You", "Se7en", "1+1", "$5 = 1", ""])
def test_what_is_no_formula_stands_as_it_is(title: str) -> None:
    assert as_cell(title) == from_cell(title) == title


@given(st.lists(st.tuples(CELLS, CELLS | st.none(), st.floats(-9, 9)), min_size=1))
def test_a_table_is_read_back_and_its_ids_and_figures_stand(
    rows: list[tuple[str, str | None, float]],
) -> None:
    table = pd.DataFrame(rows, columns=["item_id", "title", "score"])
    cells = as_cells(table)
    pd.testing.assert_frame_equal(cells[["item_id", "score"]], table[["item_id", "score"]])
    pd.testing.assert_frame_equal(from_cells(cells), table)


def test_a_file_of_cells_is_read_back() -> None:
    table = pd.DataFrame(
        {"item_id": ["=1", "-k"], "title": ["=cmd|' /C calc'!A0", "+1"], "score": [-0.5, 1.0]}
    )
    written = as_cells(table).to_csv(index=False)
    assert written == "item_id,title,score\n=1,'=cmd|' /C calc'!A0,-0.5\n-k,'+1,1.0\n"
    read = pd.read_csv(io.StringIO(written), dtype={"title": str})
    pd.testing.assert_frame_equal(from_cells(read), table)


def test_ids_that_look_like_formulas() -> None:
    assert some_is_formula(pd.Index(["a", "-k"]))
    assert not some_is_formula(pd.Index(["a", "b=1"]))
    assert not some_is_formula(pd.Index([-1, 2]))


def test_categories_are_texts_too() -> None:
    table = pd.DataFrame({"genre": pd.Categorical(["=1+1", "war", None])})
    assert as_cells(table)["genre"].tolist()[:2] == ["'=1+1", "war"]
    assert from_cells(as_cells(table))["genre"].tolist()[:2] == ["=1+1", "war"]
