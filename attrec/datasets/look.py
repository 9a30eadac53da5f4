"""What a strange file seems to be: its form, what each column holds and means, and the parameters that read it so."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from attrec.datasets.columns import TimeUnit, database, literal
from attrec.datasets.delimited import DelimitedText
from attrec.datasets.own_data import Format, OwnDataConfig, format_of, open_table, read_own_data
from attrec.datasets.plain_text import Dialect, read_block, unpacked
from attrec.datasets.tables import as_written
from attrec.errors import DataError, ParamsError
from attrec.parameters import explain

Role = Literal["user", "item", "rating", "time"]
ROLES: tuple[Role, ...] = ("user", "item", "rating", "time")
HEAD = 2**18
"""Bytes by which the dialect is told."""
SAMPLE = 20_000
"""Rows by which the columns are told."""
MOST_COUNTED = 5_000_000
"""Rows up to which different values are counted exactly."""
MOSTLY = 0.95
"""The share of values by which a column is what it is."""
MOST_RATINGS = 101
"""Different ratings that people give: whole per cents have so many."""
MOST_WHOLE = 21
"""Different ratings in whole numbers, where no name tells a rating from an id."""
MOST_CATEGORIES = 200

_WORDS: dict[str, str] = {
    "user": "user users kunde kunden kundin customer client member person reader leser visitor account uid player"
    " listener viewer usuario utilisateur utente buyer kaeufer reviewer shopper patient student playlist",
    "item": "item items book buch isbn film movie product produkt artikel article song track sku game title titel"
    " titre asin show video course recipe restaurant hotel place beer bier news iid livre libro",
    "rating": "rating ratings stars star sterne score note grade bewertung review vote punkte points nota valoracion"
    " overall",
    "time": "time timestamp date datum wann when ts at created day zeit datetime fecha unixtime",
    "title": "title titel titre name titulo titolo bezeichnung",
    "genres": "genre genres category categories kategorie tags tag shelves",
    "year": "year jahr annee ano released published erschienen",
    "artist": "artist artists interpret band performer",
}
_NAMES = {kind: frozenset(words.split()) for kind, words in _WORDS.items()}
_IDS = frozenset(["id", "nr", "no", "num", "number", "code", "key", "isbn", "asin", "sku", "uid", "iid"])
_NOUNS = {
    "book": "book buch isbn livre libro",
    "film": "film movie",
    "product": "product produkt sku asin",
    "article": "article artikel",
    "song": "song track",
    "game": "game",
    "recipe": "recipe",
    "course": "course",
    "beer": "beer bier",
}
_DATES = (
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S"),
    *("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%Y%m%d", "%m %d, %Y", "%b %d, %Y", "%d %b %Y"),
    "%a %b %d %H:%M:%S %z %Y",
)
_UNITS: dict[TimeUnit, float] = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}
_ERA = 6.3e8, 2.1e9
"""Seconds since 1970 of 1990 and of 2036: whole numbers between them are taken for times."""


@dataclass(frozen=True)
class Column:
    """A column, as a sample of its values shows it."""

    name: str
    values: pd.Series
    """Texts without blanks around them, none of them empty."""
    known: int
    """Rows that have a value."""
    distinct: int
    """Different values, about."""

    @cached_property
    def words(self) -> frozenset[str]:
        """Of the name: `UserID` and `user_id` have the same."""
        apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", self.name)
        return frozenset(re.findall(r"[^\W\d_]+", apart.lower()))

    @cached_property
    def decimal(self) -> str | None:
        """What its numbers have before the decimals; None of what is no number."""
        for mark in (".", ","):
            if self._numbers(mark).notna().mean() >= MOSTLY:
                return mark
        return None

    @cached_property
    def numbers(self) -> pd.Series:
        """The values that are numbers."""
        return self._numbers(self.decimal).dropna() if self.decimal else pd.Series(dtype=float)

    @cached_property
    def dates(self) -> list[str]:
        """How its dates may be written, as strptime takes it; `ISO8601` for that; empty of what is no date."""
        if self.decimal and not self.values.str.fullmatch(r"(19|20)\d{6}").mean() >= MOSTLY:
            return []
        return [form for form in ("ISO8601", *_DATES) if _are_dates(self.values, form)]

    @cached_property
    def unit(self) -> TimeUnit | None:
        """What it counts since 1970, if it seems to."""
        if self.decimal is None or not (self.numbers % 1 == 0).all() or self.numbers.empty:
            return None
        low, high = self.numbers.quantile(0.02), self.numbers.quantile(0.98)
        return next(
            (unit for unit, size in _UNITS.items() if _ERA[0] <= low / size and high / size <= _ERA[1]), None
        )

    @property
    def holds(self) -> str:
        """What it holds, in words."""
        if self.dates:
            return "dates"
        if self.decimal is None:
            return "text"
        return "whole numbers" if (self.numbers % 1 == 0).all() else "numbers"

    @property
    def examples(self) -> list[str]:
        """Its first values."""
        return [text if len(text) <= 24 else f"{text[:23]}…" for text in self.values.unique()[:3].tolist()]

    def is_named(self, kind: str) -> int:
        """How much its name speaks for a meaning: 0 for nothing."""
        hits = self.words & _NAMES[kind] or {word for word in self.words if word.rstrip("s") in _NAMES[kind]}
        return (2 + bool(self.words & _IDS)) if hits else 0

    def _numbers(self, mark: str | None) -> pd.Series:
        text = self.values if mark == "." else self.values.where(~self.values.str.contains(".", regex=False))
        return pd.to_numeric(text.str.replace(",", ".") if mark == "," else text, errors="coerce")


def _are_dates(values: pd.Series, form: str) -> bool:
    read = pd.to_datetime(values, format=form, errors="coerce", utc=True)
    return bool(read.notna().mean() >= MOSTLY)


@dataclass(frozen=True)
class Form:
    """How a file is written."""

    format: Format
    dialect: Dialect
    header: bool = True
    packed: bool = False

    @property
    def words(self) -> str:
        """For people."""
        packed = ", packed" if self.packed else ""
        if self.format != "delimited":
            return {"parquet": "Parquet", "json-lines": "JSON, one object a line"}[self.format] + packed
        names = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks", "|": "bars"}
        by = names.get(self.dialect.separator, repr(self.dialect.separator))
        header = "a header line" if self.header else "no header line"
        encoding = "" if self.dialect.encoding == "utf-8" else f", encoding {self.dialect.encoding}"
        return f"text delimited by {by}, {header}{encoding}{packed}"


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
) -> Look:
    """Look at a file of ratings or actions, and at tables of its items and users.

    Args:
        name: What the data shall be called.
        meant: By meaning, columns that are known; None where nothing has it.
        source: What the section says of where they come from; left out, the name of the file.

    Raises:
        DataError: a file is missing, empty or unreadable, or nothing of it could be users or items.
    """
    form = form_of(path)
    rows, columns = _columns_of(path, form)
    if not rows:
        raise DataError(f"{path} has a header line and no rows: give a file with some.")
    roles = _roles(columns, meant or {}, path)
    by_role = {role: next(one for one in columns if one.name == column) for role, column in roles.items()}
    section: dict[str, Any] = {"name": name, **(source or {"path": path.name}), **_as_params(form, path)}
    if not form.header:
        named = {column: role for role, column in roles.items()}
        section["columns"] = [named.get(one.name, one.name) for one in columns]
        roles = {role: str(role) for role in roles}
        columns = [_renamed(one, named.get(one.name, one.name)) for one in columns]
    keys = {
        "user": "user_column",
        "item": "item_column",
        "rating": "rating_column",
        "time": "timestamp_column",
    }
    section |= {keys[role]: roles.get(role) for role in ROLES}
    odd = _scale(path, by_role, section) + _time(by_role, section)
    if noun := _noun(by_role["item"]):
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
    found.odd += _read_once(found.section, path, items, users)
    return found


def form_of(path: Path) -> Form:
    """How a file is written, by its name and what it begins with.

    Raises:
        DataError: it is missing, empty, or packed in another way than gzip and zstandard.
    """
    with unpacked(path, str(path)) as stream:
        head = read_block(stream, str(path), HEAD)
    if not head.strip():
        raise DataError(f"{path} is empty: give a file with rows.")
    with path.open("rb") as raw:
        packed = raw.read(2) in (b"\x1f\x8b", b"\x28\xb5")
    named = format_of(path)
    if head.startswith(b"PAR1"):
        return Form("parquet", Dialect(), packed=packed)
    encoding = _encoding(path, head)
    if named == "json-lines" or re.match(rb"(\xef\xbb\xbf)?\s*\{", head):
        return Form("json-lines", Dialect(encoding=encoding), packed=packed)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head).removeprefix("\ufeff")
    lines = [line for line in re.split(r"\r\n?|\n", text) if line.strip()]
    # The last one may be cut off.
    lines = lines[:-1] if len(head) == HEAD and len(lines) > 1 else lines
    dialect, header = _dialect(lines, encoding)
    return Form("delimited", dialect, header, packed)


def _encoding(path: Path, head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with unpacked(path, str(path)) as stream:
            while block := read_block(stream, str(path)):
                decoder.decode(block)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _dialect(lines: Sequence[str], encoding: str) -> tuple[Dialect, bool]:
    import duckdb

    separator: str = ","
    quote: str | None = '"'
    escape: str | None = None
    if all("::" in line for line in lines):
        separator = "::"
    else:
        with database() as (connection, folder):
            sample = folder / "head.txt"
            sample.write_text("\n".join(lines) + "\n", encoding="utf-8")
            try:
                [said] = connection.sql(f"FROM sniff_csv({literal(sample)})").fetchall()
            except duckdb.Error as error:
                raise DataError(
                    f"The lines have nothing in common by which they could be a table ({lines[0][:60]!r}): is it one?"
                ) from error
        separator, quote = said[0], said[1] if said[1] not in ("(empty)", "") else '"'
        escape = said[2] if said[2] not in ("(empty)", "", quote) else None
        if len(said[7]) == 1:
            separator = _usual_separator(lines)
    if len(separator) > 1 or separator == " ":
        quote = escape = None
    dialect = Dialect(separator, quote, escape, encoding)
    rows = [_fields(dialect, line) for line in lines[:2000]]
    return dialect, _has_header(rows)


def _usual_separator(lines: Sequence[str]) -> str:
    """What could separate fields of lines that disagree on how many there are."""
    for separator in (",", ";", "\t", "|"):
        if separator in lines[0] and sum(separator in line for line in lines) > len(lines) / 2:
            return separator
    return " " if all(re.search(r"\S[ \t]+\S", line) for line in lines) else ","


def _fields(dialect: Dialect, line: str) -> list[str]:
    if dialect.separator == " ":
        return line.split()
    try:
        return dialect.fields(line)
    except csv.Error:
        return line.split(dialect.separator)


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: no number or date is in it, and no value of the rows below."""
    # A table that was written with the number of each row has no name for that.
    first = [text.strip() for text in rows[0]]
    if not any(first):
        return False
    if any(re.fullmatch(r"[-+]?[\d.,]+|\d{4}-\d\d-\d\d.*", text) for text in first):
        return False
    below = [set(column) for column in zip(*(row for row in rows[1:] if len(row) == len(first)), strict=True)]
    return not any(text and text in column for text, column in zip(first, below, strict=False))


