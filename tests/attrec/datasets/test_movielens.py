"""Each published form on small files of the same form, and on the real ones where they are at hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrec.datasets import movielens
from attrec.datasets.archive import open_archive
from attrec.datasets.registry import REGISTRY, load_dataset, official_test_pairs
from attrec.datasets.tables import Tables
from attrec.errors import ArchiveError, DataError

FLAGS = "|".join("1" if genre in ("Comedy", "War") else "0" for genre in movielens.GENRES_100K)
NO_FLAGS = "|".join("0" for _ in movielens.GENRES_100K)


def read(tmp_path: Path, reader: str, folder: str, files: dict[str, bytes]) -> Tables:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
    with open_archive(path) as archive_:
        return getattr(movielens, reader)(archive_, folder, {})


def files_100k() -> dict[str, bytes]:
    items = (
        f"1|Misérables, Les (1995)|01-Jan-1996||http://x|{FLAGS}\n"
        f"2|unknown||||{NO_FLAGS}\n"
    )  # fmt: skip
    return {
        "u.data": b"1\t1\t5\t881250949\n2\t1\t3\t881250950\n",
        "u.user": b"1|24|M|technician|85711\n2|53|F|other|T8H1N\n",
        "u.item": items.encode("latin-1"),
        "u1.test": b"2\t1\t3\t881250950\n",
    }


def test_100k(tmp_path: Path) -> None:
    tables = read(tmp_path, "read_100k", "ml-100k", files_100k())
    assert tables.ratings["rating"].dtype == np.float32
    assert tables.ratings.iloc[1].tolist() == [2, 1, 3.0, 881250950, "ml-100k/u.data", 2]
    assert tables.users.loc[1, ["age", "gender", "occupation", "zip_code"]].tolist() == [
        53.0,
        "F",
        "other",
        "T8H1N",
    ]
    assert tables.items["title"].tolist() == ["Misérables, Les (1995)", "unknown"]
    assert tables.items["year"][0] == 1996  # of the release date, not of the title
    assert np.isnan(tables.items["year"][1])
    assert tables.items["genres"].tolist() == [["Comedy", "War"], []]
    assert tables.truth is None


def test_100k_keeps_bad_values_as_nulls_with_their_place(tmp_path: Path) -> None:
    files = files_100k() | {
        "u.data": b"1\t1\t5\t881250949\n2\tx\t3\t1\n2\t1\tgood\t\n",
        "u.user": b"1|old|M||85711\n2|53|F|other|\n",
    }
    tables = read(tmp_path, "read_100k", "ml-100k", files)
    assert tables.ratings["item_id"].tolist() == [1, pd.NA, 1]
    assert tables.ratings["rating"].isna().tolist() == [False, False, True]
    assert tables.ratings["timestamp"].isna().tolist() == [False, False, True]
    assert tables.ratings["line"].tolist() == [1, 2, 3]
    assert tables.ratings["item_id as written"].fillna("-").tolist() == ["-", "x", "-"]
    assert tables.ratings["rating as written"].fillna("-").tolist() == ["-", "-", "good"]
    assert tables.users["age as written"].fillna("-").tolist() == ["old", "-"]
    assert tables.users["age"].isna().tolist() == [True, False]
    assert tables.users["occupation"].isna().tolist() == [True, False]


def test_official_test_pairs(tmp_path: Path) -> None:
    read(tmp_path, "read_100k", "ml-100k", files_100k())
    with open_archive(tmp_path / "data.zip") as archive:
        pairs = movielens.read_official_test_pairs(archive, "ml-100k", "u1", {})
    assert pairs.to_dict("list") == {"user_id": [2], "item_id": [1]}


def test_1m_with_users(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        "read_dat",
        "ml-1m",
        {
            "ratings.dat": b"1::1193::5::978300760\n2::661::3::978302109\n",
            "movies.dat": "661::Misérables, Les (1995)::Drama|Musical\n1193::X::Drama\n".encode("latin-1"),
            "users.dat": b"1::F::1::10::48067\n2::M::56::16::70072\n",
        },
    )
    assert tables.ratings["item_id"].tolist() == [1193, 661]
    assert tables.users["age"].tolist() == [16.0, 60.0]
    assert tables.users["occupation"].tolist() == ["k-12 student", "self-employed"]
    assert tables.items["title"][0] == "Misérables, Les (1995)"
    assert tables.items["year"][0] == 1995
    assert np.isnan(tables.items["year"][1])
    assert tables.items["genres"].tolist() == [["Drama", "Musical"], ["Drama"]]


def test_10m_has_no_users_but_those_of_the_ratings(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        "read_dat",
        "ml-10M100K",
        {
            "ratings.dat": b"7::122::3.5::838985046\n2::122::0.5::838983525\n7::1::5::838983525\n",
            "movies.dat": "1::Amélie (2001)::(no genres listed)\n122::Boomerang (1992)::Comedy\n".encode(),
        },
    )
    assert tables.users["user_id"].tolist() == [2, 7]
    assert tables.users["line"].tolist() == [2, 1]
    assert tables.ratings["rating"].tolist() == [3.5, 0.5, 5.0]
    assert tables.items["title"][0] == "Amélie (2001)"
    assert tables.items["genres"].tolist() == [[], ["Comedy"]]


SEQUENCES = {
    "ml-1m.txt": b"1 2\n1 1\n2 2\n",
    "user_ids.txt": b"1 72\n2 5\n",
    "item_ids.txt": b"1 661\n2 1193\n",
    "movies.dat": "661::Misérables, Les (1995)::Drama\n1193::X::Drama\n7::Y::Drama\n".encode("latin-1"),
    "users.dat": b"5::F::1::10::48067\n72::M::56::16::70072\n",
}


def test_sequences_have_the_ids_of_1m(tmp_path: Path) -> None:
    tables = read(tmp_path, "read_sequences", "s", SEQUENCES)
    assert tables.feedback == "actions"
    assert tables.ratings[["user_id", "item_id"]].values.tolist() == [[72, 1193], [72, 661], [5, 1193]]
    assert tables.ratings["line"].tolist() == [1, 2, 3]
    assert tables.items.set_index("item_id")["title"][661] == "Misérables, Les (1995)"
    assert tables.users.set_index("user_id")["age"].to_dict() == {5: 16.0, 72: 60.0}


def test_sequences_alone_keep_their_numbers(tmp_path: Path) -> None:
    bare = {name: content for name, content in SEQUENCES.items() if not name.endswith("_ids.txt")}
    tables = read(tmp_path, "read_sequences", "s", bare)
    assert tables.ratings[["user_id", "item_id"]].values.tolist() == [[1, 2], [1, 1], [2, 2]]
    # These are not the numbers of users.dat and movies.dat: nothing may be joined.
    assert tables.users.columns.tolist() == ["user_id", "file", "line"]
    assert tables.items["title"].tolist() == ["1", "2"]
    half = {name: SEQUENCES[name] for name in ("ml-1m.txt", "item_ids.txt", "users.dat")}
    tables = read(tmp_path, "read_sequences", "s", half)
    assert tables.users["user_id"].tolist() == [1, 2]
    assert tables.items["title"].tolist() == ["661", "1193"]


def test_bad_lines_of_sequences_are_nulls(tmp_path: Path) -> None:
    tables = read(tmp_path, "read_sequences", "s", SEQUENCES | {"ml-1m.txt": b"1 2\nx 1\n2\n2 2\n"})
    assert tables.ratings["user_id"].tolist() == [72, pd.NA, pd.NA, 5]
    assert tables.ratings["item_id"].tolist() == [1193, 661, pd.NA, 1193]
    assert tables.ratings["user_id as written"].fillna("-").tolist() == ["-", "x", "-", "-"]
    assert tables.ratings["line as written"].fillna("-").tolist() == ["-", "-", "2", "-"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ml-1m.txt": b"1 2\n1 3\n"}, r"s/ml-1m\.txt, line 2: the number 3 is not in s/item_ids\.txt"),
        ({"user_ids.txt": b"1 5\n2 5\n"}, r"user_ids\.txt does not give each number one id"),
        ({"item_ids.txt": b"1 5\n1 6\n"}, r"item_ids\.txt does not give each number one id"),
    ],
)
def test_numbers_without_an_id(tmp_path: Path, change: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "read_sequences", "s", SEQUENCES | change)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_later_form(tmp_path: Path, end: bytes) -> None:
    tables = read(
        tmp_path,
        "read_csv",
        "ml-20m",
        {
            "ratings.csv": b"userId,movieId,rating,timestamp\n1,11,3.5,1112486027\n".replace(b"\n", end),
            "movies.csv": b'movieId,title,genres\n11,"American President, The (1995)",Comedy|Drama\n'.replace(
                b"\n", end
            ),
        },
    )
    assert tables.ratings.iloc[0].tolist() == [1, 11, 3.5, 1112486027, "ml-20m/ratings.csv", 2]
    assert tables.items.iloc[0].tolist() == [
        11,
        "American President, The (1995)",
        1995.0,
        ["Comedy", "Drama"],
        "ml-20m/movies.csv",
        2,
    ]
    assert tables.users["user_id"].tolist() == [1]


def test_missing_member(tmp_path: Path) -> None:
    files = files_100k()
    del files["u.user"]
    with pytest.raises(ArchiveError, match=r"no member ml-100k/u\.user"):
        read(tmp_path, "read_100k", "ml-100k", files)


def test_wrong_form(tmp_path: Path) -> None:
    files = files_100k() | {"u.data": b"1,1,5,881250949\n"}
    with pytest.raises(DataError, match=r"ml-100k/u\.data has 1 of 1 lines that are not 4 fields"):
        read(tmp_path, "read_100k", "ml-100k", files)


@pytest.mark.realdata
def test_real_100k(data_dir: Path) -> None:
    tables = load_dataset("ml-100k", data_dir=data_dir)
    ratings = tables.ratings
    assert (len(ratings), len(tables.users), len(tables.items)) == (100_000, 943, 1682)
    assert ratings["rating"].mean() == pytest.approx(3.52986)
    assert ratings["rating"].value_counts().sort_index().tolist() == [6110, 11370, 27145, 34174, 21201]
    assert tables.items["year"].isna().sum() == 1
    assert tables.items.loc[tables.items["year"].isna(), "item_id"].tolist() == [267]
    assert sum(map(len, tables.items["genres"])) == 2893
    # Digests, counts and form are those of the publisher; nothing is null.
    assert not ratings.isna().any(axis=None)
    assert not tables.users.isna().any(axis=None)


@pytest.mark.realdata
def test_real_100k_splits_partition_the_ratings(data_dir: Path) -> None:
    ratings = load_dataset("ml-100k", data_dir=data_dir).ratings
    everything = set(ratings[["user_id", "item_id"]].itertuples(index=False, name=None))
    seen: set[tuple[int, int]] = set()
    for split in ("u1", "u2", "u3", "u4", "u5"):
        pairs = set(official_test_pairs("ml-100k", split, data_dir).itertuples(index=False, name=None))
        assert len(pairs) == 20_000
        assert pairs <= everything
        assert not pairs & seen
        seen |= pairs
    assert seen == everything
    for split in ("ua", "ub"):
        assert official_test_pairs("ml-100k", split, data_dir).groupby("user_id").size().eq(10).all()


@pytest.mark.realdata
def test_real_latest_small(data_dir: Path) -> None:
    tables = load_dataset("ml-latest-small", data_dir=data_dir)
    assert (len(tables.ratings), len(tables.users), len(tables.items)) == (100_836, 610, 9742)
    assert tables.items.set_index("item_id").loc[73, "title"] == "Misérables, Les (1995)"
    assert tables.items["year"].notna().mean() > 0.998
    scale = REGISTRY["ml-latest-small"].scale
    assert tables.ratings["rating"].between(scale.minimum, scale.maximum).all()


@pytest.mark.realdata
def test_real_sequences(data_dir: Path) -> None:
    tables = load_dataset("ml-1m-sequences", data_dir=data_dir)
    actions = tables.ratings
    assert (len(actions), actions["user_id"].nunique(), actions["item_id"].nunique()) == (999_611, 6040, 3416)
    assert not actions.isna().any(axis=None)
    assert not actions.duplicated(["user_id", "item_id"]).any()
    titles = tables.items.set_index("item_id")["title"]
    first = titles[actions["item_id"].iloc[:2]].tolist()
    assert first == ["Raiders of the Lost Ark (1981)", "Caddyshack (1980)"]
    assert actions["item_id"].isin(tables.items["item_id"]).all()
    assert actions["user_id"].isin(tables.users["user_id"]).all()
