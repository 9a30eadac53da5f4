"""The registered sequence model as MLflow serves it: written from this file, so that no pickle is involved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from attrec.errors import DataError
from attrec.sequences.model import SequenceModel
from attrec.serving.items import read_shown_items
from attrec.serving.requests import answer_groups, read_items
from attrec.serving.titles import TitleIndex

DEFAULT_K = 10


class ServedSequenceModel(PythonModel):
    """Says what comes next after histories, known or new.

    Input: one row an action, the oldest of each history first. `item_id`, or `title`, which is matched to the nearest
    title there is; and `history`, any text that tells histories apart, where there are several. An action may occur
    more than once.
    Parameter `k`: how many items.
    Output: history, rank, item_id, title, genres, score; `after`: what the typed titles were taken for; `left_out`:
    what of the history the model does not know; `error`: why a history has no answer, in place of one.
    """

    sequence_model: SequenceModel
    items: pd.DataFrame
    titles: TitleIndex | None

    def load_context(self, context: PythonModelContext) -> None:
        self.read(Path(context.artifacts["model"]))

    def read(self, folder: Path) -> None:
        """A saved model and the items beside it.

        Raises:
            DataError: the folder holds no items, no saved model or one of another version.
        """
        self.sequence_model = SequenceModel.load(folder)
        self.items = read_shown_items(folder)
        known = self.items[self.items["item_id"].isin(self.sequence_model.items)]
        titled = "title" in known and known["title"].notna().any()
        self.titles = TitleIndex(known) if titled else None

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The k likeliest next items of each history.

        Raises:
            MlflowException: the request cannot be answered. The server sends its sentence, and no traceback.
        """
        try:
            return self._answer(model_input, int((params or {}).get("k", DEFAULT_K)))
        except DataError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def recommend(self, history: list[int | str], k: int = DEFAULT_K) -> pd.DataFrame:
        """rank, item_id, title, genres and score of what comes next after these item ids."""
        best = self.sequence_model.recommend(history, k)
        return self.with_titles(best.assign(rank=range(1, len(best) + 1)))

    def with_titles(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add title and genres to a frame with item_id."""
        return frame.merge(self.items, on="item_id", how="left")

    def _answer(self, rows: pd.DataFrame, k: int) -> pd.DataFrame:
        titles = self.titles
        find = None if titles is None else lambda row: titles.find(str(row["title"]))

        def answer(own: pd.DataFrame) -> pd.DataFrame:
            asked = read_items(own, "history", self.sequence_model.items, find)
            return self.recommend(asked.ids, k).assign(after=asked.taken, left_out=asked.left_out)

        columns = ["history", "rank", "item_id", "title", "genres", "score", "after", "left_out", "error"]
        return answer_groups(rows, "history", "histories", k, answer, columns)


mlflow.models.set_model(ServedSequenceModel())
