"""Sound files are read fast, unsound ones exactly: both paths must agree on every value and every line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrec.datasets.delimited import Layout, read_delimited, select_columns
from attrec.errors import DataError

TABS = Layout({"user": "int", "item": "int", "rating": "float"}, separator="\t")
COLONS = Layout({"item": "int", "title": "text"}, separator="::")
CSV = Layout({"item": "int", "title": "text"}, header=True, quoted=True)


def test_sound_file() -> None:
    frame = read_delimited(b"1\t2\t3.5\n4\t5\t1\n", TABS, "u.data")
    assert frame["user"].tolist() == [1, 4]
    assert frame["rating"].tolist() == [3.5, 1.0]
    assert frame["file"].astype(str).tolist() == ["u.data"] * 2
    assert frame["line"].tolist() == [1, 2]
    assert frame["user"].dtype == np.int64


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_last_line_needs_no_line_end(end: bytes) -> None:
    assert len(read_delimited(b"1\t2\t3\n4\t5\t1" + end, TABS, "u.data")) == 2


def test_bad_value_becomes_null_and_keeps_its_line() -> None:
    frame = read_delimited(b"1\t2\t3\nx\t5\tmuch\n7\t8\t9\n", TABS, "u.data")
    assert frame["user"].tolist() == [1, pd.NA, 7]
    assert frame["user"].dtype == "Int64"
    assert frame["item"].tolist() == [2, 5, 8]
    assert np.isnan(frame["rating"][1])
    assert frame["line"].tolist() == [1, 2, 3]


def test_text_that_could_not_be_read_stands_beside_its_null() -> None:
    frame = read_delimited(b"1\t2\t3\nx\t5\t much\n7\t\t\n", TABS, "u.data")
    assert frame["user as written"].fillna("-").tolist() == ["-", "x", "-"]
    assert frame["rating as written"].fillna("-").tolist() == ["-", " much", "-"]
    assert "item as written" not in frame, "a field that is empty was not unreadable"


def test_sound_file_with_empty_fields_has_no_text_beside() -> None:
    frame = read_delimited(b"1\t2\t3\n7\t\t\n", TABS, "u.data")
    assert frame.columns.tolist() == [*TABS.columns, "file", "line"]


def test_number_past_64_bits_becomes_null() -> None:
    frame = read_delimited(b"9223372036854775807\t1\t1\n9223372036854775808\t1\t1\n", TABS, "u.data")
    assert frame["user"][0] == 2**63 - 1
    assert frame["user"].isna().tolist() == [False, True]


def test_blank_and_malformed_lines_do_not_shift_the_others() -> None:
    frame = read_delimited(b"1\t2\t3\n\n4\t5\n6\t7\t8\n9\t9\t9\t9\n1\t1\t1\n2\t2\t2\n", TABS, "u.data")
    assert frame["line"].tolist() == [1, 3, 4, 5, 6, 7]
    assert frame["user"].tolist() == [1, pd.NA, 6, pd.NA, 1, 2]
    assert frame.loc[frame["line"] == 3, ["user", "item", "rating"]].isna().all(axis=None)
    texts = frame.set_index("line")["line as written"].dropna()
    assert texts.to_dict() == {3: "4\t5", 5: "9\t9\t9\t9"}


def test_separator_of_two_characters() -> None:
    frame = read_delimited("7::Amélie: a film (2001)\n8::X\n".encode("latin-1"), latin(COLONS), "movies.dat")
    assert frame["title"].tolist() == ["Amélie: a film (2001)", "X"]


def latin(layout: Layout) -> Layout:
    return Layout(layout.columns, layout.separator, layout.header, layout.quoted, "latin-1")


def test_quoted_csv() -> None:
    frame = read_delimited(b'item,title\n1,"Say ""hi"", now"\n2,plain\n', CSV, "movies.csv")
    assert frame["title"].tolist() == ['Say "hi", now', "plain"]
    assert frame["line"].tolist() == [2, 3]


def test_line_end_inside_quotes_keeps_later_lines_right() -> None:
    frame = read_delimited(b'item,title\n1,"two\nlines"\n2,plain\n', CSV, "movies.csv")
    assert frame["title"].tolist() == ["two\nlines", "plain"]
    assert frame["line"].tolist() == [2, 4]


def test_byte_order_mark_is_no_part_of_the_header() -> None:
    frame = read_delimited(b"\xef\xbb\xbfitem,title\r\n1,a\r\n", CSV, "movies.csv")
    assert frame["item"].tolist() == [1]
    assert frame["title"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        (b"", TABS, r"x is empty"),
        (b" \n\n", TABS, r"x is empty"),
        (b"item,title\n", CSV, r"x has no rows"),
        (b"item,name\n1,a\n", CSV, r"x has the columns \['item', 'name'\]"),
        (b"1,2,3\n4,5,6\n", TABS, r"x has 2 of 2 lines that are not 3 fields"),
        (b"1\t2\t3\n4\t5\t6\n7\t8", TABS, r"x is cut off in line 3"),
        (b"item,title\n1,ok\n2,caf\xe9\n", CSV, r"x is not UTF-8 text \(line 3\)"),
    ],
)
def test_unusable_file(content: bytes, layout: Layout, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_delimited(content, layout, "x")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        (" -3 ", -3),
        ("", None),
        ("1.0", None),
        ("--1", None),
        ("1e3", None),
        ("٣", None),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("9" * 5000, None),
    ],
)
def test_whole_numbers(text: str, number: int | None) -> None:
    frame = read_delimited(f"1\t1\t1\n{text}\t1\t1\n".encode(), TABS, "u.data")
    assert frame["user"].tolist() == [1, pd.NA if number is None else number]


def test_selected_columns_keep_what_could_not_be_read() -> None:
    table = read_delimited(b"1\t2\t3\nx\ty\tz\n7\n", TABS, "u.data")
    chosen = select_columns(table, {"rating": "stars", "user": "who"})
    texts = ["stars as written", "who as written", "line as written"]
    assert chosen.columns.tolist() == ["stars", "who", "file", "line", *texts]
    assert chosen.loc[1, texts[:2]].tolist() == ["z", "x"]
    assert chosen["line as written"].fillna("-").tolist() == ["-", "-", "7"]


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 99), st.integers(-9, 9)),
        min_size=1,
        max_size=20,
    )
)
def test_whole_numbers_are_exact(rows: list[tuple[int, int, int]]) -> None:
    content = "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()
    frame = read_delimited(content, TABS, "x")
    assert list(zip(*(frame[name].tolist() for name in TABS.columns), strict=True)) == rows
    assert frame["line"].tolist() == list(range(1, len(rows) + 1))
