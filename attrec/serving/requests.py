"""Requests that a server gets as a table: groups of rows in, items for each of them out, every fault one sentence."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.serving.asked import as_id
from attrec.serving.titles import Match

MOST_ROWS = 100_000
"""Of a request."""
MOST_ANSWERS = 250_000
"""Rows of an answer, likewise."""
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
    read: Callable[[pd.DataFrame], AskedItems],
    answer: Callable[[Sequence[AskedItems]], pd.DataFrame],
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
        read: What the rows of one group ask about; raises DataError where they ask nothing.
        answer: To groups: user_id, which is the place of a group, item_id, rank and more; nothing of one to which there
            is no answer.
        columns: Of the answer, `group` and `error` among them; of nullable types, for JSON has no NaN.

    Raises:
        DataError: the request is no request or too large, or no group can be answered; the sentence names them.
    """
    if k < 1:
        raise DataError(f"k is {k}: ask for one item at least.")
    if not {"item_id", "title"} & set(rows):
        raise DataError("There is neither a column item_id nor a column title: give one of them.")
    if rows.empty:
        raise DataError(
            f"There is no row: give one an item of the {group}, with the column item_id or title."
        )
    check_length(rows)
    names = _names(rows, group)
    order = pd.Index(names.unique())
    if len(order) * k > MOST_ANSWERS:
        raise DataError(
            f"{k:,} items for each of {len(order):,} {groups} are more than the {MOST_ANSWERS:,} that one answer has at"
            f" most: ask for fewer items, or for fewer {groups} at once."
        )
    asked: dict[str, AskedItems] = {}
    errors: dict[str, str] = {}
    for name, own in rows.groupby(names, sort=False):
        try:
            asked[name] = read(own)
        except DataError as error:
            errors[name] = str(error)
    answers = pd.DataFrame({group: []}, dtype=object)
    if asked:
        answers = answer(list(asked.values()))
        answers[group] = np.array(list(asked), dtype=object)[answers["user_id"]]
        nothing_left = f"The {group} has every item of this model, so there is none to recommend."
        errors |= dict.fromkeys(set(asked) - set(answers[group]), nothing_left)
    if len(errors) == len(order):
        named = group in rows
        raise none_answered(
            [f"{name!r}: {errors[name]}" if named else errors[name] for name in order], groups
        )
    refused = pd.DataFrame({group: list(errors), "error": list(errors.values())}, dtype=object)
    # Beside a group without items, whole numbers would become floats, and large ids others.
    every = pd.concat([answers.convert_dtypes(), refused], ignore_index=True) if errors else answers
    in_order = np.argsort(order.get_indexer(every[group]), kind="stable")
    return every.iloc[in_order].reset_index(drop=True).reindex(columns=list(columns)).convert_dtypes()


def check_length(rows: pd.DataFrame) -> None:
    """Raises: DataError: these are more rows than a server answers while somebody waits."""
    if len(rows) > MOST_ROWS:
        raise DataError(
            f"The request has {len(rows):,} rows: send {MOST_ROWS:,} at most, or ask for all in a file by `attrec"
            " export`."
        )


def none_answered(errors: Sequence[str], several: str) -> DataError:
    """What is said where nothing of what was asked has an answer, each of these for its own reason; `several` are what
    they are, as in "histories"."""
    if len(errors) == 1:
        return DataError(errors[0])
    return DataError(f"None of the {len(errors):,} {several} can be answered: {_first(errors, ' ')}")


def _first(said: Sequence[str], between: str) -> str:
    """The first few, each once, and how many more there are."""
    each = list(dict.fromkeys(said))
    more = f" and {len(each) - _SHOWN:,} more" if len(each) > _SHOWN else ""
    return f"{between.join(each[:_SHOWN])}{more}"


def read_items(
    rows: pd.DataFrame,
    group: str,
    known: pd.Index,
    find: Callable[[Mapping[Hashable, Any]], Match] | None,
) -> AskedItems:
    """The items of one group; those that the model does not know are left out.

    Args:
        rows: With `item_id`, or else with `title`, row by row.
        group: What the rows are together, for messages.
        known: Ids that the model knows.
        find: The item of a row with a title; None where items have no titles.

    Raises:
        DataError: a row has neither, a list of them or what is no id; there are no titles; or the model knows nothing
            of the group.
    """
    ids: list[int | str] = []
    taken: list[str] = []
    faults: list[str] = []
    for number, row in enumerate(rows.to_dict("records"), start=1):
        if not all(pd.api.types.is_scalar(value) for value in row.values()):
            raise DataError(f"Row {number} of the {group} has a list in a field: give one item a row.")
        if pd.notna(row.get("item_id")):
            try:
                ids.append(as_id(row["item_id"], known, "item"))
            except DataError as error:
                raise DataError(f"Row {number} of the {group}: {error}") from None
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
        raise DataError(_first(faults, " "))
    heard_of = [item for item in ids if item in known]
    strange = [str(item) for item in ids if item not in known]
    if not heard_of:
        like = ", ".join(map(str, known[:3]))
        raise DataError(
            f"No item of this {group} is known to the model: there is no {_first(strange, ', ')}; its items are"
            f" like {like}."
        )
    if strange:
        faults.insert(0, f"There is no item {_first(strange, ', ')}.")
    return AskedItems(heard_of, "; ".join(taken) or None, _first(faults, " ") or None)


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
