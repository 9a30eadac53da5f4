"""What is expected of songs: impossible audio features go to quarantine with file and line, gaps are told."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from attrec.datasets.tables import Tables
from tasks.data.bounds import ValidationConfig
from tasks.data.clean import clean_tables
from tasks.data.validate import validate
from tasks.engine.artifacts import Artifact, writing

WORLD = PlaylistSimulatorConfig(n_songs=60, n_playlists=20, n_artists=5, mean_length=5, min_length=4)


def validated(tables: Tables) -> tuple[Artifact, Artifact]:
    with writing("raw") as raw:
        tables.save(raw.folder)
    return raw.artifact, validate.fn(raw.artifact, ValidationConfig(), None)


@pytest.fixture(scope="module")
def sound() -> Tables:
    return simulate_playlists(WORLD)


def test_sound_songs_meet_every_expectation(sound):
    _, done = validated(sound)
    report = json.loads((done.path / "validation.json").read_text())
    of_songs = {row["column"] for row in report["expectations"] if row["table"] == "items"}
    assert {"danceability", "key", "loudness", "tempo", "duration_ms", "artist"} <= of_songs
    assert report["tables"]["items"]["bad_rows"] == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("danceability", 1.5), ("key", 12), ("mode", -1), ("tempo", 900), ("duration_ms", 0)],
)
def test_an_impossible_feature_is_quarantined(sound, column, value):
    items = sound.items.copy()
    items.loc[3, column] = float(value)
    raw, done = validated(replace(sound, items=items))
    quarantine = pd.read_parquet(done.path / "quarantine.parquet")
    bad = quarantine[quarantine["severity"] == "error"]
    assert bad[["table", "line", "dropped"]].values.tolist() == [["items", items["line"].iloc[3], True]]
    assert bad["reason"].iloc[0].startswith(f"{column} {value}")
    cleaned = Tables.load(clean_tables.fn(raw, done).path)
    song = items["item_id"].iloc[3]
    # Playlists keep the song; what it sounds like is unknown.
    assert (cleaned.ratings["item_id"] == song).sum() == (sound.ratings["item_id"] == song).sum()
    assert cleaned.items.loc[cleaned.items["item_id"] == song, column].isna().all()


def test_a_gap_is_told_and_kept(sound):
    items = sound.items.copy()
    items.loc[3, "valence"] = float("nan")
    _, done = validated(replace(sound, items=items))
    quarantine = pd.read_parquet(done.path / "quarantine.parquet")
    told = quarantine[quarantine["reason"] == "valence is missing"]
    assert told[["severity", "dropped"]].values.tolist() == [["warning", False]]
