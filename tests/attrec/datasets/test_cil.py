"""Ids like ``r44_c1``, the ratings and the submissions they stand in, and the real matrix where it is at hand."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrec.datasets.archive import open_archive
from attrec.datasets.cil import parse_ids, read_cil, read_submission, write_submission
from attrec.datasets.registry import REGISTRY, find_archive, load_dataset
from attrec.datasets.tables import Tables
from attrec.errors import ArchiveError, DataError, DatasetUnavailable, ServiceError
from attrec.prepare.cleaning import clean
from attrec.prepare.rating_splits import SplitConfig, make_split

HEADER = "Id,Prediction\n"
SMALL = HEADER + "r44_c1,4\nr61_c1,3\nr44_c20,5\n"


def read(tmp_path: Path, content: str) -> Tables:
    path = tmp_path / "cil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cil/data_train.csv", content)
    with open_archive(path) as archive_:
        return read_cil(archive_, "cil", {})


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ratings_users_and_items(tmp_path: Path, end: str) -> None:
    tables = read(tmp_path, SMALL.replace("\n", end))
    assert tables.ratings.columns.tolist() == ["user_id", "item_id", "rating", "file", "line"]
    assert tables.ratings.iloc[2].tolist() == [44, 20, 5.0, "cil/data_train.csv", 4]
    assert tables.ratings.dtypes[["user_id", "item_id", "rating", "line"]].tolist() == [
        np.int64,
        np.int64,
        np.float32,
        np.int64,
    ]
    assert tables.users[["user_id", "line"]].to_numpy().tolist() == [[44, 2], [61, 3]]
    assert tables.items.drop(columns=["file", "year"]).to_numpy().tolist() == [
        [1, "1", [], 2],
        [20, "20", [], 4],
    ]
    assert tables.items["year"].isna().all()


def test_bad_rows_keep_their_place_and_text(tmp_path: Path) -> None:
    bad = "x1_c2,3\nr1,3\nr0_c1,3\nr99999999999999999999_c1,3\nr2_c3,good\nr2_c4,9\nr2_c5,\n,4\n"
    ratings = read(tmp_path, SMALL + bad).ratings
    assert ratings["line"].tolist() == list(range(2, 13))
    assert ratings["user_id"].isna().tolist() == [False] * 3 + [True] * 4 + [False] * 3 + [True]
    assert ratings["item_id"].isna().equals(ratings["user_id"].isna())
    assert ratings["pair as written"].dropna().to_dict() == {
        3: "x1_c2",
        4: "r1",
        5: "r0_c1",
        6: "r99999999999999999999_c1",
    }
    assert ratings["rating"].isna().to_numpy().nonzero()[0].tolist() == [7, 9]
    assert ratings["rating as written"].dropna().to_dict() == {7: "good"}
    assert ratings["rating"].iloc[8] == 9  # out of range: for validation to say


def test_lines_of_another_shape_are_bad_rows(tmp_path: Path) -> None:
    ratings = read(tmp_path, SMALL + "r1_c1,4,4\nr1_c2,2\n").ratings
    assert ratings["line as written"].dropna().to_dict() == {3: "r1_c1,4,4"}
    assert ratings.loc[4, ["user_id", "item_id", "rating", "line"]].tolist() == [1, 2, 2.0, 6]
    assert "pair as written" not in ratings


def test_of_a_repeated_pair_the_last_row_counts(tmp_path: Path) -> None:
    tables, report = clean(read(tmp_path, SMALL + "r44_c1,2\nx1_c2,3\n"))
    assert tables.ratings[["user_id", "item_id", "rating"]].to_numpy().tolist() == [
        [61, 1, 3],
        [44, 20, 5],
        [44, 1, 2],
    ]
    assert report.rules["duplicate_ratings"] == 1
    assert report.rules["missing_values_ratings"] == 1
    assert tables.ratings.dtypes[["user_id", "item_id"]].tolist() == [np.int64, np.int64]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (HEADER, "has no rows"),
        ("user,item,rating\n1,2,3\n", r"has the columns \['user', 'item', 'rating'\]"),
        (SMALL + "r1_", "is cut off in line 5"),
    ],
)
def test_file_of_another_form(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"cil/data_train\.csv {said}"):
        read(tmp_path, content)


@given(st.lists(st.tuples(*[st.integers(1, 10**18 - 1)] * 2), min_size=1))
def test_ids_survive_writing_and_reading(pairs: list[tuple[int, int]]) -> None:
    parsed = parse_ids(pd.Series([f"r{user}_c{item}" for user, item in pairs]))
    assert list(parsed.itertuples(index=False, name=None)) == pairs
    assert set(parsed.dtypes) == {np.dtype("int64")}


@pytest.mark.parametrize(
    "malformed",
    ["", "x1_c2", "r1", "r0_c1", "r1_c0", "r01_c1", "r-1_c1", "r1_c1 ", " r1_c1", "r1_c1\n", "R1_C1", "r1_c",
     "r1c1", "r1.0_c1", "r1_c1_c1", "r٣_c1", f"r1_c{10**18}", f"r{2**63}_c1"],
)  # fmt: skip
def test_malformed_id_is_null_and_leaves_large_neighbours_exact(malformed: str) -> None:
    large = 2**53 + 1
    parsed = parse_ids(pd.Series([f"r{large}_c7", malformed]))
    assert parsed["user_id"].tolist() == [large, pd.NA]
    assert parsed["item_id"].tolist() == [7, pd.NA]


@pytest.fixture
def submission(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        file = tmp_path / "pairs.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


@pytest.mark.parametrize(
    "text", ["Id,Prediction\nr37_c1,3\nr2_c5,\nr37_c1,x\n", "Id\nr37_c1\nr2_c5\nr37_c1\n"]
)
def test_submission_is_read_in_its_order(submission, text: str) -> None:
    pairs = read_submission(submission(text))
    assert pairs.to_dict("list") == {
        "id": ["r37_c1", "r2_c5", "r37_c1"],
        "user_id": [37, 2, 37],
        "item_id": [1, 5, 1],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "pairs.csv is empty"),
        ("Id\n", "has no rows"),
        ("user_id,item_id\n1,2\n", r"has the columns \['user_id', 'item_id'\], not \['Id', 'Prediction'\]"),
        ("r1_c1\nr1_c2\n", r"has the columns \['r1_c1'\], not \['Id'\]"),
        ("Id,Prediction\nr1_c1,3\nx1_c2,3\n", r"pairs.csv, line 3: 'x1_c2' is not an id like r44_c1"),
        ("Id\nr1_c1\n\nr1\n", r"pairs.csv, line 4: 'r1' is not an id"),
        ("Id,Prediction\nr1_c1,3\nr1_c2,3,3\n", r"pairs.csv, line 3: 'r1_c2,3,3' is not an id"),
        (b"Id\nr1_c1\n\xff\n", "not UTF-8 text"),
    ],
)
def test_faulty_submission_is_refused(submission, text: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_submission(submission(text))


def test_submission_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; give the path"):
        read_submission(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_submission(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="no file, but a pipe"):
        read_submission(tmp_path / "pipe.csv")


def test_what_is_written_is_read_again(tmp_path: Path, submission) -> None:
    file = tmp_path / "mine.csv"
    write_submission(pd.Series(["r37_c1", "r2_c5"]), np.array([3.25, 0.1 + 0.2]), file)
    assert file.read_bytes() == b"Id,Prediction\nr37_c1,3.25\nr2_c5,0.30000000000000004\n"
    assert read_submission(file)["id"].tolist() == ["r37_c1", "r2_c5"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, predictions = pd.Series(["r1_c1"]), np.array([3.0])
    with pytest.raises(DataError, match="cannot be written"):
        write_submission(ids, predictions, tmp_path / "nowhere" / "mine.csv")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(ServiceError, match=r"The disk is full: mine\.csv"):
        write_submission(ids, predictions, tmp_path / "mine.csv")
    assert list(tmp_path.iterdir()) == []


def test_without_a_copy_one_sentence_says_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATTREC_DATA_DIR", raising=False)
    with pytest.raises(DatasetUnavailable, match=r"put cil\.zip into a folder .* ATTREC_DATA_DIR\.$"):
        find_archive("cil", download_dir=tmp_path / "downloads")
    assert not (tmp_path / "downloads").exists()


def test_default_split_is_the_first_of_ten_folds() -> None:
    spec = REGISTRY["cil"]
    assert SplitConfig().resolved_name(spec.official_splits, spec.unofficial_split) == "kfold"
    assert (SplitConfig().fold, SplitConfig().n_folds) == (0, 10)


@pytest.mark.realdata
def test_real_matrix(data_dir: Path) -> None:
    tables = load_dataset("cil", data_dir=data_dir)
    ratings = tables.ratings
    assert (len(ratings), len(tables.users), len(tables.items)) == (1_176_952, 10_000, 1000)
    assert not ratings.isna().any(axis=None)
    assert not ratings.duplicated(["user_id", "item_id"]).any()
    assert tables.users["user_id"].tolist() == list(range(1, 10_001))
    assert tables.items["item_id"].tolist() == list(range(1, 1001))
    assert ratings["rating"].value_counts().sort_index().to_dict() == {
        1.0: 43_508, 2.0: 99_180, 3.0: 274_327, 4.0: 324_700, 5.0: 435_237,
    }  # fmt: skip
    first, last = ratings.iloc[0], ratings.iloc[-1]
    assert first[["user_id", "item_id", "rating", "line"]].tolist() == [44, 1, 4.0, 2]
    assert last[["user_id", "item_id", "rating", "line"]].tolist() == [10_000, 1000, 3.0, 1_176_953]


@pytest.mark.realdata
def test_real_folds_take_a_tenth_of_each_user(data_dir: Path) -> None:
    ratings = load_dataset("cil", data_dir=data_dir).ratings
    split = make_split(ratings, SplitConfig(name="kfold"))
    tested = (split["part"] == "test").groupby(split["user_id"]).agg(["sum", "size"])
    assert ((tested["sum"] - tested["size"] / 10).abs() < 1).all()
    assert tested["sum"].sum() == pytest.approx(len(ratings) / 10, rel=0.01)


@pytest.mark.realdata
def test_real_submission_asks_for_other_pairs(data_dir: Path, tmp_path: Path) -> None:
    with open_archive(data_dir / "cil.zip") as archive:
        name = "sampleSubmission.csv"
        (tmp_path / name).write_bytes(archive.read(f"cil/{name}", (REGISTRY["cil"].sha256 or {})[name]))
    pairs = read_submission(tmp_path / name)
    assert len(pairs) == 1_176_952
    assert (pairs["id"].iloc[0], pairs["id"].iloc[-1]) == ("r37_c1", "r9996_c1000")
    rated = load_dataset("cil", data_dir=data_dir).ratings
    both = pd.concat([pairs[["user_id", "item_id"]], rated[["user_id", "item_id"]]])
    assert not both.duplicated().any()


@pytest.mark.realdata
def test_altered_matrix_is_refused(data_dir: Path, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(data_dir / "cil.zip") as original,
        zipfile.ZipFile(tmp_path / "cil.zip", "w") as altered,
    ):
        content = original.read("cil/data_train.csv").replace(b"r44_c1,4", b"r44_c1,5", 1)
        altered.writestr("cil/data_train.csv", content)
    with pytest.raises(ArchiveError, match=r"data_train\.csv .*sha256 differs"):
        load_dataset("cil", data_dir=tmp_path)