def _columns_of(path: Path, form: Form) -> tuple[int, list[Column]]:
    """How many rows there are, and the columns; of a file without a header they are called 1, 2, …"""
    names = None
    if not form.header:
        with unpacked(path, str(path)) as stream:
            head = read_block(stream, str(path), HEAD).decode(form.dialect.encoding, errors="replace")
        first = next(line for line in re.split(r"\r\n?|\n", head) if line.strip())
        names = tuple(f"column{place}" for place in range(1, len(_fields(form.dialect, first)) + 1))
    with open_table(path, form.dialect, form.format, names) as table:
        return _sampled(table)


def _sampled(table: DelimitedText) -> tuple[int, list[Column]]:
    source = table.source
    texts = {name: f"nullif(trim({column}), '')" for name, column in source.columns.items()}
    [rows] = source.measure("count(*)")
    distinct = "count(DISTINCT {})" if rows <= MOST_COUNTED else "approx_count_distinct({})"
    counts = source.measure(
        *(f"count({text})" for text in texts.values()), *(distinct.format(text) for text in texts.values())
    )
    selected = ", ".join(f"{text} AS c{place}" for place, text in enumerate(texts.values()))
    sample = source.table(
        f"SELECT * FROM (SELECT {selected} FROM {source.relation}) USING SAMPLE reservoir({SAMPLE} ROWS) REPEATABLE (0)"
    ).to_pandas()
    columns = [
        Column(name, sample[f"c{place}"].dropna().astype(str), counts[place], counts[len(texts) + place])
        for place, name in enumerate(texts)
    ]
    return int(rows), columns


