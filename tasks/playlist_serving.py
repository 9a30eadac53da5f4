"""The registered playlist model as MLflow serves it: written from this file, so that no pickle is involved."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from attrec.errors import DataError
from attrec.playlists.model import PlaylistModel
from attrec.playlists.space import nearness
from attrec.serving.items import read_shown_items
from attrec.serving.requests import answer_groups, read_items
from attrec.serving.titles import Match, SongIndex

DEFAULT_K = 10


class ServedPlaylistModel(PythonModel):
    """Says which songs suit playlists, known or new.

    Input: one row a song. `item_id`, or `title` and perhaps `artist`, which are matched to the nearest song there is;
    and `playlist`, any text that tells playlists apart, where there are several.
    Parameter `k`: how many songs.
    Output: playlist, rank, item_id, title, artist, genres, score, distance to the centroid, `nearest`: the song of the
    playlist that is nearest; `given`: what the typed titles were taken for; `left_out`: songs that are not in the
    catalogue; `error`: why a playlist has no answer, in place of one.
    """

    playlist_model: PlaylistModel
    items: pd.DataFrame
    names: SongIndex | None

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model and the names of the songs."""
        folder = Path(context.artifacts["model"])
        self.playlist_model = PlaylistModel.load(folder)
        self.items = read_shown_items(folder)
        known = self.items[self.items["item_id"].isin(self.playlist_model.items)]
        titled = "title" in known and known["title"].notna().any()
        self.names = SongIndex(known) if titled else None

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The k best songs for each playlist.

        Raises:
            MlflowException: the request cannot be answered. The server sends its sentence, and no traceback.
        """
        try:
            return self._answer(model_input, int((params or {}).get("k", DEFAULT_K)))
        except DataError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def recommend(self, songs: list[int | str], k: int = DEFAULT_K) -> pd.DataFrame:
        """The songs that suit a playlist of these ids best: rank, item_id, title, artist, genres, score; distance and
        nearest as `attrec.playlists.space.nearness` has them, the latter by title, or by id without one."""
        best = self.playlist_model.recommend(songs, k)
        near = nearness(self.playlist_model, songs, best["item_id"].tolist())
        named = near["nearest"].astype(str)
        if "title" in self.items:
            titles = near["nearest"].map(self.items.set_index("item_id")["title"])
            named = titles.where(titles.notna(), named)
        near = near.assign(nearest=named.astype(str))
        return self.with_titles(best.assign(rank=range(1, len(best) + 1)).merge(near, on="item_id"))

    def explain(self, songs: list[int | str]) -> pd.DataFrame | None:
        """As `PlaylistModel.explain`, which may refuse long playlists; None of models whose centroid is the plain
        mean."""
        return self.playlist_model.explain(songs) if self.playlist_model.explains else None

    def with_titles(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add title, artist and genres, where they are known, to a frame with item_id."""
        return frame.merge(self.items, on="item_id", how="left")

    def _answer(self, rows: pd.DataFrame, k: int) -> pd.DataFrame:
        def answer(own: pd.DataFrame) -> pd.DataFrame:
            find = None if self.names is None else self._find
            asked = read_items(own, "playlist", self.playlist_model.items, find)
            return self.recommend(asked.ids, k).assign(given=asked.taken, left_out=asked.left_out)

        columns = [
            "playlist", "rank", "item_id", "title", "artist", "genres", "score", "distance", "nearest", "given",
            "left_out", "error",
        ]  # fmt: skip
        return answer_groups(rows, "playlist", "playlists", k, answer, columns)

    def _find(self, song: Mapping[Hashable, Any]) -> Match:
        assert self.names is not None
        artist = song.get("artist")
        return self.names.find(str(song["title"]), None if pd.isna(artist) else str(artist))


mlflow.models.set_model(ServedPlaylistModel())
