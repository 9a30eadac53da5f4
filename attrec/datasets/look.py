"""What a strange file seems to be: its form, what each column holds and means, and the parameters that read it so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from attrec.datasets.delimited import DelimitedText
from attrec.datasets.forms import Form, form_of
from attrec.datasets.meanings import MOSTLY, ROLES, Column, Role, noun_of, roles_of
from attrec.datasets.own_data import OwnDataConfig, format_of, open_table, read_own_data
from attrec.datasets.tables import RATING_COLUMNS, Tables, as_written
from attrec.errors import DataError, ParamsError
from attrec.parameters import explain

STEPS = "how it is written", "what its columns are", "all of it"
SAMPLE = 20_000
"""Rows by which the columns are told."""
MOST_COUNTED = 5_000_000
"""Rows up to which different values are counted exactly."""
COUNTED_AT_ONCE = 32
"""Columns: what DuckDB needs to count the different values of several grows faster than their number."""

_UNREADABLE = "have something that cannot be read"
_MISSING = "lack the user, the item, the rating or the time"


@dataclass
class Look:
    """What a file seems to be."""

    form: str
    """In words."""
    rows: int
    columns: list[Column]
    roles: dict[str, str]
    """By the name of a column, what it seems to mean."""
    section: dict[str, Any]
    """What `dataset` of params.yaml says to read it so."""
    odd: list[str] = field(default_factory=list)
    """What deserves a second look, a sentence each."""

    def table(self) -> list[dict[str, Any]]:
        """A row a column, to show."""
        return [
            {
                "column": one.name,
                "means": self.roles.get(one.name, ""),
                "holds": one.holds,
                "distinct": one.distinct,
                "missing": self.rows - one.known,
                "examples": ", ".join(one.examples),
            }
            for one in self.columns
        ]


def look(
    path: Path,
    name: str,
    items: Path | None = None,
    users: Path | None = None,
    meant: Mapping[Role, str | None] | None = None,
    source: Mapping[str, str] | None = None,
    at: Callable[[str], None] = lambda step: None,
) -> Look:
    """Look at a file of ratings or actions, and at tables of its items and users.

    Args:
        name: What the data shall be called.
        meant: By meaning, columns that are known; None where nothing has it.
        source: What the section says of where they come from; left out, the name of the file.
        at: Told of each of the `STEPS` as it begins.

    Raises:
        DataError: a file is missing, empty or unreadable, or nothing of it could be users or items.
    """
    at(STEPS[0])
    form = form_of(path)
    at(STEPS[1])
    rows, columns = _columns_of(path, form)
    if not rows:
        raise DataError(f"{path} has a header line and no rows: give a file with some.")
    roles = roles_of(columns, meant or {}, path)
    by_role = {role: next(one for one in columns if one.name == column) for role, column in roles.items()}
    section: dict[str, Any] = {"name": name, **(source or {"path": path.name}), **_as_params(form, path)}
    if form.names is not None:
        named = {column: role for role, column in roles.items()}
        section["columns"] = [named.get(one.name, one.name) for one in columns]
        roles = {role: str(role) for role in roles}
        columns = [replace(one, name=named.get(one.name, one.name)) for one in columns]
    keys = {
        "user": "user_column",
        "item": "item_column",
        "rating": "rating_column",
        "time": "timestamp_column",
    }
    section |= {keys[role]: roles.get(role) for role in ROLES}
    odd = [*form.odd, *_scale(path, by_role, section), *_time(by_role, section)]
    if noun := noun_of(by_role["item"]):
        section["noun"] = noun
    told = {column: str(role) for role, column in roles.items()}
    for table, side in ((items, "items"), (users, "users")):
        if table is not None:
            said, left_out = _beside(table, side, by_role["item" if side == "items" else "user"], form)
            section |= said
            odd += left_out
    found = Look(form.words, rows, columns, told, _without_defaults(section), odd)
    if by_role["item"].distinct == rows > 1:
        found.odd.append("Every row has another item: is this a table of items rather than of ratings?")
    at(STEPS[2])
    found.odd += _read_once(found.section, path, items, users)
    return found


def _columns_of(path: Path, form: Form) -> tuple[int, list[Column]]:
    """How many rows there are, and the columns."""
    with open_table(path, form.dialect, form.format, form.names) as table:
        return _sampled(table)


def _sampled(table: DelimitedText) -> tuple[int, list[Column]]:
    source = table.source
    texts = [f"nullif(trim({column}), '')" for column in source.columns.values()]
    [rows] = source.measure("count(*)")
    distinct = "count(DISTINCT {})" if rows <= MOST_COUNTED else "approx_count_distinct({})"
    counts: list[tuple[int, int]] = []
    for first in range(0, len(texts), COUNTED_AT_ONCE):
        some = texts[first : first + COUNTED_AT_ONCE]
        found = source.measure(*(f"count({text})" for text in some), *map(distinct.format, some))
        counts += zip(found[: len(some)], found[len(some) :], strict=True)
    selected = ", ".join(f"{text} AS c{place}" for place, text in enumerate(texts))
    sample = source.table(
        f"SELECT * FROM (SELECT {selected} FROM {source.relation}) USING SAMPLE reservoir({SAMPLE} ROWS) REPEATABLE (0)"
    ).to_pandas()
    columns = [
        Column(name, sample[f"c{place}"].dropna().astype(str), *counts[place])
        for place, name in enumerate(source.columns)
    ]
    return int(rows), columns


def _as_params(form: Form, path: Path) -> dict[str, Any]:
    dialect = form.dialect
    said: dict[str, Any] = {}
    if form.format != format_of(path):
        said["format"] = form.format
    if dialect.encoding != "utf-8":
        said["encoding"] = dialect.encoding
    if form.format == "delimited":
        said["separator"] = dialect.separator
        if len(dialect.separator) == 1 and dialect.separator != " ":
            said |= {"quote": dialect.quote, "escape": dialect.escape}
    return said


def _scale(path: Path, by_role: Mapping[Role, Column], section: dict[str, Any]) -> list[str]:
    """Lowest and highest rating and the step between them, into the section; what is odd about it."""
    rating = by_role.get("rating")
    if rating is None:
        return [
            "Nothing seems to be a rating (no column of few different numbers): each row is taken for an action."
        ]
    if rating.decimal is None:
        raise DataError(
            f"{path}: the ratings in {rating.name!r} are no numbers, such as {rating.examples[0]!r}."
        )
    if rating.decimal == ",":
        section["decimal"] = ","
    values = np.unique(rating.numbers.to_numpy(dtype=float))
    endless = int(np.isinf(values).sum())
    values = values[np.isfinite(values)]
    if len(values) == 0:
        raise DataError(f"{path}: no rating in {rating.name!r} is a finite number.")
    if len(values) < 2:
        raise DataError(
            f"{path}: every rating in {rating.name!r} is {values[0]:g}: say --rating none if the rows are actions."
        )
    step = _step(values)
    low, high = float(values[0]), float(values[-1])
    section |= {"rating_min": _short(low), "rating_max": _short(high), "rating_step": _short(step)}
    odd = []
    if endless:
        odd.append(f"Some ratings in {rating.name} are infinite: they are taken for missing.")
    nothing = float((rating.numbers == 0).mean())
    if low == 0 and values[1] >= 1 and nothing > 0.2:
        odd.append(
            f"{nothing:.0%} of the ratings are 0, which in many data means that there is none: look there."
        )
    if len(values) > 50:
        odd.append(f"There are {len(values)} different ratings: the step {step:g} may be too fine.")
    return odd


def _step(values: np.ndarray) -> float:
    """The largest of the usual steps on which all values lie."""
    for step in (10, 5, 2, 1, 0.5, 0.25, 0.2, 0.1, 0.05, 0.01):
        places = (values - values[0]) / step
        if step <= np.diff(values).min() + 1e-9 and np.allclose(places, places.round(), atol=1e-6):
            return float(step)
    return 0.001


def _short(value: float) -> int | float:
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _time(by_role: Mapping[Role, Column], section: dict[str, Any]) -> list[str]:
    time = by_role.get("time")
    if time is None:
        return ["Nothing seems to be a time: the order of the rows is taken for that of time."]
    if not time.dates:
        return (
            []
            if time.unit
            else [f"{time.name} is named like a time and holds none: leave it out if it is none."]
        )
    if time.dates[0] != "ISO8601":
        section["timestamp_format"] = time.dates[0]
    if len(time.dates) > 1 and "ISO8601" not in time.dates:
        return [f"The dates in {time.name} may be {' or '.join(time.dates)}: see which is right."]
    return []


def _beside(path: Path, side: str, ids: Column, ratings: Form) -> tuple[dict[str, Any], list[str]]:
    """What the section says of a table of items or users, and what is odd about it."""
    form = form_of(path)
    if form.names is not None:
        raise DataError(f"{path} has no header line: a table of {side} needs one.")
    _, columns = _columns_of(path, form)
    known = set(ids.values)
    shared = [len(known & set(one.values)) if one.distinct > MOSTLY * one.known else 0 for one in columns]
    fewer = [min(len(known), one.distinct) for one in columns]
    if not any(same > few / 2 for same, few in zip(shared, fewer, strict=True)):
        raise DataError(
            f"{path}: no column has the ids of {ids.name!r} once each, such as {', '.join(ids.examples)}:"
            f" name the table of {side}."
        )
    key = columns[int(np.argmax(shared))]
    said: dict[str, Any] = {f"{side}_path": path.name}
    if form.format == "delimited" and form.dialect.separator != ratings.dialect.separator:
        said[f"{side}_separator"] = form.dialect.separator
    if form.format == "delimited" and form.dialect.encoding != ratings.dialect.encoding:
        said[f"{side}_encoding"] = form.dialect.encoding
    left = [one for one in columns if one is not key]
    said["items_item_column" if side == "items" else "users_user_column"] = key.name
    if side == "items":
        said["title_column"] = None
    for meaning in ("title", "genres", "year", "artist") if side == "items" else ():
        named = [one for one in left if one.is_named(meaning)]
        if named:
            said[f"{meaning}_column"] = named[0].name
            left.remove(named[0])
            if meaning == "genres":
                marks = {mark: int(named[0].values.str.contains(mark, regex=False).sum()) for mark in "|,;/"}
                said["genres_separator"] = (
                    max(marks, key=lambda mark: marks[mark]) if any(marks.values()) else "|"
                )
    said["item_columns" if side == "items" else "user_columns"] = [one.name for one in left if one.describes]
    unused = [one.name for one in left if not one.describes]
    odd = list(form.odd)
    if unused:
        odd.append(
            f"Of {path.name} left out: {', '.join(unused)}, neither numbers nor categories that several share."
        )
    return said, odd


def _without_defaults(section: Mapping[str, Any]) -> dict[str, Any]:
    fields = OwnDataConfig.model_fields
    same = {key for key, value in section.items() if value == fields[key].default or value in ([], ())}
    return {key: value for key, value in section.items() if key == "name" or key not in same}


def _read_once(section: Mapping[str, Any], path: Path, items: Path | None, users: Path | None) -> list[str]:
    """Read everything as the pipeline will, and say what is odd about what it finds."""
    places = {"path": path, "items_path": items, "users_path": users}
    here = {key: value for key, value in section.items() if key not in ("url", "query")}
    given = {key: place for key, place in places.items() if place is not None}
    try:
        config = OwnDataConfig.model_validate({**here, **given})
    except ValidationError as error:
        raise ParamsError(f"What was found contradicts itself: {explain(error, OwnDataConfig)}") from error
    tables = read_own_data(config)
    faults = _faults(tables, config)
    bad = np.logical_or.reduce(list(faults.values()))
    lines = tables.ratings["line"].to_numpy()
    odd = [
        f"{rows.sum():,} rows {fault}, the first in line {lines[rows][0]:,}."
        for fault, rows in faults.items()
        if rows.any()
    ]
    if bad.any():
        odd.append(
            f"{bad.sum():,} of {len(bad):,} rows are bad ({bad.mean():.2%}): where they are more than"
            " prepare.validation.max_bad_fraction the run stops, else they are left out, of those that rate an item"
            " again all but the last."
        )
    for side in ("user", "item"):
        ids = tables.ratings[f"{side}_id"].dropna().drop_duplicates()
        if not pd.api.types.is_numeric_dtype(ids) and (twins := ids.str.strip().duplicated(keep=False)).any():
            odd.append(
                f"{twins.sum():,} {side}s differ from another by blanks around the id alone, such as"
                f" {ids[twins].iloc[0]!r}: each is taken for one of its own."
            )
    rows = tables.ratings[~np.logical_or.reduce([faults[fault] for fault in (_UNREADABLE, _MISSING)])]
    few = int((rows["user_id"].value_counts() < 2).sum())
    if few:
        odd.append(f"{few:,} of {rows['user_id'].nunique():,} users have one row alone.")
    return odd


def _faults(tables: Tables, config: OwnDataConfig) -> dict[str, np.ndarray]:
    """By what is wrong with them, which ratings the pipeline's validation will call bad."""
    rows = tables.ratings
    unread = rows[as_written(rows)].notna().any(axis=1).to_numpy(dtype=bool)
    names = [name for name in RATING_COLUMNS if name in rows]
    faults = {
        _UNREADABLE: unread,
        _MISSING: rows[names].isna().any(axis=1).to_numpy() & ~unread,
    }
    if "rating" in rows:
        outside = (rows["rating"] < config.rating_min) | (rows["rating"] > config.rating_max)
        known = rows["user_id"].notna() & rows["item_id"].notna()
        faults |= {
            f"have a rating that is not in {config.rating_min:g} to {config.rating_max:g}": outside.to_numpy(),
            "rate an item that their user rates more than once": (
                known & rows.duplicated(["user_id", "item_id"], keep=False)
            ).to_numpy(),
        }
    for side, table in (("user", tables.users), ("item", tables.items)):
        ids = rows[f"{side}_id"]
        strange = ids.notna() & ~ids.isin(table[f"{side}_id"])
        faults[f"name what is not in the table of {side}s"] = strange.to_numpy(dtype=bool)
    return faults
