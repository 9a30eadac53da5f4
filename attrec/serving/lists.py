"""A model that answers with lists: groups of items in, the items that suit each best out; by id or by title."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.models.base import Model
from attrec.serving.asked import Asked
from attrec.serving.requests import (
    MOST_ANSWERS,
    AskedGroups,
    AskedItems,
    Asking,
    Records,
    answer_groups,
    as_records,
    as_text,
    check_length,
    is_nothing,
    read_groups,
    read_items,
)
from attrec.serving.served import DEFAULT_K, Served
from attrec.serving.titles import Match

_COMPARISONS = 35_000_000
"""Of typed titles with those of items, in one request: some ten seconds of a processor."""


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
    def find(self, row: Mapping[Any, Any]) -> Match:
        """The item that a row means by its title."""

    def recommend(self, ids: list[int | str], k: int = DEFAULT_K) -> pd.DataFrame:
        """rank, item_id, title, genres, score, and perhaps more, of what suits a group of items best."""
        best = self.model.recommend(ids, k).assign(user_id=0)
        return self.shown(best, [ids]).drop(columns="user_id")

    def shown(self, best: pd.DataFrame, groups: Sequence[list[int | str]]) -> pd.DataFrame:
        """What is shown of the best items (user_id, which is the place of a group, ascending; item_id; and more) of
        groups of ids."""
        return self.with_titles(best)

    def answer_all(self, requests: Sequence[Asking]) -> list[Records | DataError]:
        """The k best items of each group of each request."""
        read = [self._read(asking) for asking in requests]
        found: list[dict[str | None, Records]] = [{} for _ in requests]
        for k in {groups.k for groups in read if isinstance(groups, AskedGroups)}:
            asked = [
                (place, name, items)
                for place, groups in enumerate(read)
                if isinstance(groups, AskedGroups) and groups.k == k
                for name, items in groups.asked.items()
            ]
            # No more at once than of one request.
            at_once = max(1, MOST_ANSWERS // k)
            for first in range(0, len(asked), at_once):
                some = asked[first : first + at_once]
                best = self._best([items for _, _, items in some], k)
                for (place, name, _), rows in zip(some, best, strict=True):
                    found[place][name] = rows
        return [self._told(groups, answers) for groups, answers in zip(read, found, strict=True)]

    def _read(self, asking: Asking) -> AskedGroups | DataError:
        found: dict[tuple[Any, Any], Match | str] = {}

        def find(row: Mapping[Any, Any]) -> Match:
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

        def read(own: Records) -> AskedItems:
            return read_items(own, self.group, self.model.items, find if self.titles else None)

        try:
            check_length(asking.rows)
            self._check_titles(asking.rows)
            return read_groups(asking, self.group, self.groups, min(asking.k, len(self.model.items)), read)
        except DataError as error:
            return error

    def _best(self, asked: Sequence[AskedItems], k: int) -> list[Records]:
        """The best items of each group."""
        groups = [each.ids for each in asked]
        places = np.repeat(np.arange(len(groups)), [len(ids) for ids in groups])
        told = pd.DataFrame({"user_id": places, "item_id": list(chain.from_iterable(groups))})
        best = self.shown(self.recommend_all(Asked.of_rows(told), k, None), groups)
        ends = best["user_id"].searchsorted(np.arange(len(groups) + 1))
        columns = [column.name for column in self.outputs if column.name in best]
        rows = as_records(best[columns])
        said = ({self.taken: each.taken, "left_out": each.left_out} for each in asked)
        return [
            [{**row, **of_group} for row in rows[first:end]]
            for first, end, of_group in zip(ends[:-1], ends[1:], said, strict=True)
        ]

    def _told(
        self, groups: AskedGroups | DataError, answers: Mapping[str | None, Records]
    ) -> Records | DataError:
        if isinstance(groups, DataError):
            return groups
        try:
            columns = [column.name for column in self.outputs]
            return answer_groups(groups, answers, self.group, self.groups, columns)
        except DataError as error:
            return error

    def _check_titles(self, rows: Records) -> None:
        """Raises: DataError: to look up so many titles takes longer than anybody waits."""
        if self.titles is None:
            return
        typed = dict.fromkeys(
            (as_text(row["title"]), *(as_text(name) for name in [row.get("artist")] if not is_nothing(name)))
            for row in rows
            if is_nothing(row.get("item_id")) and not is_nothing(row.get("title"))
        )
        spent = 0
        for number, words in enumerate(typed):
            spent += self.titles.comparisons(*words)
            if spent > _COMPARISONS and number:
                raise DataError(
                    f"The request has {len(typed):,} different titles, which take too long to look up: send"
                    f" {number:,} at most, or the column item_id."
                )
