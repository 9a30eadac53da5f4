"""Liked films as playlists, and films as points."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from attrec.datasets.registry import load_dataset
from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.datasets.tables import Tables
from attrec.errors import DataError
from attrec.playlists.baselines import ItemKNN
from attrec.prepare.likes import film_cleaning, liked_playlists
from attrec.prepare.playlist_splits import split_playlists
from attrec.prepare.songs import TableCleaner

FILMS = pd.DataFrame(
    {
        "item_id": [1, 2, 3, 4],
        "title": list("abcd"),
        "year": [1990.0, 2000.0, None, 1980.0],
        "genres": [["Comedy", "War"], ["War"], [], ["Drama"]],
    }
)


def ratings(values: list[tuple[int, int, float]]) -> Tables:
    table = pd.DataFrame(values, columns=["user_id", "item_id", "rating"])
    return Tables(table, pd.DataFrame({"user_id": [1, 2]}), FILMS)


def test_liked_is_four_or_better() -> None:
    tables = ratings([(1, 3, 4.0), (1, 1, 3.5), (2, 1, 5.0), (1, 2, 4.5), (2, 1, 5.0), (2, 4, float("nan"))])
    assert liked_playlists(tables).to_numpy().tolist() == [[1, 3], [2, 1], [1, 2]]
    assert liked_playlists(tables, 5).to_numpy().tolist() == [[2, 1]]
    with pytest.raises(DataError, match="No rating is 6 or more, the highest is 5"):
        liked_playlists(tables, 6)
    with pytest.raises(DataError, match="Nobody rates"):
        liked_playlists(Tables(tables.ratings.drop(columns="rating"), tables.users, tables.items))


def test_a_film_has_several_genres() -> None:
    cleaner = TableCleaner(film_cleaning(FILMS, min_indicated=1)).fit(FILMS.iloc[:2])
    assert cleaner.columns == ("year", "genres=Comedy", "genres=War")
    values = cleaner.transform(FILMS)
    assert values[["genres=Comedy", "genres=War"]].to_numpy().tolist() == [[1, 1], [0, 1], [0, 0], [0, 0]]
    again = TableCleaner.from_dict(cleaner.to_dict()).transform(FILMS)
    pd.testing.assert_frame_equal(again, values)


def test_columns_that_films_may_have() -> None:
    assert film_cleaning(FILMS.drop(columns="year")).numbers == ()
    bare = FILMS.assign(genres=pd.Series([[]] * 4), year=float("nan"))
    with pytest.raises(DataError, match="neither different years nor genres"):
        film_cleaning(bare)


def test_numbers_that_describe_films() -> None:
    described = FILMS.assign(minutes=[90.0, 120.0, 100.0, 95.0], popularity=1.0, line=[2, 3, 4, 5])
    assert film_cleaning(described).numbers == ("year", "minutes")
    bare = described.assign(genres=pd.Series([[]] * 4), year=float("nan"))
    assert film_cleaning(bare).numbers == ("minutes",)


def test_playlist_models_take_films() -> None:
    tables = simulate(SimulatorConfig(n_users=60, n_items=80, n_ratings=2000))
    split = split_playlists(liked_playlists(tables))
    films = tables.items[tables.items["item_id"].isin(split.train["item_id"])]
    vectors = TableCleaner(film_cleaning(films)).fit(films).vectors(tables.items)
    liked = split.test.given["item_id"].head(3).tolist()
    assert len(ItemKNN().fit(split.train, vectors).recommend(liked)) == 10


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["ml-100k", "ml-latest-small"])
def test_real_films(name: str, data_dir: Path) -> None:
    tables = load_dataset(name, data_dir=data_dir)
    playlists = liked_playlists(tables)
    assert len(playlists) == (tables.ratings["rating"] >= 4).sum()
    vectors = TableCleaner(film_cleaning(tables.items)).fit(tables.items).vectors(tables.items)
    assert len(vectors) == len(tables.items)
    assert "genres=Comedy" in vectors.columns
