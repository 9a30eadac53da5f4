"""Frames that people hand over, checked: what is wrong with one is told in a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from attrec.errors import DataError

PAIR = ("user_id", "item_id")


def check_ids(frame: pd.DataFrame, what: str, columns: Sequence[str] = PAIR) -> None:
    """See that a frame has columns of ids, with an id in each row.

    Args:
        what: What its rows are, in the plural, for messages: `ratings`.

    Raises:
        DataError: it is no frame, or has no such column; or a row has no id, or ids are numbers and texts, true and
            false, or no whole numbers.
    """
    _check_columns(frame, what, columns)
    for column in columns:
        _refuse(frame, frame[column].isna(), f"no {column}", what)
        if pd.api.types.is_bool_dtype(frame[column]):
            raise DataError(f"In the {what} {column} is true or false: give ids.")
        if pd.api.types.is_float_dtype(frame[column]):
            _refuse(frame, frame[column] % 1 != 0, f"a {column} that is no whole number", what)
        if _kind(pd.Index(frame[column])) == "mixed":
            raise DataError(
                f"In the {what} some of {column} are numbers and some are text: write all as text, as by astype(str)."
            )


def check_numbers(frame: pd.DataFrame, what: str, column: str) -> None:
    """See that a column of a frame has a finite number in each row.

    Raises:
        DataError: there is no such column, it has text, or a row has no number or an infinite one.
    """
    _check_columns(frame, what, (column,))
    values = frame[column]
    _refuse(frame, values.isna(), f"no {column}", what)
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        raise DataError(
            f"In the {what} {column} is no number, but such as {values.iloc[0]!r}: convert it, as by astype(float)."
        )
    _refuse(frame, ~np.isfinite(values.to_numpy("float64")), f"an infinite {column}", what)


def check_kind(asked: pd.Index, what: str, known: pd.Index) -> None:
    """See that ids are of the kind that a model knows: 196 is not "196", and would be taken for somebody unknown.

    Args:
        what: What they are, for messages: `user_id of the pairs`.

    Raises:
        DataError: they are text and those of the model numbers, or the other way round.
    """
    given, expected = _kind(asked), _kind(known)
    if {given, expected} == {"text", "numbers"}:
        raise DataError(
            f"{what} is {given} such as {_shown(asked)}, and the model knows {expected} such as {_shown(known)}:"
            " give ids of one type, as by astype."
        )


def sorted_ids(*columns: pd.Series) -> pd.Index:
    """Each id of some columns once, in order, under the name of the first."""
    ids = pd.Index(pd.concat(columns).unique(), name=columns[0].name)
    if isinstance(ids, pd.CategoricalIndex):
        ids = ids.astype(ids.categories.dtype)
    return ids.sort_values()


def checked_features(features: pd.DataFrame, what: str, id_column: str) -> pd.DataFrame:
    """A table of numbers with a row for each id, which stand in the index or in a column of that name.

    Raises:
        DataError: it is no frame, an id is missing or there twice, or a feature is no finite number.
    """
    _check_columns(features, what, ())
    if id_column in features:
        features = features.set_index(id_column)
    if features.index.hasnans:
        raise DataError(f"A row of the {what} has no {id_column}: leave it out.")
    if not features.index.is_unique:
        twice = features.index[features.index.duplicated()][0]
        raise DataError(f"{id_column} {twice} has more than one row in the {what}: keep one.")
    for column, values in features.items():
        if not pd.api.types.is_numeric_dtype(values):
            raise DataError(
                f"{column} of the {what} is no number: make columns of numbers of it, as by pandas.get_dummies, or "
                f"leave it out; or, if it is what ids are called, call it {id_column}."
            )
        if not np.isfinite(values.to_numpy("float64", na_value=np.nan)).all():
            raise DataError(
                f"{column} of the {what} is missing or infinite in a row: fill it in, as by fillna."
            )
    return features


def _check_columns(frame: Any, what: str, columns: Sequence[str]) -> None:
    if not isinstance(frame, pd.DataFrame):
        named = f" with the columns {', '.join(columns)}" if columns else ""
        raise DataError(f"The {what} are a {type(frame).__name__}: give a pandas DataFrame{named}.")
    lacking = [column for column in columns if column not in frame]
    if lacking:
        there = f"only {', '.join(map(str, frame))}" if len(frame.columns) else "no column at all"
        raise DataError(f"The {what} have no column {lacking[0]}, {there}: rename the one that is meant.")


def _refuse(frame: pd.DataFrame, bad: pd.Series | np.ndarray, fault: str, what: str) -> None:
    found = np.asarray(bad, dtype=bool)
    if found.any():
        more = f", as have {count:,} more" if (count := int(found.sum()) - 1) else ""
        row = frame.index[int(found.argmax())]
        raise DataError(f"Row {row} of the {what} has {fault}{more}: mend them or leave them out.")


def _kind(ids: pd.Index) -> str:
    """`numbers`, `text`, `mixed`, or nothing of what is neither."""
    if pd.api.types.is_numeric_dtype(ids.dtype):
        return "numbers"
    inferred = ids.categories.inferred_type if isinstance(ids, pd.CategoricalIndex) else ids.inferred_type
    kinds = {"string": "text", "integer": "numbers", "floating": "numbers"}
    return kinds.get(inferred, "mixed" if inferred.startswith("mixed") else "")


def _shown(ids: pd.Index) -> str:
    return repr(ids[:1].tolist()[0])
