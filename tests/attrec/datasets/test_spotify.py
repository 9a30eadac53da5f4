"""Marks, repeated songs, bad rows, and the real file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd
import pytest

from attrec.datasets.archive import open_archive
from attrec.datasets.registry import load_dataset
from attrec.datasets.spotify import AUDIO_FEATURES, MEMBER, decode_marks, normalised, read_spotify
from attrec.datasets.tables import Tables
from attrec.errors import DataError
from attrec.prepare.cleaning import clean
from attrec.reporting.cleaning_rules import meaning_of

HEADER = [
    "track_name", "track_artist", "track_popularity", "track_album_name", "track_album_release_date",
    "playlist_name", "playlist_genre", "playlist_subgenre", *AUDIO_FEATURES,
]  # fmt: skip


def line(title: str, artist: str, playlist: str, date: str = "2019-06-14", first: str = "0.5") -> str:
    numbers = ",".join([first] + ["0.25"] * (len(AUDIO_FEATURES) - 1))
    return f'"{title}","{artist}",66,"Album","{date}","{playlist}","pop","dance pop",{numbers}'


def read(folder: Path, *lines: str) -> Tables:
    header = ",".join(f'"{name}"' for name in HEADER)
    content = "\r\n".join([header, *lines, ""]).encode("cp1252")
    return read_bytes(folder, content)


def read_bytes(folder: Path, content: bytes) -> Tables:
    with zipfile.ZipFile(folder / "songs.zip", "w") as file:
        file.writestr(f"spotify/{MEMBER}", content)
    with open_archive(folder / "songs.zip") as archive:
        return read_spotify(archive, "spotify", {})


def test_marks_become_what_they_mean() -> None:
    assert decode_marks("HOT <U+0001F525> <U+30C8>!") == "HOT 🔥 ト!"
    assert decode_marks("<U+D800> <U+110000> <U+12>") == "<U+D800> <U+110000> <U+12>"


def test_normal_form() -> None:
    assert normalised(" GATTÜSO\u200d  ﬁre ") == normalised("gattu\u0308so fire") == "gattüso fire"


def test_songs_and_playlists_are_told_by_their_names(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        line("Señorita", "A", "Hits <U+2600>"),
        line("Other", "A", "Hits <U+2600>", date="2001"),
        line("SEÑORITA", "a ", "Hits <U+2600> ", first="0.75"),
        line("Señorita", "B", "Jazz", date="soon"),
        line("Other", "A", "jazz"),
    )
    assert tables.feedback == "actions"
    assert tables.ratings["item_id"].tolist() == [1, 2, 1, 3, 2]
    assert tables.ratings["user_id"].tolist() == [1, 1, 1, 2, 3]
    assert tables.items["title"].tolist() == ["Señorita", "Other", "Señorita"]
    assert tables.items["year"].tolist()[:2] == [2019, 2001]
    assert pd.isna(tables.items["year"].iloc[2])
    assert tables.items["danceability"].tolist() == [0.5, 0.5, 0.5]
    assert tables.ratings["features_differ"].tolist() == [False, False, True, False, False]
    assert tables.users["name"].iloc[0] == "Hits ☀"
    assert tables.ratings["line"].tolist() == [2, 3, 4, 5, 6]
    assert tables.items["genres"].tolist() == [["pop", "dance pop"]] * 3
    assert tables.mended == {
        "marks_decoded_playlist_name": 3,
        "blanks_trimmed_track_artist": 1,
        "blanks_trimmed_playlist_name": 1,
        "spelled_otherwise": 1,
        "features_of_another_row": 1,
        "repeated_in_playlist": 1,
    }
    tables.save(tmp_path / "raw")
    _, report = clean(Tables.load(tmp_path / "raw"))
    assert list(report.rules.items())[:6] == list(tables.mended.items())
    assert len({meaning_of(rule) for rule in tables.mended}) == 5


def test_place_in_the_playlist_counts_its_own_rows(tmp_path: Path) -> None:
    tables = read(tmp_path, line("a", "A", "x"), line("b", "A", "y"), line("c", "A", "x"))
    assert tables.ratings["position"].tolist() == [1, 1, 2]


def test_bad_rows_keep_their_place_and_their_text(tmp_path: Path) -> None:
    tables = read(
        tmp_path,
        line("a", "A", "x", first="loud"),
        line("a", "A", "y"),
        line("", "Nobody", "x"),
        line("b", "B", ""),
        line("c", "C", "x", first="n/a"),
        "torn",
    )
    ratings, items = tables.ratings, tables.items
    assert ratings["item_id"].isna().tolist() == [False, False, True, False, False, True]
    assert ratings["user_id"].isna().tolist() == [False, False, False, True, False, True]
    assert ratings["item_id as written"].iloc[2] == " / Nobody"
    assert ratings["line as written"].iloc[5] == "torn"
    assert ratings["line"].tolist() == [2, 3, 4, 5, 6, 7]
    # Song a is read from its second row, where all features can be; c has no such row.
    assert items["line"].tolist() == [3, 5, 6]
    assert items["danceability as written"].iloc[2] == "n/a"
    cleaned, report = clean(tables)
    assert len(cleaned.ratings) == 3
    assert report.rules["missing_values_ratings"] == 3
    assert cleaned.ratings["item_id"].dtype == "int64"


def test_what_is_not_the_file(tmp_path: Path) -> None:
    header = ",".join(HEADER).encode() + b"\n"
    with pytest.raises(DataError, match=r"spotify/spotify_songs.csv is not Windows-1252 text \(line 2\)"):
        read_bytes(tmp_path, header + b"\x81\n")
    with pytest.raises(DataError, match="is empty"):
        read_bytes(tmp_path, b"")
    with pytest.raises(DataError, match="has the columns"):
        read_bytes(tmp_path, b"a,b\n1,2\n")


@pytest.mark.realdata
def test_real_file(data_dir: Path) -> None:
    tables = load_dataset("spotify-playlists", data_dir=data_dir)
    ratings, items = tables.ratings, tables.items
    assert (len(ratings), len(tables.users), len(items)) == (5130, 336, 3057)
    assert not ratings.isna().any(axis=None)
    assert not items[list(AUDIO_FEATURES)].isna().any(axis=None)
    assert int(ratings["features_differ"].sum()) == 607
    assert ratings.loc[ratings["features_differ"], "item_id"].nunique() == 354
    assert int(ratings.duplicated(["user_id", "item_id"]).sum()) == 157
    assert items["year"].between(1965, 2020).all()
    texts = pd.concat([items["title"], items["artist"], tables.users["name"]])
    assert not texts.str.contains("<U+", regex=False).any()
    assert texts.str.contains("🔥").any()
    _, report = clean(tables)
    assert report.rules["marks_decoded_track_name"] == 10
    assert report.rules["marks_decoded_track_artist"] == 49
    assert report.rules["marks_decoded_playlist_name"] == 810
    assert report.rules["repeated_in_playlist"] == 157
    assert report.rows_out == {"ratings": 5130, "users": 336, "items": 3057}
