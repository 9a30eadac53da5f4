"""What a playlist is in which data, what describes its songs, and what a fit may learn that from."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.archive import open_archive
from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from attrec.datasets.spotify import AUDIO_FEATURES, MEMBER, read_spotify
from attrec.datasets.tables import Tables
from attrec.errors import DataError, NoPlaylists
from attrec.prepare.playlist_splits import PlaylistSplitConfig
from attrec.prepare.songs import TableCleaningConfig
from tasks.engine.artifacts import Artifact, writing
from tasks.families.playlists.data import (
    LikesConfig,
    load_ceiling,
    load_playlist_facts,
    load_test_playlists,
    make_playlists,
    split_name,
    suited_cleaning,
)

SPLIT = PlaylistSplitConfig(min_length=2)


def saved(tables: Tables) -> Artifact:
    with writing("clean") as draft:
        tables.save(draft.folder)
    return draft.artifact


def films(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"item_id": range(20), "title": "a film", **columns})


def rated(items: pd.DataFrame, stars: float = 5.0) -> Tables:
    """Twenty users; each likes five films in a row and gives the next one a star."""
    rows = [(user, (user + step) % 20, stars if step < 5 else 1.0) for user in range(20) for step in range(6)]
    ratings = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"]).astype({"rating": "float32"})
    return Tables(ratings, pd.DataFrame({"user_id": range(20)}), items)


GENRES = [["War"] if film % 2 else ["Drama", "Comedy"] for film in range(20)]
DESCRIBED = films(year=np.arange(1980.0, 2000.0), genres=GENRES)


def test_what_a_user_likes_is_his_playlist():
    made = make_playlists.fn("made", saved(rated(DESCRIBED)), LikesConfig(), SPLIT, None)
    facts = load_playlist_facts(made)
    assert facts["playlists"] == {"kind": "likes", "min_rating": 4.0}
    assert facts["split"]["rows"] == 100
    songs = made.training.vectors()
    assert songs.columns == ("year", "genres=Comedy", "genres=Drama", "genres=War")
    assert songs.ids.tolist() == list(range(20))
    assert load_ceiling(made) is None


def test_cleaning_is_learned_from_songs_of_training_playlists():
    made = make_playlists.fn("made", saved(rated(DESCRIBED)), LikesConfig(), SPLIT, None)
    trained_on = set(made.training.playlists()["item_id"])
    assert made.training.cleaner().report["rows"] == len(trained_on)


def spotify(folder: Path, genres: dict[int, str]) -> Tables:
    """Forty playlists of six of sixty songs; a playlist is `pop`, or what `genres` says by its number from 1."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "track_name": f"Song {song}",
            "track_artist": f"Artist {song % 7}",
            "track_popularity": 1,
            "track_album_name": "Album",
            "track_album_release_date": f"{1980 + song % 30}-01-01",
            "playlist_name": f"List {playlist}",
            "playlist_genre": genres.get(playlist + 1, "pop"),
            "playlist_subgenre": f"{genres.get(playlist + 1, 'pop')} of a kind",
            **{name: song * (1 + place) % 11 for place, name in enumerate(AUDIO_FEATURES)},
        }
        for playlist in range(40)
        for song in rng.choice(60, 6, replace=False)
    ]
    with zipfile.ZipFile(folder / "songs.zip", "w") as file:
        file.writestr(f"spotify/{MEMBER}", pd.DataFrame(rows).to_csv(index=False))
    with open_archive(folder / "songs.zip") as archive:
        return read_spotify(archive, "spotify", {})


def test_genres_come_from_training_playlists_alone(tmp_path: Path):
    cleaning = TableCleaningConfig(indicators=("artist", "genres"))
    tables = spotify(tmp_path, {})
    before = make_playlists.fn("made", saved(tables), LikesConfig(), SPLIT, cleaning)
    tested = set(load_test_playlists(before).held_out["user_id"])
    changed = spotify(tmp_path, dict.fromkeys(tested, "rock"))
    assert not changed.items["genres"].equals(tables.items["genres"])
    after = make_playlists.fn("made", saved(changed), LikesConfig(), SPLIT, cleaning)
    assert after.training == before.training
    genres = before.training.songs().set_index("item_id")["genres"].map(tuple)
    trained_on = genres.index.isin(before.training.playlists()["item_id"])
    assert set(genres[trained_on]) == {("pop", "pop of a kind")}
    assert set(genres[~trained_on]) == {()}