def _roles(columns: Sequence[Column], meant: Mapping[Role, str | None], path: Path) -> dict[Role, str]:
    """By meaning, the name of its column."""
    names = [one.name for one in columns]
    roles: dict[Role, str] = {}
    for role, column in meant.items():
        if column is not None and column not in names:
            raise DataError(
                f"{path} has no column {column!r} to be the {role}, only {', '.join(names[:20])}."
            )
        if column is not None:
            roles[role] = column

    def take(role: Role, fits: Callable[[Column], float]) -> None:
        left = [one for one in columns if one.name not in roles.values() and len(one.values)]
        scores = [fits(one) for one in left]
        if role not in meant and role not in roles and scores and max(scores) > 0:
            roles[role] = left[int(np.argmax(scores))].name

    take("time", _like_time)
    named = [one for one in columns if one.is_named("user") or one.is_named("item")]
    take("rating", lambda one: 0 if one in named and not one.is_named("rating") else _like_rating(one))
    take("user", lambda one: one.is_named("user"))
    take("item", lambda one: one.is_named("item"))
    # As nearly everybody orders them.
    take("user", lambda one: float(one.distinct < one.known))
    take("item", lambda one: float(one.distinct < one.known))
    lacking = [role for role in ("user", "item") if role not in roles]
    if lacking:
        raise DataError(
            f"{path}: no column seems to be the {lacking[0]} (there are {', '.join(names[:20])}); name it with"
            f" --{lacking[0]} COLUMN."
        )
    return {role: roles[role] for role in ROLES if role in roles}


