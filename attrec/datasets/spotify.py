"""Songs of Spotify playlists with their audio features: the columns of TidyTuesday's set of 2020-01-21.

One row is one song in one playlist. As canonical tables a playlist is a user, a song an item, and a row an action
without rating or time: users choose songs and nobody rates them.

The file is Windows-1252; what that cannot hold was written as marks like ``<U+1F525>``, which become the characters
they mean. Songs and playlists have no ids, so

- a song is one pair of title and artist, compared without letter case, forms of the same character (NFKC), invisible
  characters and runs of blanks; a playlist is one name as it stands, for other people's lists are called much the same
  ("Post-teen pop", "post-teen pop"); both are numbered from 1 by their first row;
- a song's features are those of its first row in which all could be read. ``features_differ`` marks the rows that have
  others: the same song on another album, say, or another recording under the same title.

What was mended is counted (`Tables.mended`): ``marks_decoded_…`` rows with such a mark in a text, ``blanks_trimmed_…``
rows with blanks around one, ``spelled_otherwise`` rows whose title or artist is not written as in the song's first row,
``features_of_another_row`` rows whose features are not the song's, ``repeated_in_playlist`` rows of a song that the
playlist has already. Repeated rows stay here; a split counts a song once in a playlist.

Genre and subgenre are those of the *playlist*, which a song has from its row. Whoever learns from a song's genre must
therefore take it from training playlists alone (`attrec.prepare.songs.labels_of_items`): most songs are in one
playlist only, so that the genre of a song tells in which playlists it was hidden.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

import numpy as np
import pandas as pd

from attrec.datasets.archive import Archive
from attrec.datasets.delimited import Kind, Layout, read_delimited
from attrec.datasets.tables import AS_WRITTEN, Tables, as_written
from attrec.errors import DataError

MEMBER = "spotify_songs.csv"
AUDIO_FEATURES = (
    "danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness",
    "liveness", "valence", "tempo", "duration_ms",
)  # fmt: skip
_TEXTS = {
    "track_name": "title",
    "track_artist": "artist",
    "track_popularity": "popularity",
    "track_album_name": "album",
    "track_album_release_date": "release_date",
    "playlist_name": "name",
    "playlist_genre": "genre",
    "playlist_subgenre": "subgenre",
}
_MARK = re.compile(r"<U\+([0-9A-Fa-f]{4,8})>")
_LINE_AS_WRITTEN = f"line{AS_WRITTEN}"


def read_spotify(archive: Archive, folder: str, sha256: Mapping[str, str]) -> Tables:
    """Read ``spotify_songs.csv``.

    Returns:
        ``ratings``: user_id (the playlist), item_id (the song), position (place in the playlist, from 1), genre,
        subgenre, features_differ; file, line. A row without a playlist, a title or an artist has no id there.
        ``users``: user_id, name, genre, subgenre; file, line of the playlist's first row.
        ``items``: item_id, title, artist, album, release_date, year, genres (genre and subgenre of the first row),
        popularity and the audio features (float64); file, line.

    Raises:
        ArchiveError: the member is missing or altered.
        DataError: it is empty, not Windows-1252, or of another form.
    """
    member = f"{folder}/{MEMBER}"
    rows, mended = _read_rows(archive.read(member, sha256.get(MEMBER)), member)
    song = _numbers(rows[["title", "artist"]].map(normalised, na_action="ignore"))
    playlist = _numbers(rows[["name"]])
    items, differs = _songs(rows, song)
    ratings = pd.DataFrame(
        {
            "user_id": playlist,
            "item_id": song,
            "position": rows.groupby(playlist, dropna=False).cumcount() + 1,
            **rows[["genre", "subgenre"]],
            "features_differ": differs,
            **rows[["file", "line"]],
        }
    )
    for column, number, texts in (("user_id", playlist, ["name"]), ("item_id", song, ["title", "artist"])):
        written = rows[texts].fillna("").agg(" / ".join, axis=1).where(number.isna())
        if (written.str.strip(" /") != "").where(written.notna(), False).any():
            ratings[f"{column}{AS_WRITTEN}"] = written
    if _LINE_AS_WRITTEN in rows:
        ratings[_LINE_AS_WRITTEN] = rows[_LINE_AS_WRITTEN]
    known = ratings[["user_id", "item_id"]].notna().all(axis=1)
    mended |= {
        "spelled_otherwise": _spelled_otherwise(rows, song),
        "features_of_another_row": int(differs.sum()),
        "repeated_in_playlist": int(ratings[known].duplicated(["user_id", "item_id"]).sum()),
    }
    return Tables(ratings, _playlists(rows, playlist), items, mended=mended)


def decode_marks(text: str) -> str:
    """``<U+1F525>`` as the character it means; what names no character stays as it is."""
    return _MARK.sub(_character, text)


def normalised(text: str) -> str:
    """The form in which titles and artists are compared."""
    visible = (
        character
        for character in unicodedata.normalize("NFKC", text)
        if unicodedata.category(character) != "Cf"
    )
    return " ".join("".join(visible).split()).casefold()


def _character(mark: re.Match[str]) -> str:
    code = int(mark[1], 16)
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else mark[0]


def _read_rows(content: bytes, file: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows with readable texts, and in how many of them marks and blanks were mended, by text."""
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file} is not Windows-1252 text (line {line:,}); get it anew, or save it in that encoding."
        ) from error
    columns: dict[str, Kind] = dict.fromkeys(_TEXTS, "text")
    columns |= {"track_popularity": "float", **dict.fromkeys(AUDIO_FEATURES, "float")}
    layout = Layout(columns, header=True, quoted=True)
    rows = read_delimited(text.encode("utf-8"), layout, file).rename(columns=_TEXTS)
    rows = rows.rename(columns={f"track_popularity{AS_WRITTEN}": f"popularity{AS_WRITTEN}"})
    mended: dict[str, int] = {}
    for column, name in _TEXTS.items():
        if name == "popularity":
            continue
        written = rows[name].notna()
        decoded = rows[name].map(decode_marks)
        trimmed = decoded.str.strip()
        mended[f"marks_decoded_{column}"] = int((written & (decoded != rows[name])).sum())
        mended[f"blanks_trimmed_{column}"] = int((written & (trimmed != decoded)).sum())
        rows[name] = trimmed.mask(trimmed == "")
    return rows, {rule: count for rule, count in mended.items() if count}


