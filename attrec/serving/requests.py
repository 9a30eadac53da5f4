"""Requests that a server gets: groups of rows in, items for each of them out, every fault one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from attrec.errors import DataError
from attrec.serving.asked import as_id
from attrec.serving.titles import Match

MOST_ROWS = 100_000
"""Of a request."""
MOST_ANSWERS = 250_000
"""Rows of an answer, likewise."""
_SHOWN = 3


Records = Sequence[Mapping[Any, Any]]
"""Rows by the names of their columns; one that a row lacks is empty there."""


@dataclass(frozen=True)
class Asking:
    """A request."""

    rows: Records
    k: int
    """Items that are asked for, where an answer is a list."""


@dataclass(frozen=True)
class AskedItems:
    """What the rows of one group ask about."""

    ids: list[int | str]
    taken: str | None
    """What its titles, if any, were taken for."""
    left_out: str | None
    """Ids that the model does not know, and why titles were not found."""


@dataclass(frozen=True)
class AskedGroups:
    """What the groups of a request ask about."""

    order: list[str | None]
    """Their names, as they first occur; None of rows that name none among others that do."""
    named: bool
    asked: dict[str | None, AskedItems]
    errors: dict[str | None, str]
    """Why the others ask nothing."""
    k: int


def read_groups(
    asking: Asking, group: str, groups: str, k: int, read: Callable[[Records], AskedItems]
) -> AskedGroups:
    """What is asked, group by group.

    Args:
        asking: With rows of one item each, in the column `item_id` or `title`; and the column `group`, any text that
            tells groups apart, where there are several.
        group: What the rows of a group are together, as in "history".
        groups: Several of them, as in "histories".
        k: Items that are answered with, at most as many as are asked for.
        read: What the rows of one group ask about; raises DataError where they ask nothing.

    Raises:
        DataError: the request is no request or too large; the sentence says why.
    """
    rows = asking.rows
    if asking.k < 1:
        raise DataError(f"k is {asking.k}: ask for one item at least.")
    if not rows:
        raise DataError(
            f"There is no row: give one an item of the {group}, with the column item_id or title."
        )
    if not any("item_id" in row or "title" in row for row in rows):
        raise DataError("There is neither a column item_id nor a column title: give one of them.")
    check_length(rows)
    named = any(group in row for row in rows)
    of_group: dict[str | None, list[Mapping[Any, Any]]] = {}
    unnamed: list[int] = []
    for number, row in enumerate(rows, start=1):
        nameless = is_nothing(row.get(group))
        of_group.setdefault(None if nameless else as_text(row[group]), []).append(row)
        if named and nameless:
            unnamed.append(number)
    errors: dict[str | None, str] = {}
    if unnamed:
        whose = (
            f"{unnamed[0]} has" if len(unnamed) == 1 else f"{unnamed[0]} and {len(unnamed) - 1:,} more have"
        )
        errors[None] = (
            f"Row {whose} nothing in the column {group}: say to which {group} each row belongs, or leave the"
            " column out."
        )
    if len(of_group) * k > MOST_ANSWERS:
        raise DataError(
            f"{k:,} items for each of {len(of_group):,} {groups} are more than the {MOST_ANSWERS:,} that one answer has"
            f" at most: ask for fewer items, or for fewer {groups} at once."
        )
    asked: dict[str | None, AskedItems] = {}
    for name, own in of_group.items():
        if name in errors:
            continue
        try:
            asked[name] = read(own)
        except DataError as error:
            errors[name] = str(error)
    return AskedGroups(list(of_group), named, asked, errors, k)


def answer_groups(
    request: AskedGroups,
    answers: Mapping[str | None, Records],
    group: str,
    groups: str,
    columns: Sequence[str],
) -> Records:
    """The answers to all groups of a request, one below the other, each with the name of its group.

    A group that cannot be answered among others that can has one row, with nothing but its name and `error`, a
    sentence; so have, without a name, the rows that say of no group that they belong to it, all of them together. Where
    none can be answered the request is refused.

    Args:
        answers: To groups that ask something.
        columns: Of the answer, `group` and `error` among them.

    Raises:
        DataError: no group can be answered; the sentence names them.
    """
    nothing_left = f"The {group} has every item of this model, so there is none to recommend."
    errors = {**request.errors, **{name: nothing_left for name in request.asked if not answers[name]}}
    if len(errors) == len(request.order):
        raise none_answered(
            [
                errors[name] if name is None or not request.named else f"{name!r}: {errors[name]}"
                for name in request.order
            ],
            groups,
        )
    empty = dict.fromkeys(columns)
    found: list[Mapping[Any, Any]] = []
    for name in request.order:
        shown = name if request.named else "1"
        if name in errors:
            found.append({**empty, group: shown, "error": errors[name]})
        else:
            found.extend({**empty, group: shown, **row} for row in answers[name])
    return found


def as_records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """The rows of a frame, None where there is nothing."""
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame]
    return [dict(zip(frame, row, strict=True)) for row in zip(*columns, strict=True)]


def as_text(value: Any) -> str:
    """Text as it was sent: a title such as 10 is a number, and beside a missing one a float."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def is_nothing(value: Any) -> bool:
    """Whether a field says nothing."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def check_length(rows: Records) -> None:
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
    rows: Records,
    group: str,
    known: pd.Index,
    find: Callable[[Mapping[Any, Any]], Match] | None,
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
    for number, row in enumerate(rows, start=1):
        if not all(pd.api.types.is_scalar(value) for value in row.values()):
            raise DataError(f"Row {number} of the {group} has a list in a field: give one item a row.")
        if not is_nothing(row.get("item_id")):
            try:
                ids.append(as_id(row["item_id"], known, "item"))
            except DataError as error:
                raise DataError(f"Row {number} of the {group}: {error}") from None
            continue
        if is_nothing(row.get("title")):
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
