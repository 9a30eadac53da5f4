"""A playlist model that answers: which songs suit a playlist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.playlists.model import PlaylistModel
from attrec.playlists.space import near_many
from attrec.serving.asked import Asked
from attrec.serving.lists import ServedLists
from attrec.serving.requests import as_text
from attrec.serving.served import Column
from attrec.serving.titles import Match, SongIndex


class ServedPlaylists(ServedLists):
    """Says which songs suit playlists, known or new.

    Input: one row a song. `item_id`, or `title` and perhaps `artist`, which are matched to the nearest song there is;
    and `playlist`, any text that tells playlists apart, where there are several.
    Parameter `k`: how many songs.
    Output: playlist, rank, item_id, title, artist, genres, score, distance to the centroid, `nearest`: the song of the
    playlist that is nearest; `given`: what the typed titles were taken for; `left_out`: songs that are not in the
    catalogue; `error`: why a playlist has no answer, in place of one.
    """

    family: ClassVar = "playlist"
    model_class = PlaylistModel
    inputs: ClassVar = (
        Column("item_id", "as sent", required=False),
        Column("title", "as sent", required=False),
        Column("artist", "as sent", required=False),
        Column("playlist", "as sent", required=False),
    )
    outputs: ClassVar = (
        Column("playlist", "text"),
        Column("rank", "whole", required=False),
        Column("item_id", "item_id", required=False),
        Column("title", "text", required=False),
        Column("artist", "text", required=False),
        Column("genres", "text", required=False),
        Column("score", "real", required=False),
        Column("distance", "real", required=False),
        Column("nearest", "text", required=False),
        Column("given", "text", required=False),
        Column("left_out", "text", required=False),
        Column("error", "text", required=False),
    )
    group, groups, taken = "playlist", "playlists", "given"
    index = SongIndex

    model: PlaylistModel

    @property
    def explains(self) -> bool:
        return self.model.explains

    def recommend_all(self, asked: Asked, k: int, exclude_seen: bool | None) -> pd.DataFrame:
        if exclude_seen is False:
            raise DataError(
                "What a playlist has already is never recommended to it: do not ask to keep what is seen."
            )
        assert asked.rows is not None
        return self.model.recommend(asked.rows, k)

    def find(self, row: Mapping[Any, Any]) -> Match:
        artist = row.get("artist")
        match: Match = self.titles.find(as_text(row["title"]), None if pd.isna(artist) else as_text(artist))
        return match

    def shown(self, best: pd.DataFrame, groups: Sequence[list[int | str]]) -> pd.DataFrame:
        """With distance and nearest as `attrec.playlists.space.nearness` has them, the latter by title, or by id."""
        own = Histories.of_lists([self.model.codes(ids).tolist() for ids in groups])
        near = near_many(self.model, own, best, best["user_id"].to_numpy())
        named = near["nearest"].astype(str)
        if "title" in self.items:
            titles = near["nearest"].map(self.items.set_index("item_id")["title"])
            named = titles.where(titles.notna(), named)
        return self.with_titles(near.assign(nearest=named.astype(str)))

    def explain(self, songs: list[int | str]) -> pd.DataFrame | None:
        """What of a playlist counted (see `PlaylistModel.explain`); None of models that cannot tell."""
        return self.model.explain(songs) if self.explains else None


SERVED = ServedPlaylists