def _numbers(texts: pd.DataFrame) -> pd.Series:
    """From 1 by the first row of each combination; null (and Int64) where a text is missing."""
    known = texts.notna().all(axis=1)
    numbers = pd.Series(pd.NA, texts.index, dtype="Int64")
    numbers[known] = pd.factorize(pd.MultiIndex.from_frame(texts[known]))[0] + 1
    return numbers.astype("int64") if known.all() else numbers


def _songs(rows: pd.DataFrame, song: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    features = list(AUDIO_FEATURES)
    unread = [name for name in as_written(rows) if name != _LINE_AS_WRITTEN]
    named = rows.assign(item_id=song, incomplete=rows[features].isna().any(axis=1))[song.notna()]
    first = named.sort_values("incomplete", kind="stable").drop_duplicates("item_id").sort_values("item_id")
    first = first.astype({"item_id": "int64"}).reset_index(drop=True)
    genres = first[["genre", "subgenre"]].apply(lambda pair: pair.dropna().drop_duplicates().tolist(), axis=1)
    year = first["release_date"].str.extract(r"^(\d{4})(?:-|$)", expand=False).astype(float)
    items = first[["item_id", "title", "artist", "album", "release_date"]].assign(
        year=year,
        genres=pd.Series(genres, dtype=object),
        **first[["popularity", *features, "file", "line", *unread]],
    )
    of_song = items.set_index("item_id")[features].reindex(song).to_numpy()
    own = rows[features].to_numpy()
    same = (own == of_song) | (np.isnan(own) & np.isnan(of_song))
    return items, pd.Series(~same.all(axis=1) & song.notna().to_numpy(), rows.index)


def _spelled_otherwise(rows: pd.DataFrame, song: pd.Series) -> int:
    """Rows whose title or artist is not written as in the first row of the song."""
    texts = rows.loc[song.notna(), ["title", "artist"]]
    first = texts.groupby(song[song.notna()]).transform("first")
    return int((texts != first).any(axis=1).sum())


def _playlists(rows: pd.DataFrame, playlist: pd.Series) -> pd.DataFrame:
    first = rows.assign(user_id=playlist)[playlist.notna()].drop_duplicates("user_id")
    columns = ["user_id", "name", "genre", "subgenre", "file", "line"]
    return first[columns].astype({"user_id": "int64"}).reset_index(drop=True)
