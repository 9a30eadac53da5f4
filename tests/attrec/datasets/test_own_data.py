"""A person's own file: any column names, textual or whole ids, a clear sentence for the unusable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from attrec.datasets.own_data import OwnDataConfig, read_own_data
from attrec.datasets.registry import load_dataset
from attrec.datasets.tables import ITEM_COLUMNS, Tables
from attrec.errors import DataError
from attrec.prepare.songs import numbers_of_items


def read(tmp_path: Path, content: str | bytes, **config: Any) -> Tables:
    path = tmp_path / "my.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_own_data(OwnDataConfig(path=path, **config))


def test_whole_ids_and_extra_columns(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        "note;who;what;stars;when\nx;3;10;4.5;100\ny;1;20;2;200\n",
        user_column="who",
        item_column="what",
        rating_column="stars",
        timestamp_column="when",
        separator=";",
    )
    assert tables.ratings["user_id"].tolist() == [3, 1]
    assert tables.ratings["user_id"].dtype == np.int64
    assert tables.ratings["rating"].tolist() == [4.5, 2.0]
    assert tables.ratings["rating"].dtype == np.float32
    assert tables.ratings["timestamp"].tolist() == [100, 200]
    assert tables.ratings["line"].tolist() == [2, 3]
    assert tables.users["user_id"].tolist() == [1, 3]
    assert tables.items["title"].tolist() == ["10", "20"]
    assert tables.items["genres"].tolist() == [[], []]


def test_textual_ids_and_no_timestamp(tmp_path: Path) -> None:
    tables = read(tmp_path, "user_id,item_id,rating\nann, 7 ,4\nbob,seven,5\n")
    assert tables.ratings["user_id"].tolist() == ["ann", "bob"]
    assert tables.ratings["item_id"].tolist() == ["7", "seven"]
    assert "timestamp" not in tables.ratings


def test_blanks_that_tell_ids_apart_stay(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,age\n7,31\n 7,32\nann,33\n")
    rows = "user_id,item_id,rating\n7, i1,1\n7 , i2,2\n 7, i1,3\nann, i1,4\n  , i1,5\n"
    tables = read(tmp_path, rows, users_path=tmp_path / "users.csv", user_columns=["age"])
    assert tables.ratings["user_id"].fillna("-").tolist() == ["7", "7 ", " 7", "ann", "-"]
    assert tables.ratings["item_id"].tolist() == ["i1", "i2", "i1", "i1", "i1"]
    assert tables.users["user_id"].tolist() == ["7", " 7", "ann"]


def test_blanks_that_a_table_beside_it_needs_stay_everywhere(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\na,A\na ,B\n")
    tables = read(tmp_path, "user_id,item_id,rating\n1,a ,4\n", items_path=tmp_path / "items.csv")
    assert tables.ratings["item_id"].tolist() == ["a "]
    assert tables.items["item_id"].tolist() == ["a", "a "]


PAIRS = {"columns": ("user_id", "item_id"), "rating_column": None, "separator": " "}


@pytest.mark.parametrize(
    "content",
    [
        "1 10\n2 20\n1 10\n",
        "1\t10\n2\t20\n1\t10\n",
        "1  10 \r\n 2 \t20\r\n1 10",
        "\ufeff1 10\n\n2 20\n1 10\n",
    ],
    ids=["blanks", "tabs", "ragged", "blank line"],
)
def test_lines_of_user_and_item(tmp_path: Path, content: str) -> None:
    tables = read(tmp_path, content, **PAIRS)
    assert tables.feedback == "actions"
    assert tables.ratings[["user_id", "item_id"]].values.tolist() == [[1, 10], [2, 20], [1, 10]]
    assert tables.ratings["user_id"].dtype == np.int64
    assert tables.ratings.columns.tolist() == ["user_id", "item_id", "file", "line"]
    assert tables.ratings["line"].tolist() == ([1, 3, 4] if "\n\n" in content else [1, 2, 3])
    assert tables.items["title"].tolist() == ["10", "20"]


def test_actions_with_textual_ids_a_time_and_a_header(tmp_path: Path) -> None:
    content = "when who what\n7 ann tea\n5 bob 9\n"
    columns = {"user_column": "who", "item_column": "what", "timestamp_column": "when"}
    tables = read(tmp_path, content, separator=" ", rating_column=None, **columns)
    assert tables.ratings["user_id"].tolist() == ["ann", "bob"]
    assert tables.ratings["item_id"].tolist() == ["tea", "9"]
    assert tables.ratings["timestamp"].tolist() == [7, 5]
    assert "rating" not in tables.ratings


def test_bad_lines_of_actions_keep_their_place_and_text(tmp_path: Path) -> None:
    tables = read(tmp_path, "1 10\n2\n1 20\n1 30 5\n2 10\n", **PAIRS)
    assert tables.ratings["line"].tolist() == [1, 2, 3, 4, 5]
    assert tables.ratings["item_id"].tolist() == [10, pd.NA, 20, pd.NA, 10]
    texts = tables.ratings.set_index("line")["line as written"].dropna()
    assert texts.to_dict() == {2: "2", 4: "1 30 5"}
    empty_item = read(tmp_path, "1\t10\n2\t\n", **PAIRS | {"separator": "\t"})
    assert empty_item.ratings["item_id"].tolist() == [10, pd.NA]


def test_ratings_without_a_header_line(tmp_path: Path) -> None:
    columns = ("user_id", "item_id", "rating", "time")
    tables = read(tmp_path, "1::10::4::978300760\n", separator="::", columns=columns, timestamp_column="time")
    assert tables.feedback == "ratings"
    assert tables.ratings.iloc[0][["rating", "timestamp"]].tolist() == [4, 978300760]


def test_items_may_have_another_separator(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\n10,Two Words\n")
    tables = read(tmp_path, "1 10\n", **PAIRS, items_path=tmp_path / "items.csv", items_separator=",")
    assert tables.items["title"].tolist() == ["Two Words"]


def test_bad_rows_become_nulls_with_their_line(tmp_path: Path) -> None:
    tables = read(tmp_path, "user_id,item_id,rating\n9007199254740993,1,4\n,2,5\n3,4,many\n")
    assert tables.ratings["user_id"].tolist() == [9007199254740993, pd.NA, 3]
    assert tables.ratings["rating"].isna().tolist() == [False, False, True]
    assert tables.ratings["line"].tolist() == [2, 3, 4]
    assert tables.ratings["rating as written"].fillna("-").tolist() == ["-", "-", "many"]
    assert tables.users["user_id"].tolist() == [3, 9007199254740993]


def test_table_of_items(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text('sku,name,tags\n1,"Toy Story (1995)",a/b\n2,B,\n')
    tables = read(
        tmp_path,
        "user_id,item_id,rating\n1,1,4\n",
        items_path=tmp_path / "items.csv",
        items_item_column="sku",
        title_column="name",
        genres_column="tags",
        genres_separator="/",
    )
    assert tables.items["title"].tolist() == ["Toy Story (1995)", "B"]
    assert tables.items["year"].fillna(0).tolist() == [1995.0, 0.0]
    assert tables.items["genres"].tolist() == [["a", "b"], []]
    assert tables.items["item_id"].dtype == np.int64


def test_what_describes_an_item(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(
        "item_id,title,by,tempo,mood,other\n1,A,Abba,120,.5,x\n2,B, ,fast,,y\n"
    )
    described = {
        "items_path": tmp_path / "items.csv",
        "artist_column": "by",
        "number_columns": ["mood", "tempo"],
    }
    tables = read(tmp_path, "1 1\n", **PAIRS, items_separator=",", **described)
    assert list(tables.items.columns) == [*ITEM_COLUMNS, "artist", "mood", "tempo", "tempo as written"]
    assert tables.items["artist"].fillna("-").tolist() == ["Abba", "-"]
    assert tables.items[["tempo", "mood"]].fillna(-1).to_numpy().tolist() == [[120, 0.5], [-1, -1]]
    assert tables.items["tempo as written"].fillna("-").tolist() == ["-", "fast"]
    assert numbers_of_items(tables.items) == ("mood", "tempo")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"number_columns": ["a", "a"]}, "cannot name 'a'"),
        ({"number_columns": ["year"]}, "cannot name 'year'"),
        ({"number_columns": ["born"], "year_column": "born"}, "cannot name 'born'"),
        ({"number_columns": ["a"], "items_path": None}, "columns of the table at items_path"),
        ({"artist_column": "by", "items_path": None}, "columns of the table at items_path"),
    ],
)
def test_descriptions_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OwnDataConfig.model_validate({"path": "my.csv", "items_path": "items.csv", **changes})


def test_ids_of_both_files_get_one_type(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\n1,A\nx2,B\n")
    tables = read(tmp_path, "user_id,item_id,rating\n1,1,4\n", items_path=tmp_path / "items.csv")
    assert tables.ratings["item_id"].tolist() == ["1"]
    assert tables.items["item_id"].tolist() == ["1", "x2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"my\.csv is empty"),
        ("user_id,item_id,rating\n", r"my\.csv has no rows"),
        ("user_id,film,rating\n1,2,3\n", r"has no column 'item_id' .*it has 'user_id', 'film', 'rating'"),
        ("user_id;item_id;rating\n1;2;3\n", r"has no column 'user_id', 'item_id', 'rating'"),
        ("user_id,item_id,rating,rating\n1,2,3,4\n", r"has the column 'rating' twice"),
        ("user_id,item_id,rating,who\n1,2,3,Ren\xe9\n".encode("latin-1"), r"not UTF-8 text \(line 2\)"),
        ("user_id,item_id,rating,Ren\xe9\n1,2,3,x\n".encode("latin-1"), r"not UTF-8 text \(line 1\)"),
    ],
)
def test_unusable_file(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "my.csv") in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_own_data(OwnDataConfig(path=tmp_path / "none.csv"))
    with pytest.raises(DataError, match="cannot be read"):
        read_own_data(OwnDataConfig(path=tmp_path))


@pytest.mark.parametrize(
    "config",
    [
        {"rating_min": 5, "rating_max": 5},
        {"rating_step": 0},
        {"separator": ""},
        {"user_column": "rating"},
        {"columns": ("user_id", "item_id")},
        {"columns": ("user_id", "item_id", "item_id"), "rating_column": None},
        {"columns": ("user_id",), "rating_column": None},
        {"ratings": "x"},
    ],
)
def test_config_refuses_nonsense(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OwnDataConfig(path=Path("x.csv"), **config)


def test_through_the_registry(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("user_id,item_id,rating\n1,2,3\n")
    assert len(load_dataset("csv", OwnDataConfig(path=tmp_path / "my.csv")).ratings) == 1
