"""Requests that a server gets as a table: groups of rows in, items for each of them out, every fault one sentence."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pandas as pd

from attrec.errors import DataError
from attrec.titles import Match

_SHOWN = 3


def answer_groups(
    rows: pd.DataFrame, group: str, groups: str, k: int, answer: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """The answers to all groups of rows, one below the other, each with the name of its group.

    Args:
        rows: One an item, with the column `item_id` or `title`; and the column `group`, any text that tells groups
            apart, where there are several.
        group: What the rows of a group are together, as in "history".
        groups: Several of them, as in "histories".
        k: Items that are asked for.
        answer: Of the rows of one group; raises DataError where there is none.

    Raises:
        DataError: the request is no request, or groups cannot be answered; the sentence names them.
    """
    if k < 1:
        raise DataError(f"k is {k}: ask for one item at least.")
    if rows.empty:
        raise DataError(
            f"There is no row: give one an item of the {group}, with the column item_id or title."
        )
    if not {"item_id", "title"} & set(rows):
        raise DataError("There is neither a column item_id nor a column title: give one of them.")
    names = rows.get(group, pd.Series("1", index=rows.index)).fillna("").astype(str)
    answers, refused = [], []
    for name, own in rows.groupby(names, sort=False):
        try:
            answers.append(answer(own).assign(**{group: name}))
        except DataError as error:
            if group not in rows:
                raise
            refused.append(f"{name!r}: {error}")
    if refused:
        shown = " ".join(refused[:_SHOWN]) + (" ..." if len(refused) > _SHOWN else "")
        of = len(refused) + len(answers)
        raise DataError(f"Leave out or mend {len(refused)} of {of} {groups} that cannot be answered: {shown}")
    return pd.concat(answers, ignore_index=True)


def read_items(
    rows: pd.DataFrame, group: str, find: Callable[[Mapping[Hashable, Any]], Match] | None
) -> tuple[list[int | str], str | None]:
    """The item ids of one group, and what its titles, if any, were taken for.

    Args:
        rows: With `item_id`, or else with `title`, row by row.
        group: What the rows are together, for messages.
        find: The item of a row with a title; None where items have no titles.

    Raises:
        DataError: a row has neither, a title is not found, or there are none.
    """
    ids: list[int | str] = []
    taken: list[str] = []
    for number, row in enumerate(rows.to_dict("records"), start=1):
        if pd.notna(row.get("item_id")):
            ids.append(row["item_id"])
            continue
        if pd.isna(row.get("title")):
            raise DataError(f"Row {number} of the {group} has neither an item_id nor a title: give one.")
        if find is None:
            raise DataError("The items of this model have no titles: give the column item_id.")
        match = find(row)
        ids.append(match.item_id)
        taken.append(match.title)
    return ids, "; ".join(taken) or None
