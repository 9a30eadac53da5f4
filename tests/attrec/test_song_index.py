"""Songs found by title and artist."""

from __future__ import annotations

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.titles import SongIndex

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
