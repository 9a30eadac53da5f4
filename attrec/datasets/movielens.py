"""The three forms in which GroupLens published MovieLens, and one that others made of it, as canonical tables.

100k:      ``u.data`` (tabs), ``u.user`` and ``u.item`` (bars, Latin-1), nineteen genre flags.
1m/10m:    ``ratings.dat``, ``movies.dat`` and, in 1m alone, ``users.dat``, separated by ``::``.
later:     ``ratings.csv`` and ``movies.csv``; no table of users.
sequences: ``ml-1m.txt``, lines ``user item`` in order of time, as in the data of the SASRec paper (Kang & McAuley
           2018); users and items are numbered anew, ``user_ids.txt`` and ``item_ids.txt`` have their ids in 1m.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from attrec.datasets.archive import Archive
from attrec.datasets.delimited import Kind, Layout, read_delimited, select_columns
from attrec.datasets.tables import Tables, as_written, ids_seen_in, items_seen_in, year_in_title
from attrec.errors import DataError

GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

# 1m publishes age bands by their lower end. A value inside the band keeps it there under other bins.
AGE_OF_BAND_1M = {1: 16, 18: 21, 25: 30, 35: 40, 45: 47, 50: 53, 56: 60}
OCCUPATIONS_1M = (
    "other", "educator", "artist", "clerical", "student", "customer service", "healthcare", "executive",
    "farmer", "homemaker", "k-12 student", "lawyer", "programmer", "retired", "salesman", "scientist",
    "self-employed", "engineer", "tradesman", "none", "writer",
)  # fmt: skip

_RATINGS: dict[str, Kind] = {"user_id": "int", "item_id": "int", "rating": "float", "timestamp": "int"}
_NO_GENRES = "(no genres listed)"

Reader = Callable[[str, Layout], pd.DataFrame]


def read_100k(archive: Archive, folder: str, sha256: Mapping[str, str]) -> Tables:
    """Read ml-100k; the year is that of the release date.

    Raises:
        ArchiveError: a member is missing or altered.
        DataError: a member is empty or of another form.
    """
    read = _reader(archive, folder, sha256)
    ratings = read("u.data", Layout(_RATINGS, separator="\t"))
    users = read(
        "u.user",
        Layout(
            {"user_id": "int", "age": "float", "gender": "text", "occupation": "text", "zip_code": "text"},
            separator="|",
            encoding="latin-1",
        ),
    )
    columns: dict[str, Kind] = {
        "item_id": "int", "title": "text", "release_date": "text", "video_date": "text", "url": "text",
    }  # fmt: skip
    columns |= dict.fromkeys(GENRES_100K, "int")
    films = read("u.item", Layout(columns, separator="|", encoding="latin-1"))
    items = films[["item_id", "title"]].assign(
        year=films["release_date"].str.extract(r"-(\d{4})\s*$", expand=False).astype(float),
        genres=pd.Series(_flags_to_lists(films), dtype=object),
        **films[["file", "line", *as_written(films)]],
    )
    return Tables(_as_ratings(ratings), _blank_to_null(users), _blank_to_null(items))


def read_dat(archive: Archive, folder: str, sha256: Mapping[str, str]) -> Tables:
    """Read ml-1m or ml-10m; raises as :func:`read_100k`.

    ml-1m's age bands become one age inside the band, its occupation codes the published names. ml-10m has no
    table of users: theirs holds the ids that the ratings name.
    """
    read = _reader(archive, folder, sha256)
    has_users = f"{folder}/users.dat" in archive.members
    ratings = _as_ratings(read("ratings.dat", Layout(_RATINGS, separator="::")))
    # 1m is Latin-1, 10m, which has no users, is UTF-8.
    items = _read_movies_dat(read, "latin-1" if has_users else "utf-8")
    if not has_users:
        return Tables(ratings, ids_seen_in(ratings, "user_id"), items)
    return Tables(ratings, _read_users_dat(read), items)


def read_sequences(archive: Archive, folder: str, sha256: Mapping[str, str]) -> Tables:
    """Read ml-1m-sequences: actions without ratings or timestamps; raises as :func:`read_100k`.

    Where the ids of 1m are there, they replace the numbers, so that titles, genres and users join; a table whose
    ids are not there holds the numbers alone.

    Raises:
        DataError: a number has no id, or an id two numbers.
    """
    read = _reader(archive, folder, sha256)
    actions = read("ml-1m.txt", Layout({"user_id": "int", "item_id": "int"}, separator=" "))
    present = {member.removeprefix(f"{folder}/") for member in archive.members}
    for side in ("user", "item"):
        if f"{side}_ids.txt" in present:
            ids = read(f"{side}_ids.txt", Layout({"number": "int", "id": "int"}, separator=" "))
            actions[f"{side}_id"] = _ids_of_numbers(actions, f"{side}_id", ids)
    knows_users = {"user_ids.txt", "users.dat"} <= present
    knows_films = {"item_ids.txt", "movies.dat"} <= present
    users = _read_users_dat(read) if knows_users else ids_seen_in(actions, "user_id")
    items = _read_movies_dat(read, "latin-1") if knows_films else items_seen_in(actions)
    return Tables(actions, users, items)


def _ids_of_numbers(actions: pd.DataFrame, column: str, ids: pd.DataFrame) -> pd.Series:
    file = ids["file"].iloc[0]
    if not (ids["number"].is_unique and ids["id"].is_unique and ids[["number", "id"]].notna().all(axis=None)):
        raise DataError(f"{file} does not give each number one id of its own; get the archive anew.")
    known = actions[column].notna()
    row = pd.Index(ids["number"]).get_indexer(pd.Index(actions.loc[known, column].astype("int64")))
    if (row < 0).any():
        action = actions[known].iloc[int(np.argmax(row < 0))]
        raise DataError(
            f"{action['file']}, line {action['line']:,}: the number {action[column]} is not in {file};"
            " get the archive anew."
        )
    named = actions[column].copy()
    named[known] = ids["id"].to_numpy()[row]
    return named


def _read_movies_dat(read: Reader, encoding: Literal["utf-8", "latin-1"]) -> pd.DataFrame:
    columns: dict[str, Kind] = {"item_id": "int", "title": "text", "genres": "text"}
    return _as_items(read("movies.dat", Layout(columns, separator="::", encoding=encoding)))


def _read_users_dat(read: Reader) -> pd.DataFrame:
    columns: dict[str, Kind] = {
        "user_id": "int", "gender": "text", "age": "int", "occupation": "int", "zip_code": "text",
    }  # fmt: skip
    users = read("users.dat", Layout(columns, separator="::", encoding="latin-1"))
    users["age"] = users["age"].map(AGE_OF_BAND_1M).astype(float)
    users["occupation"] = users["occupation"].map(dict(enumerate(OCCUPATIONS_1M))).astype(str)
    return _blank_to_null(users)


def read_csv(archive: Archive, folder: str, sha256: Mapping[str, str]) -> Tables:
    """Read ml-latest-small, ml-20m, ml-25m or ml-32m; raises as :func:`read_100k`."""
    read = _reader(archive, folder, sha256)
    published: dict[str, Kind] = {"userId": "int", "movieId": "int", "rating": "float", "timestamp": "int"}
    table = read("ratings.csv", Layout(published, header=True, quoted=True))
    ratings = _as_ratings(select_columns(table, dict(zip(published, _RATINGS, strict=True))))
    films = read(
        "movies.csv",
        Layout({"movieId": "int", "title": "text", "genres": "text"}, header=True, quoted=True),
    )
    items = _as_items(select_columns(films, {"movieId": "item_id", "title": "title", "genres": "genres"}))
    return Tables(ratings, ids_seen_in(ratings, "user_id"), items)


def read_official_test_pairs(
    archive: Archive, folder: str, split: str, sha256: Mapping[str, str]
) -> pd.DataFrame:
    """The (user_id, item_id) pairs that ml-100k's ``split`` (u1 … u5, ua, ub) tests on."""
    read = _reader(archive, folder, sha256)
    return read(f"{split}.test", Layout(_RATINGS, separator="\t"))[["user_id", "item_id"]]