def _like_time(one: Column) -> float:
    hint = one.is_named("time")
    if one.is_named("user") or one.is_named("item"):
        hint = 0
    return (
        (4 + hint) if one.dates else (2 + hint if one.unit and (hint or one.distinct > MOST_RATINGS) else 0)
    )


def _like_rating(one: Column) -> float:
    if one.decimal is None or one.distinct > MOST_RATINGS:
        return 0
    if one.is_named("rating"):
        return 4
    few = one.distinct >= 2 and (one.distinct <= MOST_WHOLE or one.holds == "numbers")
    return 1 / one.distinct if few and one.numbers.min() >= -10 and one.numbers.max() <= 100 else 0


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


def _renamed(one: Column, name: str) -> Column:
    return Column(name, one.values, one.known, one.distinct)


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
    if len(values) < 2:
        raise DataError(
            f"{path}: every rating in {rating.name!r} is {values[0]:g}: say --rating none if the rows are actions."
        )
    step = _step(values)
    low, high = float(values[0]), float(values[-1])
    section |= {"rating_min": _short(low), "rating_max": _short(high), "rating_step": _short(step)}
    odd = []
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
    return int(value) if value == int(value) else value


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
        return [f"The dates in {time.name} may be {' or '.join(time.dates[:2])}: see which is right."]
    return []


def _noun(item: Column) -> str | None:
    """`Buchnr` has a book too: a name may begin with the word."""
    for noun, words in _NOUNS.items():
        if any(
            own == word or (len(word) > 3 and own.startswith(word))
            for own in item.words
            for word in words.split()
        ):
            return noun
    return None


def _beside(path: Path, side: str, ids: Column, ratings: Form) -> tuple[dict[str, Any], list[str]]:
    """What the section says of a table of items or users, and what is odd about it."""
    form = form_of(path)
    if not form.header:
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
    said["item_columns" if side == "items" else "user_columns"] = [
        one.name for one in left if _describes(one)
    ]
    unused = [one.name for one in left if not _describes(one)]
    told = "neither numbers nor categories that several share"
    return said, [f"Of {path.name} left out: {', '.join(unused)}, {told}."] if unused else []


def _describes(one: Column) -> bool:
    """Whether it could be a feature: numbers, or categories that several share."""
    if one.decimal is not None:
        return one.distinct > 1
    return 1 < one.distinct <= min(MOST_CATEGORIES, one.known / 2)


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
    rows = tables.ratings
    unread = (
        rows[as_written(rows)].notna().any(axis=1) if as_written(rows) else pd.Series(False, index=rows.index)
    )
    odd = []
    if unread.any():
        odd.append(
            f"{int(unread.sum()):,} of {len(rows):,} rows have something that cannot be read, the first in line"
            f" {rows['line'][unread].iloc[0]:,}: they are left out, and stop the run where they are more than"
            " prepare.validation.max_bad_fraction."
        )
    sound = rows[~unread].dropna(subset=["user_id", "item_id"])
    if len(sound) + int(unread.sum()) < len(rows):
        odd.append(f"{len(rows) - len(sound) - int(unread.sum()):,} rows have no user or no item.")
    twice = int(sound.duplicated(["user_id", "item_id"]).sum())
    if twice and "rating" in rows:
        odd.append(f"{twice:,} rows rate what their user has rated before: the last one counts.")
    few = int((sound["user_id"].value_counts() < 2).sum())
    if few:
        odd.append(f"{few:,} of {sound['user_id'].nunique():,} users have one row alone.")
    return odd
