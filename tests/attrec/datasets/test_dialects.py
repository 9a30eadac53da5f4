"""Whatever table is written in whatever dialect is read back the same, or told row by row; nothing is swallowed."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrec.datasets.own_data import OwnDataConfig, open_table, read_own_data
from attrec.datasets.plain_text import Dialect
from attrec.datasets.tables import Tables
from attrec.errors import DataError

HEADER = "user_id,item_id,rating\n"


def read(path: Path, **config: Any) -> Tables:
    return read_own_data(OwnDataConfig.model_validate({"path": path, **config}))


def written(tmp_path: Path, content: str | bytes, name: str = "my.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


# Neither blanks around a text, which are not part of an id, nor what no encoding of text has.
TEXTS = st.text(
    st.characters(
        codec="utf-8", exclude_characters="\x00\x1a\x85", exclude_categories=["Cs", "Zl", "Zp", "Zs", "Cc"]
    )
    | st.sampled_from(list(",;|\t\"'\\ \n")),
    max_size=6,
).map(str.strip)


@st.composite
def dialects(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "separator": draw(st.sampled_from([",", ";", "\t", "|"])),
        "quote": draw(st.sampled_from(['"', "'"])),
        "escape": draw(st.sampled_from([None, None, "\\"])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        "header": draw(st.booleans()),
        "line_end": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "packed": draw(st.sampled_from([None, "gzip", "zstd"])),
        "every": draw(st.booleans()),
    }


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(TEXTS.filter(bool), TEXTS.filter(bool), st.integers(1, 5)), min_size=2, max_size=8),
    dialects(),
)
def test_what_is_written_in_a_dialect_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str, int]], dialect: dict[str, Any]
) -> None:
    columns = ("user_id", "item_id", "rating")
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=dialect["separator"],
        quotechar=dialect["quote"],
        escapechar=dialect["escape"],
        doublequote=dialect["escape"] is None,
        lineterminator="\n",
        # Python's writer escapes outside quotes too, where the character stands for itself to others.
        quoting=csv.QUOTE_ALL if dialect["every"] or dialect["escape"] else csv.QUOTE_MINIMAL,
    )
    if dialect["header"]:
        writer.writerow(columns)
    writer.writerows(rows)
    content = text.getvalue().replace("\n", dialect["line_end"]).encode(dialect["encoding"])
    if dialect["packed"] is not None:
        content = gzip.compress(content) if dialect["packed"] == "gzip" else zstd(content)
    tables = read(
        written(tmp_path, content),
        columns=None if dialect["header"] else columns,
        **{key: dialect[key] for key in ("separator", "quote", "escape", "encoding")},
    )
    found = tables.ratings
    if tables.mended:
        # Each line of a field is a row by itself: nobody can tell, and the quote is counted.
        assert any({"\n", dialect["separator"]} <= set(cell) for row in rows for cell in row[:2])
        return
    starts = np.cumsum([0, *(1 + sum(cell.count("\n") for cell in row[:2]) for row in rows)])[:-1]
    assert found["line"].tolist() == (starts + 1 + dialect["header"]).tolist()
    assert "line as written" not in found
    assert (
        list(zip(found["user_id"].astype(str), found["item_id"].astype(str), found["rating"], strict=True))
        == rows
    )


def test_a_quote_that_nobody_closes_swallows_no_line(tmp_path: Path) -> None:
    lines = [f"u{row % 7}\tfilm {row}\t{row % 5 + 1}" for row in range(400)]
    lines[100] = 'u1\t"film a\t3'
    lines[160] = 'u2\tfilm b"\t3'
    tables = read(written(tmp_path, "user_id\titem_id\trating\n" + "\n".join(lines)), separator="\t")
    assert len(tables.ratings) == 400
    assert tables.ratings["item_id"].iloc[[100, 160]].tolist() == ['"film a', 'film b"']
    assert tables.ratings["line"].tolist() == list(range(2, 402))
    assert tables.mended == {"quotes_taken_for_letters": 1}
    comma = HEADER + '1,"two, three,4\n5,6,1\n7,8,2\n9,1,1\n'
    ratings = read(written(tmp_path, comma)).ratings
    assert ratings["line as written"].dropna().tolist() == ['1,"two, three,4']
    assert ratings["user_id"].tolist() == [pd.NA, 5, 7, 9]


def test_lines_held_together_by_quotes_are_one_row(tmp_path: Path) -> None:
    content = HEADER + '1,"a\n\nb, c",3\n\n2,"d ""e""\nf",4\n3,x"y,5\n4,"z" z,1\n'
    ratings = read(written(tmp_path, content)).ratings
    assert ratings["item_id"].tolist()[:3] == ["a\n\nb, c", 'd "e"\nf', 'x"y']
    assert ratings["line"].tolist() == [2, 6, 8, 9]
    assert ratings["line as written"].dropna().tolist() == ['4,"z" z,1']


def test_quotes_hold_the_first_lines_together(tmp_path: Path) -> None:
    path = written(tmp_path, '"a\nb",1,5\nc,2,4\n')
    ratings = read(path, columns=["user_id", "item_id", "rating"]).ratings
    assert ratings[["user_id", "line"]].to_numpy().tolist() == [["a\nb", 1], ["c", 3]]


def test_a_zero_byte_makes_no_text_another_encoding(tmp_path: Path) -> None:
    content = HEADER + "1,aa,1\n\x00,b,2\n" + "".join(f"{n},c,3\n" for n in range(90))
    assert read(written(tmp_path, content)).ratings["item_id"].tolist()[:2] == ["aa", "b"]


def test_lines_stay_right_in_a_file_of_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attrec.datasets.plain_text._BLOCK", 7)
    content = HEADER + '1,a,1\r\n\r\n2,"b\nb",2\r\n3,c\r\n4,dé,4\r\n'
    ratings = read(written(tmp_path, content)).ratings
    assert ratings["line"].tolist() == [2, 4, 6, 7]
    assert ratings["item_id"].fillna("-").tolist() == ["a", "b\nb", "-", "dé"]


@pytest.mark.parametrize(
    ("users", "kept"),
    [
        (["7", "07", "007"], ["7", "07", "007"]),
        (["7", "1.0"], ["7", "1.0"]),
        (["7", "+8"], ["7", "+8"]),
        (["-7", "8"], [-7, 8]),
        (["9007199254740993", "1"], [9007199254740993, 1]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        ([" 7 ", "8"], [7, 8]),
    ],
)
def test_ids_stay_what_they_are(tmp_path: Path, users: list[str], kept: list[object]) -> None:
    rows = "".join(f"{user},{place},3\n" for place, user in enumerate(users))
    assert read(written(tmp_path, HEADER + rows)).ratings["user_id"].tolist() == kept


TIME = 1_580_464_800


@pytest.mark.parametrize(
    ("times", "config"),
    [
        ([str(TIME)], {}),
        ([f"{TIME}.0"], {}),
        ([f"{TIME}250"], {}),
        ([f"{TIME}250000"], {}),
        (["2020-01-31 10:00"], {}),
        (["2020-01-31T10:00:00Z"], {}),
        (["2020-01-31T12:00:00+02:00"], {}),
        (["2020-01-31T10:00:00.75"], {}),
        (["31.01.2020 10:00"], {"timestamp_format": "%d.%m.%Y %H:%M"}),
        (["1580464800000"], {"timestamp_unit": "ms"}),
    ],
)  # fmt: skip
def test_times_as_people_write_them(tmp_path: Path, times: list[str], config: dict[str, Any]) -> None:
    rows = "".join(f"1,{place},3,{time}\n" for place, time in enumerate([*times, "soon", ""]))
    ratings = read(
        written(tmp_path, "user_id,item_id,rating,when\n" + rows), timestamp_column="when", **config
    ).ratings
    assert ratings["timestamp"].tolist() == [TIME, pd.NA, pd.NA]
    assert ratings["timestamp as written"].fillna("-").tolist() == ["-", "soon", "-"]


def test_seconds_among_milliseconds_are_told(tmp_path: Path) -> None:
    content = f"user_id,item_id,rating,when\n1,1,3,{TIME}000\n1,2,3,{TIME}999\n1,3,3,{TIME}\n1,4,3,2020-01-31 10:00\n"
    path = written(tmp_path, content)
    ratings = read(path, timestamp_column="when").ratings
    assert ratings["timestamp"].tolist() == [TIME, TIME, pd.NA, TIME]
    assert ratings["timestamp as written"].dropna().tolist() == [str(TIME)]
    named = read(path, timestamp_column="when", timestamp_unit="ms").ratings
    assert named["timestamp"].tolist() == [TIME, TIME, TIME // 1000, TIME]


def test_a_row_of_nothing_is_told(tmp_path: Path) -> None:
    for separator in (",", ";", "\t"):
        lines = ["{0}{0}", "user_id{0}item_id{0}rating", "1{0}2{0}3", "{0}{0}", "", " ", "4{0}5{0}6"]
        path = written(tmp_path, "\n".join(lines).format(separator))
        ratings = read(path, separator=separator).ratings
        assert ratings["line"].tolist() == [3, 4, 7]
        assert ratings["user_id"].tolist() == [1, pd.NA, 4]


def test_numbers_with_a_decimal_comma(tmp_path: Path) -> None:
    content = "user_id;item_id;rating\n1;2;3,5\n1;3;4\n1;4;4.5\n1;5;inf\n"
    ratings = read(written(tmp_path, content), separator=";", decimal=",").ratings
    assert ratings["rating"].fillna(-1).tolist() == [3.5, 4, -1, -1]
    assert ratings["rating as written"].fillna("-").tolist() == ["-", "-", "4.5", "inf"]


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "user_id": [7.0, 8.0, np.nan],
            "item_id": ["007", "8", "9"],
            "rating": [3.5, np.inf, 4.0],
            "when": pd.to_datetime(["2020-01-31 10:00"] * 3),
        }
    )
    frame.to_parquet(tmp_path / "my.parquet")
    ratings = read(tmp_path / "my.parquet", timestamp_column="when").ratings
    assert ratings["user_id"].tolist() == [7, 8, pd.NA]
    assert ratings["item_id"].tolist() == ["007", "8", "9"]
    assert ratings["rating"].fillna(-1).tolist() == [3.5, -1, 4]
    assert ratings["rating as written"].fillna("-").tolist() == ["-", "inf", "-"]
    assert ratings["timestamp"].tolist() == [TIME] * 3
    assert ratings["line"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("column", ["user_id", "rating", "when"])
def test_a_number_that_is_none_in_parquet_is_nothing(tmp_path: Path, column: str, kind: pa.DataType) -> None:
    columns = {name: pa.array([1.0, 2.0, 3.0]) for name in ("user_id", "item_id", "rating", "when")}
    columns[column] = pa.array(np.array([1.0, np.nan, 3.0]), kind)
    assert columns[column].null_count == 0
    pq.write_table(pa.table(columns), tmp_path / "my.parquet")
    ratings = read(tmp_path / "my.parquet", timestamp_column="when").ratings
    found = ratings["timestamp" if column == "when" else column]
    assert found.fillna(-1).tolist() == [1, -1, 3]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_json_lines(tmp_path: Path, pack: Any) -> None:
    rows: list[dict[str, Any]] = [
        {"user_id": "007", "item_id": 9007199254740993, "rating": 4.0, "more": [1]},
        {"item_id": 2, "user_id": 'a,"b"', "rating": "3"},
        {"user_id": "7", "item_id": 3.0},
    ]
    lines = [json.dumps(row) for row in rows]
    content = "\n".join([lines[0], "", "{half", *lines[1:], "[1]"]) + "\n"
    ratings = read(written(tmp_path, pack(content.encode()), "my.jsonl.gz")).ratings
    assert ratings["line"].tolist() == [1, 3, 4, 5, 6]
    assert ratings["user_id"].fillna("-").tolist() == ["007", "-", 'a,"b"', "7", "-"]
    assert ratings["item_id"].tolist() == [9007199254740993, pd.NA, 2, 3, pd.NA]
    assert ratings["rating"].fillna(-1).tolist() == [4, -1, 3, -1, -1]
    assert ratings["line as written"].dropna().tolist() == ["{half", "[1]"]


def test_tables_that_describe_users_and_items(tmp_path: Path) -> None:
    ratings = written(tmp_path, HEADER + "01,a,3\n2,b,4\n")
    users = written(tmp_path, '{"user": "01", "age": 31, "city": " Rome "}\n{"user": "3"}\n', "users.jsonl")
    pd.DataFrame(
        {"sku": ["a", "b"], "price": [1, 2], "kind": ["x", None], "tags": [["p", "q"], []]}
    ).to_parquet(tmp_path / "items.parquet")
    tables = read(
        ratings,
        users_path=users,
        users_user_column="user",
        user_columns=["age", "city"],
        items_path=tmp_path / "items.parquet",
        items_item_column="sku",
        genres_column="tags",
        item_columns=["price", "kind"],
    )
    assert tables.users["user_id"].tolist() == ["01", "3"]
    assert tables.users["age"].fillna(-1).tolist() == [31, -1]
    assert tables.users["city"].fillna("-").tolist() == ["Rome", "-"]
    assert tables.items["price"].tolist() == [1.0, 2.0]
    assert tables.items["kind"].fillna("-").tolist() == ["x", "-"]
    assert tables.items["genres"].tolist() == [["p", "q"], []]
    assert tables.items["title"].tolist() == ["a", "b"], "without a title, an item is called by its id"


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"BZh91AY&SY", "my.csv.bz2", "packed with bzip2"),
        (b"PK\x03\x04 zip", "my.csv", "packed with zip"),
        (gzip.compress(HEADER.encode() * 9000, mtime=0)[:40], "my.csv.gz", "damaged or cut off"),
        (b"no parquet", "my.parquet", "cannot be read: it is not Parquet; name its format"),
        (b"", "my.parquet", "it is not Parquet"),
        (b"PAR1 and no end", "my.parquet", "is damaged or cut off: it does not end as Parquet does; get it anew"),
        (gzip.compress(b"PAR1 PAR1", mtime=0), "my.pq.gz", "is packed; unpack it: Parquet packs its columns itself"),
        (zstd(b"PAR1 PAR1"), "my.pq.zst", "is packed; unpack it: Parquet packs its columns itself"),
        (b"1,2\n3,4\n", "my.jsonl", "are not JSON objects"),
        (b'user_id,"item_id,rating\n1,2,3\n', "my.csv", "quotes of the first line do not pair"),
        (HEADER.encode() + b"1,2,3\n4,5\n6,7\n", "my.csv", "2 of 3 lines that are not 3 fields"),
        (HEADER.encode("utf-16"), "my.csv", r"not UTF-8 text \(line 1\) but UTF-16; save it"),
        (HEADER.encode("utf-16-be"), "my.csv", r"not UTF-8 text \(line 1\) but UTF-16-BE; save it"),
        (HEADER.encode("utf-32"), "my.csv", r"not UTF-8 text \(line 1\) but UTF-32; save it"),
        (HEADER.encode("utf-32-le"), "my.csv", r"not UTF-8 text \(line 1\) but UTF-32-LE; save it"),
        (b",".join(b"c%d" % place for place in range(20_000)) + b"\n1\n", "my.csv", "20,000 columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_a_sentence(
    tmp_path: Path, content: bytes, name: str, said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(written(tmp_path, content, name))
    assert "\n" not in str(caught.value)


def test_a_file_is_read_whatever_its_path_looks_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = tmp_path / "user_id=99" / "[a]"
    strange.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(strange))
    for name in ("a[1]", "a1", "b*", "b2", "c?", "cc"):
        frame = pd.DataFrame({"user_id": [name], "item_id": [1], "rating": [2.0]})
        frame.to_parquet(strange / f"{name}.parquet")
        frame.to_csv(strange / f"{name}.csv", index=False)
        frame.to_json(strange / f"{name}.jsonl", orient="records", lines=True)
        for ending in ("parquet", "csv", "jsonl"):
            assert read(strange / f"{name}.{ending}").ratings["user_id"].tolist() == [name]


def test_parquet_names_that_differ_in_case_only(tmp_path: Path) -> None:
    path = tmp_path / "my.parquet"
    pd.DataFrame({"user_id": [1], "User_ID": [8], "item_id": [1], "rating": [2.0]}).to_parquet(path)
    assert read(path).ratings["user_id"].tolist() == [1]
    assert read(path, user_column="User_ID").ratings["user_id"].tolist() == [8]


def test_a_field_that_json_lines_have_late(tmp_path: Path) -> None:
    content = '{"user_id": 1, "item_id": 2}\n' * 1500 + '{"user_id": 1, "item_id": 3, "rating": 5}\n'
    assert read(written(tmp_path, content, "my.jsonl")).ratings["rating"].iloc[-1] == 5


@pytest.mark.parametrize("key", ["", "a/b~c", 'a"b', "a.*", "it's", "USER_ID", "0", "a\x00b"])
def test_any_key_of_json_lines(tmp_path: Path, key: str) -> None:
    content = "".join(
        json.dumps({key: f"u{n}", "item_id": n, "user_id": n, "rating": 3}) + "\n" for n in (1, 2)
    )
    path = written(tmp_path, content, "my.jsonl")
    assert read(path).ratings["user_id"].tolist() == [1, 2]
    with open_table(path, Dialect()) as table:
        frame = table.read({key: "text"})
    assert frame[key].tolist() == ["u1", "u2"]


def test_of_many_keys_only_those_that_are_wanted_are_read(tmp_path: Path) -> None:
    content = "".join(f'{{"user_id": {n}, "item_id": {n}, "rating": 3, "k{n}": 1}}\n' for n in range(3000))
    path = written(tmp_path, content, "my.jsonl")
    assert read(path).ratings["user_id"].tolist() == list(range(3000))
    with (
        pytest.raises(DataError, match=r"has 3,003 different keys, more than 1,000"),
        open_table(path, Dialect()),
    ):
        pass
