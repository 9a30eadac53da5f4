"""The registered playlist model as MLflow serves it: written from this file, so that no pickle is involved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from attrec.errors import DataError
from attrec.models.ars import ARS
from attrec.models.playlist_model import PlaylistModel
from attrec.models.playlist_registry import load_playlist_model
from attrec.models.playlist_space import nearness
from attrec.titles import SongIndex

DEFAULT_K = 10


class ServedPlaylistModel(PythonModel):
    """Says which songs suit playlists, known or new.

    Input: one row a song. Either the column `item_id`, or `title` and perhaps `artist`, which are matched to the
    nearest song there is; and `playlist`, any text that tells playlists apart, where there are several.
    Parameter `k`: how many songs. Output: playlist, rank, item_id, title, artist, genres, score.
    """

    playlist_model: PlaylistModel
    items: pd.DataFrame
    names: SongIndex | None

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model and the names of the songs."""
        folder = Path(context.artifacts["model"])
        self.playlist_model = load_playlist_model(folder)
        self.items = pd.read_parquet(folder / "items.parquet")
        known = self.items[self.items["item_id"].isin(self.playlist_model.items)]
        self.names = SongIndex(known) if "title" in known else None

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The k best songs for each playlist."""
        k = int((params or {}).get("k", DEFAULT_K))
        names = model_input.get("playlist", pd.Series("1", index=model_input.index)).fillna("").astype(str)
        answers = [
            self.recommend(self._ids(rows), k).assign(playlist=name)
            for name, rows in model_input.groupby(names, sort=False)
        ]
        columns = ["playlist", "rank", "item_id", "title", "artist", "genres", "score"]
        return pd.concat(answers, ignore_index=True).reindex(columns=columns)

    def recommend(self, songs: list[int | str], k: int = DEFAULT_K) -> pd.DataFrame:
        """rank, item_id, title, artist, genres and score of the songs that suit a playlist of these ids best."""
        best = self.playlist_model.recommend(songs, k)
        return self.with_titles(best.assign(rank=range(1, len(best) + 1)))

    def nearness(self, playlist: list[int | str], songs: list[int | str]) -> pd.DataFrame:
        """As `attrec.models.playlist_space.nearness`."""
        return nearness(self.playlist_model, playlist, songs)

    def explain(self, songs: list[int | str]) -> pd.DataFrame | None:
        """item_id and weight of the songs that attention leaned on, the heaviest first; None without attention."""
        return self.playlist_model.explain(songs) if isinstance(self.playlist_model, ARS) else None

    def with_titles(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add title, artist and genres, where they are known, to a frame with item_id."""
        return frame.merge(self.items, on="item_id", how="left")

    def _ids(self, rows: pd.DataFrame) -> list[int | str]:
        if "item_id" in rows:
            return list(rows["item_id"])
        if "title" not in rows or self.names is None:
            raise DataError("Give the column item_id or, where the songs have titles, the column title.")
        artists = rows["artist"] if "artist" in rows else pd.Series(None, index=rows.index, dtype=object)
        return [
            self.names.find(title, None if pd.isna(artist) else artist).item_id
            for title, artist in zip(rows["title"], artists, strict=True)
        ]


mlflow.models.set_model(ServedPlaylistModel())
