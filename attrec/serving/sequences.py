"""A sequence model that answers: what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.sequences.model import SequenceModel
from attrec.serving.asked import Asked
from attrec.serving.lists import ServedLists
from attrec.serving.requests import as_text
from attrec.serving.served import Column
from attrec.serving.titles import Match, TitleIndex


class ServedSequences(ServedLists):
    """Says what comes next after histories, known or new.

    Input: one row an action, the oldest of each history first. `item_id`, or `title`, which is matched to the nearest
    title there is; and `history`, any text that tells histories apart, where there are several. An action may occur
    more than once.
    Parameter `k`: how many items.
    Output: history, rank, item_id, title, genres, score; `after`: what the typed titles were taken for; `left_out`:
    what of the history the model does not know; `error`: why a history has no answer, in place of one.
    """

    family: ClassVar = "sequence"
    model_class = SequenceModel
    inputs: ClassVar = (
        Column("item_id", "as sent", required=False),
        Column("title", "as sent", required=False),
        Column("history", "as sent", required=False),
    )
    outputs: ClassVar = (
        Column("history", "text"),
        Column("rank", "whole", required=False),
        Column("item_id", "item_id", required=False),
        Column("title", "text", required=False),
        Column("genres", "text", required=False),
        Column("score", "real", required=False),
        Column("after", "text", required=False),
        Column("left_out", "text", required=False),
        Column("error", "text", required=False),
    )
    group, groups, taken = "history", "histories", "after"
    index = TitleIndex

    model: SequenceModel

    @property
    def explains(self) -> bool:
        return self.model.attends

    def understand(self, told: pd.DataFrame, place: str) -> pd.DataFrame:
        """Where a timestamp is told, it says the order."""
        if "timestamp" in told:
            missing = told["timestamp"].isna()
            if missing.any():
                raise DataError(
                    f"{place}, line {missing.idxmax()}: there is no timestamp: give one in every row, or leave the"
                    " column out and have the oldest first."
                )
            users = pd.factorize(told["user_id"])[0]
            told = told.iloc[np.lexsort((told["timestamp"], users))]
        return super().understand(told, place)

    def recommend_all(self, asked: Asked, k: int, exclude_seen: bool | None) -> pd.DataFrame:
        assert asked.rows is not None
        return self.model.recommend(asked.rows, k, exclude_seen)

    def find(self, row: Mapping[Any, Any]) -> Match:
        match: Match = self.titles.find(as_text(row["title"]))
        return match


SERVED = ServedSequences