def _reader(archive: Archive, folder: str, sha256: Mapping[str, str]) -> Reader:
    def read(name: str, layout: Layout) -> pd.DataFrame:
        member = f"{folder}/{name}"
        return read_delimited(archive.read(member, sha256.get(name)), layout, member)

    return read


def _as_ratings(ratings: pd.DataFrame) -> pd.DataFrame:
    ratings["rating"] = ratings["rating"].astype(np.float32)
    return ratings


def _as_items(films: pd.DataFrame) -> pd.DataFrame:
    items = films[["item_id", "title"]].assign(
        year=year_in_title(films["title"]),
        genres=pd.Series(
            [[] if text in ("", _NO_GENRES) else text.split("|") for text in films["genres"]], dtype=object
        ),
        **films[["file", "line", *as_written(films)]],
    )
    return _blank_to_null(items)


def _flags_to_lists(films: pd.DataFrame) -> list[list[str]]:
    flags = films[list(GENRES_100K)].eq(1).fillna(False).to_numpy(dtype=bool)
    names = np.array(GENRES_100K, dtype=object)
    return [names[row].tolist() for row in flags]


def _blank_to_null(frame: pd.DataFrame) -> pd.DataFrame:
    for name in frame.columns.intersection(["title", "gender", "occupation", "zip_code"]):
        text = frame[name].str.strip()
        frame[name] = text.mask(text == "")
    return frame
