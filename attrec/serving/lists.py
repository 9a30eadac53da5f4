"""A model that answers with lists: groups of items in, the items that suit each best out; by id or by title."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.models.base import Model
from attrec.serving.asked import Asked
from attrec.serving.requests import AskedItems, answer_groups, read_items
from attrec.serving.served import DEFAULT_K, Served
from attrec.serving.titles import Match

_COMPARISONS = 60_000_000
"""Of typed titles with those of items, in one request: some fifteen seconds."""
_FEW_TITLES = 100


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

    def recommend(self, ids: list[int | str], k: int = DEFAULT_K) -> pd.DataFrame:
        """rank, item_id, title, genres, score, and perhaps more, of what suits a group of items best."""
        best = self.model.recommend(ids, k).assign(user_id=0)
        return self.shown(best, [ids]).drop(columns="user_id")

    def shown(self, best: pd.DataFrame, groups: Sequence[list[int | str]]) -> pd.DataFrame:
        """What is shown of the best items (user_id, which is the place of a group, ascending; item_id; and more) of
        groups of ids."""
        return self.with_titles(best)

    def answer(self, rows: pd.DataFrame, k: int = DEFAULT_K) -> pd.DataFrame:
        """The k best items of each group.

        Raises:
            DataError: see `answer_groups`; or there are too many titles.
        """
        self._check_titles(rows)
        found: dict[tuple[Any, Any], Match | str] = {}

        def find(row: Mapping[Hashable, Any]) -> Match:
            typed = row["title"], row.get("artist")
            if typed not in found:
                try:
                    found[typed] = self.find(row)
                except DataError as error:
                    found[typed] = str(error)
            match = found[typed]
            if isinstance(match, str):
                raise DataError(match)
            return match

        def read(own: pd.DataFrame) -> AskedItems:
            return read_items(own, self.group, self.model.items, find if self.titles else None)

        def answer_all(asked: Sequence[AskedItems]) -> pd.DataFrame:
            groups = [each.ids for each in asked]
            places = np.repeat(np.arange(len(groups)), [len(ids) for ids in groups])
            told = pd.DataFrame({"user_id": places, "item_id": list(chain.from_iterable(groups))})
            best = self.shown(self.recommend_all(Asked.of_rows(told), k, None), groups)
            said = {self.taken: [each.taken for each in asked], "left_out": [each.left_out for each in asked]}
            return best.join(pd.DataFrame(said, dtype=object), on="user_id")

        columns = [column.name for column in self.outputs]
        k = min(k, len(self.model.items))
        return answer_groups(rows, self.group, self.groups, k, read, answer_all, columns)

    def _check_titles(self, rows: pd.DataFrame) -> None:
        """Raises: DataError: to look up so many titles takes longer than anybody waits."""
        most = max(_FEW_TITLES, _COMPARISONS // len(self.items))
        typed = rows[[name for name in ("title", "artist") if name in rows]].astype(str).drop_duplicates()
        if "title" in typed and len(typed) > most:
            raise DataError(
                f"The request has {len(typed):,} different titles: send {most:,} at most, or the column item_id."
            )
