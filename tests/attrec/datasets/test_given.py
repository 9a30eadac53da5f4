"""Tables that somebody gives with a question: of any form, and every fault one sentence with its line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrec.datasets.given import open_given, read_given
from attrec.errors import DataError

PAIRS = ("user_id", "item_id")


def write(folder: Path, text: str, name: str = "told.csv", encoding: str = "utf-8") -> Path:
    file = folder / name
    file.write_bytes(text.encode(encoding))
    return file


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_any_separator_and_encoding(tmp_path, separator, encoding):
    text = "User_ID,item_id,more\r\nann,007,x\r\n\r\n bob ,8,\r\n".replace(",", separator)
    frame = read_given(write(tmp_path, text, encoding=encoding), PAIRS)
    assert frame.index.tolist() == [2, 4]
    assert frame.to_dict("list") == {"user_id": ["ann", " bob "], "item_id": ["007", "8"]}


def test_packed_and_by_the_line_and_in_columns(tmp_path):
    expected = pd.DataFrame({"user_id": [3, 4], "item_id": ["a", "b"], "rating": [2.5, 4.0]})
    expected.to_parquet(tmp_path / "told.parquet")
    expected.to_json(tmp_path / "told.jsonl", orient="records", lines=True)
    text = expected.to_csv(index=False).encode()
    (tmp_path / "told.csv.gz").write_bytes(gzip.compress(text))
    with pa.CompressedOutputStream(str(tmp_path / "told.csv.zst"), "zstd") as out:
        out.write(text)
    for name in ("told.parquet", "told.jsonl", "told.csv.gz", "told.csv.zst"):
        frame = read_given(tmp_path / name, (*PAIRS, "rating"))
        pd.testing.assert_frame_equal(frame.reset_index(drop=True), expected, check_dtype=False)
        assert frame["user_id"].dtype == "int64"


def test_a_title_may_have_commas_where_nothing_stands_beside_it(tmp_path):
    text = 'title\nHello, Goodbye\n"Help!"\nNone\n'
    assert read_given(write(tmp_path, text), ("title",))["title"].tolist() == [
        "Hello, Goodbye",
        "Help!",
        "None",
    ]


def test_times_are_dates_or_numbers_of_any_size(tmp_path):
    for first, second in (("1970-01-02", "1970-01-02T00:00:01Z"), ("86400", "86401")):
        text = f"user_id,timestamp\n1,{first}\n2,\n1,{second}\n"
        frame = read_given(write(tmp_path, text), ("user_id",), ("timestamp",))
        assert frame["timestamp"].tolist() == [86_400, pd.NA, 86_401]
    text = "user_id,timestamp\n1,1600000000000\n1,1600000001000\n"
    frame = read_given(write(tmp_path, text), ("user_id",), ("timestamp",))
    assert frame["timestamp"].tolist() == [1_600_000_000, 1_600_000_001]


def test_what_is_no_number_is_told_with_its_line(tmp_path):
    text = "item_id,rating\n1,4\n2,four\n"
    with pytest.raises(DataError, match=r"told\.csv, line 3: 'four' is no rating"):
        read_given(write(tmp_path, text), ("item_id", "rating"))
    text = "item_id,rating\n1,4\n2,\n"
    with pytest.raises(DataError, match=r"told\.csv, line 3: there is no rating"):
        read_given(write(tmp_path, text), ("item_id", "rating"))


def test_a_title_that_is_a_number_is_text(tmp_path):
    pd.DataFrame({"title": [1999, 7]}).to_parquet(tmp_path / "told.parquet")
    assert read_given(tmp_path / "told.parquet", ("title",))["title"].tolist() == ["1999", "7"]


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"told\.csv has the column title twice: keep one"):
        read_given(write(tmp_path, "Title,title,artist\na,b,c\n"), ("title",))


def test_a_line_that_is_no_object_is_told(tmp_path):
    text = '{"title": "a"}\n{"title": "b"}\nbroken\n'
    with pytest.raises(DataError, match=r"told\.jsonl, line 3: 'broken' is no JSON object"):
        read_given(write(tmp_path, text, "told.jsonl"), ("title",))


def test_blanks_around_an_id_stay_and_those_around_a_title_do_not(tmp_path):
    frame = read_given(write(tmp_path, "user_id,title\n7, Heat \n 7,Heat\n"), ("user_id", "title"))
    assert frame["user_id"].tolist() == ["7", " 7"]
    assert frame["title"].tolist() == ["Heat", "Heat"]


def test_a_list_is_no_id(tmp_path):
    pd.DataFrame({"user_id": [[1], [2]]}).to_parquet(tmp_path / "told.parquet")
    with pytest.raises(DataError, match="the column user_id holds list"):
        read_given(tmp_path / "told.parquet", ("user_id",))


IDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=6).filter(
    lambda text: text.strip(" \t\n\r") != ""
)


@settings(max_examples=40)
@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=30), st.integers(1, 40))
def test_batches_are_the_rows_in_order_whatever_stands_in_them(tmp_path_factory, rows, size):
    file = tmp_path_factory.mktemp("given") / "told.csv"
    told = pd.DataFrame(rows, columns=PAIRS, dtype=str)
    told.to_csv(file, index=False, quoting=1)
    with open_given(file, PAIRS) as table:
        batches = list(table.batches(size))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    read = pd.concat(batches)
    assert read.astype(str).to_numpy().tolist() == told.to_numpy().tolist()
    assert (np.diff(read.index) > 0).all()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "mine.csv")
    with pytest.raises(DataError, match=r"mine\.csv is no file, but a pipe or a device"):
        read_given(tmp_path / "mine.csv", ["item_id"])
