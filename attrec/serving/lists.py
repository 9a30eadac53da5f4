"""A model that answers with lists: groups of items in, the items that suit each best out; by id or by title."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import pandas as pd

from attrec.models.base import Model
from attrec.serving.requests import answer_groups, read_items
from attrec.serving.served import DEFAULT_K, Served
from attrec.serving.titles import Match


class ServedLists(Served):
    """Answers groups of rows, each with the items that suit it best."""

    lists = True

    group: ClassVar[str]
    """The column that tells groups apart, and what one of them is called."""
    groups: ClassVar[str]
    """What several are called."""
    taken: ClassVar[str]
    """The column of an answer that says what the typed titles were taken for."""
    index: ClassVar[type[Any]]
    """Finds items of the model by title."""

    titles: Any
    """An `index` of the items that the model knows; None where none has a title."""

    def __init__(self, model: Model, items: pd.DataFrame) -> None:
        super().__init__(model, items)
        known = items[items["item_id"].isin(self.model.items)]
        titled = "title" in known and known["title"].notna().any()
        self.titles = self.index(known) if titled else None

    @abstractmethod
    def find(self, row: Mapping[Hashable, Any]) -> Match:
        """The item that a row means by its title."""

    @abstractmethod
    def recommend(self, ids: list[int | str], k: int = DEFAULT_K) -> pd.DataFrame:
        """rank, item_id, title, genres, score, and perhaps more, of what suits a group of items best."""

    def answer(self, rows: pd.DataFrame, k: int = DEFAULT_K) -> pd.DataFrame:
        """The k best items of each group."""

        def answer_one(own: pd.DataFrame) -> pd.DataFrame:
            asked = read_items(own, self.group, self.model.items, self.find if self.titles else None)
            said = {self.taken: asked.taken, "left_out": asked.left_out}
            return self.recommend(asked.ids, k).assign(**said)

        columns = [column.name for column in self.outputs]
        return answer_groups(rows, self.group, self.groups, k, answer_one, columns)
