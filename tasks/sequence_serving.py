"""The registered sequence model as MLflow serves it: written from this file, so that no pickle is involved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from attrec.errors import DataError
from attrec.models.sequence_model import SequenceModel
from attrec.models.sequence_registry import load_sequence_model
from attrec.titles import TitleIndex

DEFAULT_K = 10
_SHOWN = 3


class ServedSequenceModel(PythonModel):
    """Says what comes next after histories, known or new.

    Input: one row an action, the oldest of each history first. `item_id`, or `title`, which is matched to the nearest
    title there is; and `history`, any text that tells histories apart, where there are several. An action may occur
    more than once.
    Parameter `k`: how many items.
    Output: history, rank, item_id, title, genres, score, and `after`: what the typed titles were taken for.
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

    def _answer(self, actions: pd.DataFrame, k: int) -> pd.DataFrame:
        if k < 1:
            raise DataError(f"k is {k}: ask for one item at least.")
        if actions.empty:
            raise DataError("There is no row: give one for each action, with the column item_id or title.")
        if not {"item_id", "title"} & set(actions):
            raise DataError("There is neither a column item_id nor a column title: give one of them.")
        names = actions.get("history", pd.Series("1", index=actions.index)).fillna("").astype(str)
        answers, refused = [], []
        for name, rows in actions.groupby(names, sort=False):
            try:
                history, taken = self._read(rows)
                answers.append(self.recommend(history, k).assign(history=name, after=taken))
            except DataError as error:
                if "history" not in actions:
                    raise
                refused.append(f"{name!r}: {error}")
        if refused:
            shown = " ".join(refused[:_SHOWN]) + (" ..." if len(refused) > _SHOWN else "")
            of = len(refused) + len(answers)
            raise DataError(
                f"Leave out or mend {len(refused)} of {of} histories that cannot be answered: {shown}"
            )
        columns = ["history", "rank", "item_id", "title", "genres", "score", "after"]
        return pd.concat(answers, ignore_index=True).reindex(columns=columns)

    def _read(self, rows: pd.DataFrame) -> tuple[list[int | str], str | None]:
        """The item ids of one history, and what its titles, if any, were taken for."""
        nothing = pd.Series(None, index=rows.index, dtype=object)
        history: list[int | str] = []
        taken: list[str] = []
        ids, titles = (rows.get(name, nothing) for name in ("item_id", "title"))
        for number, (item_id, title) in enumerate(zip(ids, titles, strict=True), start=1):
            if pd.notna(item_id):
                history.append(item_id)
                continue
            if pd.isna(title):
                raise DataError(f"Row {number} of the history has neither an item_id nor a title: give one.")
            if self.titles is None:
                raise DataError("The items of this model have no titles: give the column item_id.")
            match = self.titles.find(str(title))
            history.append(match.item_id)
            taken.append(match.title)
        return history, "; ".join(taken) or None


mlflow.models.set_model(ServedSequenceModel())
