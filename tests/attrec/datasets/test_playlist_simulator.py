"""Simulated songs and playlists are what the stated model says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from attrec.datasets.registry import load_dataset
from attrec.datasets.spotify import AUDIO_FEATURES
from attrec.datasets.tables import Tables
from attrec.errors import DataError
from attrec.metrics.playlist import playlist_metrics
from attrec.playlists.baselines import ItemKNN
from attrec.playlists.ceiling import playlist_ceiling
from attrec.playlists.ranking import encode, rank_playlists
from attrec.prepare.playlist_splits import EvaluatedPlaylists, split_playlists
from attrec.prepare.songs import TableCleaner

CONFIG = PlaylistSimulatorConfig(n_songs=400, n_playlists=300, n_artists=40, truth_songs=400)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return simulate_playlists(CONFIG)


@pytest.mark.parametrize("changes", [{"dimensions": 64}, {"width": 0.05}, {"width": 0.02}])
def test_moods_so_narrow_that_no_playlist_fills_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(DataError, match="raise width, or lower dimensions"):
        simulate_playlists(PlaylistSimulatorConfig.model_validate({"n_songs": 300, **changes}))


def test_equal_configurations_give_equal_tables(tables: Tables) -> None:
    again = simulate_playlists(CONFIG)
    other = simulate_playlists(CONFIG.model_copy(update={"seed": 1}))
    pd.testing.assert_frame_equal(again.ratings, tables.ratings)
    pd.testing.assert_frame_equal(again.items, tables.items)
    assert not other.ratings.equals(tables.ratings)


def test_tables_have_the_columns_of_songs(tables: Tables) -> None:
    assert {"title", "artist", "year", "genres", "popularity", *AUDIO_FEATURES} <= set(tables.items)
    assert tables.items["title"].is_unique
    assert tables.items["item_id"].tolist() == list(range(1, 401))
    assert set(tables.ratings["user_id"]) <= set(tables.users["user_id"])
    assert not tables.ratings.duplicated(["user_id", "item_id"]).any()
    assert tables.feedback == "actions"
    features = tables.items[list(AUDIO_FEATURES)]
    assert features.notna().all().all()
    within = ["danceability", "energy", "speechiness", "acousticness", "liveness", "valence"]
    assert features[within].gt(0).all().all()
    assert features[within].lt(1).all().all()
    assert all("simulated" in str(table["file"].iloc[0]) for table in (tables.ratings, tables.items))


def test_truth_is_the_chance_of_being_chosen(tables: Tables) -> None:
    """Every pair is in this truth table, so chances and choices can be compared over all of them."""
    assert tables.truth is not None
    assert len(tables.truth) == 400 * 300
    chosen = tables.ratings[["user_id", "item_id"]].assign(chosen=1.0)
    pairs = tables.truth.merge(chosen, how="left").fillna({"chosen": 0.0})
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1)):
        some = pairs[(pairs["expected"] > low) & (pairs["expected"] <= high)]
        error = float(np.sqrt((some["expected"] * (1 - some["expected"])).sum()) / len(some))
        assert some["chosen"].mean() == pytest.approx(some["expected"].mean(), abs=4 * error)
    lengths = pairs.groupby("user_id")["expected"].sum()
    assert lengths.min() > CONFIG.min_length * 0.99
    assert lengths.mean() == pytest.approx(CONFIG.mean_length, rel=0.2)


def test_the_truth_table_may_be_cut_to_the_likeliest() -> None:
    cut = simulate_playlists(CONFIG.model_copy(update={"truth_songs": 10}))
    whole = simulate_playlists(CONFIG)
    assert cut.truth is not None
    assert whole.truth is not None
    pd.testing.assert_frame_equal(cut.ratings, whole.ratings)
    assert len(cut.truth.merge(cut.ratings)) == len(cut.ratings)
    top = whole.truth.sort_values("expected").groupby("user_id").tail(10)
    assert len(top.merge(cut.truth)) == len(top)


def test_content_shows_as_much_as_is_asked() -> None:
    """Where all of the character is visible, songs of a playlist are nearer to each other than where none is."""
    spread = {}
    for visible in (0.0, 1.0):
        world = simulate_playlists(CONFIG.model_copy(update={"visible": visible}))
        songs = world.items.set_index("item_id")[["valence", "danceability", "energy", "tempo"]]
        songs = (songs - songs.mean()) / songs.std()
        of_rows = songs.loc[world.ratings["item_id"]].set_axis(world.ratings["user_id"])
        spread[visible] = of_rows.groupby(level=0).std().mean().mean()
    assert spread[1.0] < 0.9 * spread[0.0]


def test_nobody_beats_the_ceiling(tables: Tables) -> None:

    split = split_playlists(tables.ratings)
    songs = TableCleaner().fit(tables.items).vectors(tables.items)
    model = ItemKNN().fit(split.train, songs)
    given, held_out = encode(split.test, songs.ids)
    reached = playlist_metrics(rank_playlists(model, given, held_out).ranks, held_out)
    assert tables.truth is not None
    best = playlist_ceiling(tables.truth, split.test, songs.ids)
    assert {name: len(values) for name, values in best.items()} == {
        name: len(values) for name, values in reached.items()
    }
    for name, values in best.items():
        assert values.mean() > reached[name].mean() + 0.05


def test_ceiling_by_hand() -> None:
    truth = pd.DataFrame(
        [(1, "a", 0.9), (1, "b", 0.5), (1, "c", 0.7), (2, "d", 0.6)],
        columns=["user_id", "item_id", "expected"],
    )
    given = pd.DataFrame([(1, "a"), (2, "d")], columns=["user_id", "item_id"])
    held_out = pd.DataFrame([(1, "b"), (2, "a")], columns=["user_id", "item_id"])
    values = playlist_ceiling(truth, EvaluatedPlaylists(given, held_out), pd.Index(list("abcd")))
    # Playlist 1: c comes before b. Playlist 2: what the truth does not name has no chance, a is last of three.
    assert values["ndcg@10"].tolist() == pytest.approx([1 / np.log2(3), 1 / np.log2(4)])
    assert values["r-precision"].tolist() == [0, 0]


def test_registry_and_sizes() -> None:
    assert len(load_dataset("simulated-playlists", CONFIG).items) == 400
    with pytest.raises(ValidationError, match="tenth of n_songs"):
        PlaylistSimulatorConfig(n_songs=100)
    with pytest.raises(ValidationError, match="at least min_length"):
        PlaylistSimulatorConfig(min_length=20)
