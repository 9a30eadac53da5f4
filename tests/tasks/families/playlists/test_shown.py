"""What the report shows of one playlist: which one, by which model, where its centroid is and what attention weighs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.playlists.ars import ARS, ARSConfig
from attrec.playlists.baselines import MeanVector, Popularity
from attrec.playlists.clusters import KMeans, KMeansConfig
from attrec.playlists.model import PlaylistModel
from attrec.prepare.playlist_splits import EvaluatedPlaylists
from attrec.prepare.songs import TableCleaner, TableCleaningConfig, Vectors
from tasks.comparison.family import Fitted
from tasks.engine.artifacts import writing
from tasks.families.playlists.data import PlaylistTraining
from tasks.families.playlists.shown import cleaned_numbers, clusterings, example_playlist, examples

N = 30
TINY = {"dimension": 4, "pairs": 1, "hidden": 4, "cooccurrence": 2, "training": {"epochs": 1}}
SONGS = pd.DataFrame(
    {
        "item_id": range(N),
        "title": [None, *(f"Song {n}" for n in range(1, N))],
        "artist": [None, *(f"Artist {n % 3}" for n in range(1, N))],
    }
)
COLUMNS = ("tempo", "energy", "artist=Artist 0")


def pairs(songs_of: dict[int, list[int]]) -> pd.DataFrame:
    rows = [(name, song) for name, songs in songs_of.items() for song in songs]
    return pd.DataFrame(rows, columns=["user_id", "item_id"])


TRAIN = pairs({1: list(range(0, 10)), 2: list(range(5, 15)), 3: list(range(15, 30))})


VECTORS = Vectors(
    pd.Index(SONGS["item_id"]),
    COLUMNS,
    np.random.default_rng(0).standard_normal((N, 3)).astype("float32"),
)


def asked(given: dict[int, list[int]], held_out: dict[int, list[int]] | None = None) -> EvaluatedPlaylists:
    hidden = held_out or {name: [29] for name in given}
    return EvaluatedPlaylists(pairs(given), pairs(hidden))


GIVEN = {7: [1, 2], 8: [0, 3, 4, 5, 6], 9: [1, 2, 3, 4, 5, 6]}


@pytest.fixture(scope="module")
def models() -> dict[str, PlaylistModel]:
    validation = asked(GIVEN)
    made = {
        "popularity": Popularity(),
        "mean-vector": MeanVector(),
        "kmeans": KMeans(KMeansConfig(n_clusters=(2, 3))),
        "ars-tiny": ARS(ARSConfig.model_validate(TINY)),
    }
    return {name: model.fit(TRAIN, VECTORS, validation) for name, model in made.items()}


def test_the_first_playlist_that_is_neither_short_nor_long_by_the_first_ars(models):
    shown = example_playlist(models, asked(GIVEN), SONGS, "popularity")
    assert set(shown.playlist["model"]) == {"ars-tiny"}
    assert set(shown.playlist["title"]) == {"0", "Song 3", "Song 4", "Song 5", "Song 6"}
    assert shown.playlist["weight"].sum() == pytest.approx(1)
    assert shown.playlist["weight"].is_monotonic_decreasing
    assert shown.playlist["attention"].sum() == pytest.approx(1)
    assert len(shown.recommended) == 10
    assert not set(shown.recommended["title"]) & set(shown.playlist["title"])


def test_the_map_has_every_song_and_last_the_centroid(models):
    shown = example_playlist(models, asked(GIVEN), SONGS, "ars-tiny").map
    assert len(shown) == N + 1
    assert shown["role"].value_counts().to_dict() == {
        "": N - 15,
        "recommended": 10,
        "playlist": 5,
        "centroid": 1,
    }
    assert shown["cluster"].tolist() == [*models["kmeans"].labels, -1]
    points = shown.filter(regex="^x").to_numpy()
    assert points.shape[1] == 4
    np.testing.assert_allclose(points[-1], models["ars-tiny"].centroid(GIVEN[8]), rtol=1e-6)


def test_without_ars_the_centroid_is_the_mean_and_the_map_has_the_numbers(models):
    rivals = {name: model for name, model in models.items() if name != "ars-tiny"}
    shown = example_playlist(rivals, asked(GIVEN), SONGS, "mean-vector")
    assert shown.playlist[["weight", "attention"]].isna().all(axis=None)
    vectors = VECTORS.values
    np.testing.assert_allclose(
        shown.map.filter(regex="^x").to_numpy()[-1], vectors[GIVEN[8], :2].mean(axis=0), rtol=1e-5
    )
    first = SONGS.index[SONGS["title"] == shown.recommended["title"].iloc[0]][0]
    distance = np.sqrt(((vectors[first] - vectors[GIVEN[8]].mean(axis=0)) ** 2).sum())
    assert shown.recommended["distance"].iloc[0] == pytest.approx(distance, rel=1e-5)
    assert shown.recommended["distance"].is_monotonic_increasing


def test_what_was_hidden_is_marked(models):
    everything = {8: [song for song in range(N) if song not in GIVEN[8]]}
    shown = example_playlist(models, asked({8: GIVEN[8]}, everything), SONGS, "ars-tiny")
    assert shown.recommended["held_out"].all()


def test_where_none_is_of_that_length_the_shortest_is_shown(models):
    shown = example_playlist(models, asked({7: list(range(1, 20)), 8: [3, 4], 9: [5, 6]}), SONGS, "ars-tiny")
    assert set(shown.playlist["title"]) == {"Song 3", "Song 4"}


def test_every_clustering_that_was_tried_is_told(models):
    table = clusterings(models)
    assert table["model"].tolist() == ["kmeans", "kmeans"]
    assert table["candidate"].tolist() == [2, 3]
    assert table["chosen"].sum() == 1
    assert table.loc[table["chosen"], "ndcg"].iloc[0] == table["ndcg"].max()
    assert clusterings({"popularity": models["popularity"]}).empty


def test_numbers_before_and_after_cleaning_are_those_of_training_songs():
    songs = SONGS.assign(tempo=np.linspace(60, 200, N), flat=1.0)
    cleaner = TableCleaner(TableCleaningConfig(numbers=("tempo", "flat"))).fit(songs.head(15))
    before, after = cleaned_numbers(cleaner, songs, TRAIN[TRAIN["item_id"] < 15])
    assert before.columns.tolist() == after.columns.tolist() == ["tempo"]
    assert before["tempo"].tolist() == songs["tempo"].head(15).tolist()
    assert after["tempo"].mean() == pytest.approx(0, abs=1e-9)


def test_recommendations_beside_what_is_given_and_left_out(models):
    """Of songs that the catalogue has not, and of playlists of nothing else, nobody is asked."""
    given = asked(
        {6: [99], 7: [1, 2], 8: [0, 3, 4, 5, 99], 9: [1, 2, 3, 4, 5, 6]}, {n: [29, 5] for n in (6, 7, 8, 9)}
    )
    with writing("playlist-training") as draft:
        given.given.to_parquet(draft.folder / "validation_given.parquet")
        given.held_out.to_parquet(draft.folder / "validation_held_out.parquet")
    with writing("playlist-model") as saved:
        models["popularity"].save(saved.folder)
    best = Fitted(name="popularity", config={}, seeds=[0], models=[saved.artifact])
    shown = examples(PlaylistTraining(folder=draft.artifact), best)
    assert [(one.whose, one.had) for one in shown] == [
        (7, [1, 2]),
        (8, [0, 3, 4, 5]),
        (9, [1, 2, 3, 4, 5, 6]),
    ]
    assert all(one.next == [29, 5] for one in shown)
    assert all(len(one.recommended) == 5 and not set(one.had) & set(one.recommended) for one in shown)
