"""The registered sequence model as MLflow serves it: written from this file, so that no pickle is involved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from attrec.errors import DataError
from attrec.models.sequence_model import SequenceModel
from attrec.models.sequence_registry import load_sequence_model
from attrec.titles import TitleIndex

DEFAULT_K = 10


class ServedSequenceModel(PythonModel):
    """Says what comes next after histories, known or new.

    Input: one row an action, the oldest of each history first. Either the column `item_id`, or `title`, which is
    matched to the nearest title there is; and `history`, any text that tells histories apart, where there are several.
    Parameter `k`: how many items. Output: history, rank, item_id, title, genres, score.
    """

    sequence_model: SequenceModel
    items: pd.DataFrame
    titles: TitleIndex | None

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model and the titles."""
        folder = Path(context.artifacts["model"])
        self.sequence_model = load_sequence_model(folder)
        self.items = pd.read_parquet(folder / "items.parquet")
        known = self.items[self.items["item_id"].isin(self.sequence_model.items)]
        self.titles = TitleIndex(known) if "title" in known else None

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The k likeliest next items of each history."""
        k = int((params or {}).get("k", DEFAULT_K))
        names = model_input.get("history", pd.Series("1", index=model_input.index)).fillna("").astype(str)
        answers = [
            self.recommend(self._ids(rows), k).assign(history=name)
            for name, rows in model_input.groupby(names, sort=False)
        ]
        columns = ["history", "rank", "item_id", "title", "genres", "score"]
        return pd.concat(answers, ignore_index=True).reindex(columns=columns)

    def recommend(self, history: list[int | str], k: int = DEFAULT_K) -> pd.DataFrame:
        """rank, item_id, title, genres and score of what comes next after these item ids."""
        best = self.sequence_model.recommend(history, k)
        return self.with_titles(best.assign(rank=range(1, len(best) + 1)))

    def with_titles(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add title and genres to a frame with item_id."""
        return frame.merge(self.items, on="item_id", how="left")

    def _ids(self, rows: pd.DataFrame) -> list[int | str]:
        if "item_id" in rows:
            return list(rows["item_id"])
        if "title" not in rows or self.titles is None:
            raise DataError("Give the column item_id or, where the items have titles, the column title.")
        return [match.item_id for match in self.titles.find_all(rows["title"])]


mlflow.models.set_model(ServedSequenceModel())