def test_a_mistaken_cleaning_is_not_taken_for_data_without_playlists():
    cleaning = TableCleaningConfig(numbers=("yaer",))
    with pytest.raises(DataError, match="no column 'yaer'") as raised:
        make_playlists.fn("made", saved(rated(DESCRIBED)), LikesConfig(), SPLIT, cleaning)
    assert not isinstance(raised.value, NoPlaylists)
    with pytest.raises(NoPlaylists, match="neither different years nor genres"):
        make_playlists.fn("made", saved(rated(films(year=1980.0))), LikesConfig(), SPLIT, None)


def test_songs_are_told_by_their_audio_features_and_artists():
    world = PlaylistSimulatorConfig(n_songs=80, n_playlists=60, n_artists=6, mean_length=8)
    made = make_playlists.fn("made", saved(simulate_playlists(world)), LikesConfig(), SPLIT, None)
    columns = made.training.vectors().columns
    assert {"danceability", "tempo", "year"} <= set(columns)
    assert sum(name.startswith("artist=") for name in columns) <= 6
    assert not any("genre" in name or "popularity" in name for name in columns)
    assert load_playlist_facts(made)["playlists"] == {"kind": "songs", "min_rating": None}
    ceiling, test = load_ceiling(made), load_test_playlists(made)
    assert ceiling is not None
    assert len(ceiling) == test.held_out["user_id"].nunique()
    assert ceiling.mean().between(0, 1).all()


def test_own_songs_are_told_by_what_their_file_says_of_them():
    items = films(artist=["Abba", "Blur"] * 10, mood=np.linspace(0, 1, 20), year=np.nan, popularity=1.0)
    played = replace(rated(items), ratings=rated(items).ratings.drop(columns="rating"))
    made = make_playlists.fn("made", saved(played), LikesConfig(), SPLIT, None)
    assert made.training.vectors().columns == ("mood", "artist=Abba", "artist=Blur")
    assert load_playlist_facts(made)["playlists"] == {"kind": "songs", "min_rating": None}
    liked = make_playlists.fn("made", saved(rated(items)), LikesConfig(), SPLIT, None)
    assert load_playlist_facts(liked)["playlists"] == {"kind": "songs", "min_rating": 4.0}


@pytest.mark.parametrize("songs", ["spotify", "simulated"])
def test_the_cleaning_of_songs_is_the_default_one(songs: str, tmp_path: Path):
    world = PlaylistSimulatorConfig(n_songs=50, n_playlists=20, n_artists=6, mean_length=5, min_length=4)
    tables = spotify(tmp_path, {}) if songs == "spotify" else simulate_playlists(world)
    assert suited_cleaning(tables.items).numbers == TableCleaningConfig().numbers


def test_the_cleaning_of_params_is_taken():
    cleaning = TableCleaningConfig(numbers=("year",), final="unit")
    made = make_playlists.fn("made", saved(rated(DESCRIBED)), LikesConfig(), SPLIT, cleaning)
    values = made.training.vectors().values
    assert values.shape == (20, 1)
    assert (values.min(), values.max()) == (0, 1)


def test_a_song_whose_row_is_dropped_is_out_of_the_catalogue_and_of_training():
    years = np.arange(1980.0, 2000.0)
    years[3] = np.nan
    cleaning = TableCleaningConfig(numbers=("year",), missing="drop")
    tables = rated(films(year=years, genres=GENRES))
    training = make_playlists.fn("made", saved(tables), LikesConfig(), SPLIT, cleaning).training
    assert 3 not in training.vectors().ids
    assert 3 not in set(training.playlists()["item_id"])


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (rated(films(year=np.nan, genres=[[] for _ in range(20)])), "neither different years nor genres"),
        (rated(DESCRIBED, stars=3.0), "No rating is 4 or more"),
        (
            Tables(rated(DESCRIBED).ratings.head(6), pd.DataFrame({"user_id": [0]}), DESCRIBED),
            "too few for 5 folds",
        ),
    ],
)
def test_data_without_playlists_are_refused_in_a_sentence(tables, said):
    with pytest.raises(DataError, match=said):
        make_playlists.fn("made", saved(tables), LikesConfig(), SPLIT, None)


def test_splits_are_named_by_their_fold():
    assert split_name(PlaylistSplitConfig(fold=2)) == "fold2of5"
