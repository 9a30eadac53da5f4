"""Songs found by title and artist."""

from __future__ import annotations

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.serving.titles import SongIndex

SONGS = pd.DataFrame(
    {
        "item_id": [1, 2, 3, 4],
        "title": ["Hello", "Hello", "Someone Like You", "Yesterday"],
        "artist": ["Adele", "Lionel Richie", "Adele", None],
    }
)


@pytest.mark.parametrize(
    ("title", "artist", "found"),
    [
        ("hello", "adele", 1),
        ("hello", "Lionel Ritchie", 2),
        ("someone like you", None, 3),
        ("yesterday", "", 4),
        ("hello", None, 1),
    ],
)
def test_the_artist_decides_between_songs_of_one_title(title, artist, found):
    assert SongIndex(SONGS).find(title, artist).item_id == found


def test_songs_of_others_are_not_taken_for_those_of_the_artist():
    with pytest.raises(DataError, match="No title is like 'Yesterday'"):
        SongIndex(SONGS).find("Yesterday", "Adele")


def test_an_unknown_artist_is_told():
    with pytest.raises(DataError, match=r"No artist is like 'Xerxes Quartet'; the nearest are"):
        SongIndex(SONGS).find("Hello", "Xerxes Quartet")


def test_where_no_artist_is_known_the_title_alone_counts():
    assert SongIndex(SONGS[["item_id", "title"]]).find("Yesterday", "The Beatles").item_id == 4


@pytest.mark.parametrize(
    ("title", "artist", "found"),
    [
        ("Clarity", "Zedd feat. Foxes", 1),
        ("Stay", "Zedd, Alessia Cara", 2),
        ("Stay", "Nobody & Rihanna", 3),
        ("Earfquake", "Tyler, The Creator", 4),
        ("Love", "Kendrick Lamar", 6),
        ("Lose Yourself", None, 7),
    ],
)
def test_guests_and_versions_are_no_other_song(title: str, artist: str | None, found: int) -> None:
    songs = pd.DataFrame(
        [
            (1, "Clarity", "Zedd"),
            (2, "Stay (with Alessia Cara)", "Zedd"),
            (3, "Stay", "Rihanna"),
            (4, "EARFQUAKE", "Tyler, The Creator"),
            (5, "Complexion (A Zulu Love)", "Kendrick Lamar"),
            (6, "LOVE. FEAT. ZACARI.", "Kendrick Lamar"),
            (7, 'Lose Yourself - From "8 Mile"', "Eminem"),
        ],
        columns=["item_id", "title", "artist"],
    )
    assert SongIndex(songs).find(title, artist).item_id == found


def test_of_songs_of_one_title_the_one_that_was_met_most_often_is_meant() -> None:
    met = SongIndex(SONGS.assign(actions=[3, 9, 5, 2]))
    assert [met.find(typed).item_id for typed in ("hello", "Hello", "HELLO!")] == [2, 2, 2]
    assert met.find("hello", "adele").item_id == 1
