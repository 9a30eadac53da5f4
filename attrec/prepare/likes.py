"""What a user liked as a playlist, films for songs: playlist models work wherever people rate.

A film is liked by who rated it 4 or better. Its vector is made of its year and its genres, by the same `TableCleaner`
as a song's.
"""

from __future__ import annotations

import pandas as pd

from attrec.datasets.tables import Tables
from attrec.errors import NoPlaylists
from attrec.prepare.songs import TableCleaningConfig


def liked_playlists(tables: Tables, min_rating: float = 4.0) -> pd.DataFrame:
    """The ratings that are at least `min_rating`, as playlists: user_id, item_id, each pair once, in their order.

    Raises:
        NoPlaylists: nobody rates in this dataset, or nobody gave so much.
    """
    if tables.feedback != "ratings":
        raise NoPlaylists(
            "Nobody rates in this dataset, so nothing says what is liked; take its playlists as they are."
        )
    liked = tables.ratings.loc[tables.ratings["rating"] >= min_rating, ["user_id", "item_id"]]
    if liked.empty:
        best = tables.ratings["rating"].max()
        raise NoPlaylists(f"No rating is {min_rating:g} or more, the highest is {best:g}; lower min_rating.")
    return liked.dropna().drop_duplicates(ignore_index=True)


def film_cleaning(items: pd.DataFrame, min_indicated: int = 5) -> TableCleaningConfig:
    """How films become vectors: the year as a number, a column for each genre that `min_indicated` films have.

    Raises:
        NoPlaylists: the items have neither different years nor genres.
    """
    lists = ("genres",) if "genres" in items and items["genres"].map(len).any() else ()
    numbers = ("year",) if "year" in items and items["year"].nunique() > 1 else ()
    if not lists and not numbers:
        raise NoPlaylists(
            "These films have neither different years nor genres to describe them by; add one of these columns."
        )
    return TableCleaningConfig(numbers=numbers, indicators=lists, min_indicated=min_indicated)
