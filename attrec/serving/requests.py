"""Requests that a server gets as a table: groups of rows in, items for each of them out, every fault one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from attrec.errors import DataError
from attrec.serving.titles import Match

_SHOWN = 3


@dataclass(frozen=True)
class AskedItems:
    """What the rows of one group ask about."""

    ids: list[int | str]
    taken: str | None
    """What its titles, if any, were taken for."""
    left_out: str | None
    """Ids that the model does not know, and why titles were not found."""


def answer_groups(
    rows: pd.DataFrame,
    group: str,
    groups: str,
    k: int,
    answer: Callable[[pd.DataFrame], pd.DataFrame],
    columns: Sequence[str],
) -> pd.DataFrame:
    """The answers to all groups of rows, one below the other, each with the name of its group.

    A group that cannot be answered among others that can has one row, with nothing but its name and `error`, a
    sentence. Where none can be answered the request is refused.

    Args:
        rows: One an item, with the column `item_id` or `title`; and the column `group`, any text that tells groups
            apart, where there are several.
        group: What the rows of a group are together, as in "history".
        groups: Several of them, as in "histories".
        k: Items that are asked for.
        answer: Of the rows of one group: item_id, rank and more; raises DataError where there is none.
        columns: Of the answer, `group` and `error` among them; of nullable types, for JSON has no NaN.

    Raises:
        DataError: the request is no request, or no group can be answered; the sentence names them.
    """
    if k < 1:
        raise DataError(f"k is {k}: ask for one item at least.")
    if not {"item_id", "title"} & set(rows):
        raise DataError("There is neither a column item_id nor a column title: give one of them.")
    if rows.empty:
        raise DataError(
            f"There is no row: give one an item of the {group}, with the column item_id or title."
        )
    names = _names(rows, group)
    answers, refused = [], []
    for name, own in rows.groupby(names, sort=False):
        try:
            answers.append(answer(own).assign(**{group: name}))
        except DataError as error:
            if group not in rows:
                raise
            refused.append(f"{name!r}: {error}")
            answers.append(pd.DataFrame({group: [name], "error": [str(error)]}))
    if len(refused) == len(answers):
        shown = " ".join(refused[:_SHOWN]) + (" ..." if len(refused) > _SHOWN else "")
        said = f"None of the {len(refused)} {groups}" if len(refused) > 1 else f"No {group}"
        raise DataError(f"{said} can be answered: {shown}")
    return pd.concat(answers, ignore_index=True).reindex(columns=list(columns)).convert_dtypes()


def read_items(
    rows: pd.DataFrame,
    group: str,
    known: pd.Index,
    find: Callable[[Mapping[Hashable, Any]], Match] | None,
) -> AskedItems:
    """The items of one group; those that the model does not know are left out, unless it knows none.

    Args:
        rows: With `item_id`, or else with `title`, row by row.
        group: What the rows are together, for messages.
        known: Ids that the model knows.
        find: The item of a row with a title; None where items have no titles.

    Raises:
        DataError: a row has neither or a list of them, there are no titles, or none is found and no id given.
    """
    ids: list[int | str] = []
    taken: list[str] = []
    faults: list[str] = []
    for number, row in enumerate(rows.to_dict("records"), start=1):
        if not all(pd.api.types.is_scalar(value) for value in row.values()):
            raise DataError(f"Row {number} of the {group} has a list in a field: give one item a row.")
        if pd.notna(row.get("item_id")):
            ids.append(_as_known(row["item_id"], known))
            continue
        if pd.isna(row.get("title")):
            raise DataError(f"Row {number} of the {group} has neither an item_id nor a title: give one.")
        if find is None:
            raise DataError("The items of this model have no titles: give the column item_id.")
        try:
            match = find(row)
        except DataError as error:
            faults.append(str(error))
            continue
        ids.append(match.item_id)
        taken.append(match.named)
    if not ids:
        raise DataError(" ".join(faults[:_SHOWN]))
    heard_of = [item for item in ids if item in known]
    strange = [str(item) for item in ids if item not in known] if heard_of else []
    if strange:
        faults.insert(0, f"There is no item {', '.join(strange)}.")
    return AskedItems(heard_of or ids, "; ".join(taken) or None, " ".join(faults) or None)


def _as_known(item: float | int | str, known: pd.Index) -> Any:
    """The id as the model writes it: a number may come as text, or beside a missing one as a float."""
    if isinstance(item, float) and item.is_integer():
        item = int(item)
    if isinstance(item, str) and pd.api.types.is_integer_dtype(known) and re.fullmatch("[0-9]{1,18}", item):
        return int(item)
    if isinstance(item, int) and not pd.api.types.is_integer_dtype(known):
        return str(item)
    return item


def _names(rows: pd.DataFrame, group: str) -> pd.Series:
    """Of each row's group; one and the same where there is no such column.

    Raises:
        DataError: some rows have one and others have none.
    """
    if group not in rows:
        return pd.Series("1", index=rows.index)
    unnamed = rows[group].isna().to_numpy()
    if unnamed.any():
        raise DataError(
            f"Row {int(unnamed.argmax()) + 1} has nothing in the column {group}: say to which {group} each row"
            " belongs, or leave the column out."
        )
    return rows[group].astype(str)
