"""What a user liked as a playlist, films for songs: playlist models work wherever people rate.

A film is liked by who rated it 4 or better. Its vector is made of its year, its genres and the numbers that describe
it, if there are any, by the same `TableCleaner` as a song's.
"""

from __future__ import annotations

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from attrec.datasets.tables import Tables
from attrec.errors import NoPlaylists
from attrec.prepare.songs import TableCleaningConfig, numbers_of_items


class LikesConfig(BaseModel):
    """What a playlist is where the items are no songs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rating: float = Field(4.0, description="the items that a user rates at least so are his playlist")


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
    """How films become vectors: the year and what else are numbers, a column for each genre that `min_indicated` have.

    Raises:
        NoPlaylists: the items have neither different years nor genres, and nothing else describes them.
    """
    lists = ("genres",) if "genres" in items and items["genres"].map(len).any() else ()
    years = ("year",) if "year" in items and items["year"].nunique() > 1 else ()
    numbers = (*years, *numbers_of_items(items))
    if not lists and not numbers:
        raise NoPlaylists(
            "These items have neither different years nor genres to describe them by; add one of these columns, or"
            " name others under number_columns."
        )
    return TableCleaningConfig(numbers=numbers, indicators=lists, min_indicated=min_indicated)
