"""A person's own ratings, or bare actions, in a delimited text file whose columns the parameters name."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.datasets.delimited import Kind, Layout, parse_int64, read_delimited, select_columns
from attrec.datasets.tables import (
    ITEM_COLUMNS,
    Tables,
    as_written,
    ids_seen_in,
    items_seen_in,
    year_in_title,
)
from attrec.errors import DataError


class OwnDataConfig(BaseModel):
    """What the data are called, where they are and what their columns mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="csv", pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)
    """What runs, aliases (`champion-shop`), tables and the report call them."""
    noun: str | None = Field(default=None, pattern=r"^\w[\w' -]*$", max_length=40)
    """What an item is, as the report calls it: `book`; left out, a song where there are artists, else an item."""
    nouns: str | None = Field(default=None, pattern=r"^\w[\w' -]*$", max_length=40)
    """Several of them, where it is not the noun with an s."""

    path: Path
    """The ratings file: UTF-8, one header line unless ``columns`` names its columns."""
    columns: tuple[str, ...] | None = Field(default=None, min_length=2)
    """Names of all columns in their order, for a file without a header line."""
    user_column: str = "user_id"
    item_column: str = "item_id"
    rating_column: str | None = "rating"
    """None where users act without rating: a row is then one action, and may occur again."""
    timestamp_column: str | None = None
    """Seconds since 1970 UTC, whole numbers. Without it the order of the lines is the order of time."""
    separator: str = Field(default=",", min_length=1, max_length=4)
    """A blank stands for any run of blanks and tabs."""
    rating_min: float = 1.0
    rating_max: float = 5.0
    rating_step: float = Field(default=1.0, gt=0)
    items_path: Path | None = None
    """A table of items with a header line; without it an item's title is its id."""
    items_separator: str | None = Field(default=None, min_length=1, max_length=4)
    """Separator of the table of items, where it has another."""
    items_item_column: str = "item_id"
    title_column: str | None = "title"
    year_column: str | None = None
    """Without it the year is read from titles like ``Toy Story (1995)``."""
    genres_column: str | None = None
    genres_separator: str = Field(default="|", min_length=1)
    artist_column: str | None = None
    """Who made an item; whoever has it has songs."""
    number_columns: tuple[str, ...] = ()
    """Numbers that describe an item, such as audio features; playlist models measure distances by them."""

    @model_validator(mode="after")
    def _check(self) -> OwnDataConfig:
        if self.nouns is not None and self.noun is None:
            raise ValueError("nouns are several of a noun: set that too")
        if not self.rating_min < self.rating_max:
            raise ValueError("rating_min must be less than rating_max")
        if len(self.meanings) < len(list(filter(None, self._wanted))):
            raise ValueError("user, item, rating and timestamp must be different columns")
        if self.items_path is None and (self.artist_column or self.number_columns):
            raise ValueError(
                "artist_column and number_columns are columns of the table at items_path: set it"
            )
        taken = {*ITEM_COLUMNS, "artist", "popularity", *self.item_meanings}
        for place, name in enumerate(self.number_columns):
            if name in taken or name in self.number_columns[:place]:
                raise ValueError(
                    f"number_columns cannot name {name!r}: it is named twice or means something else"
                )
        if self.columns is not None:
            if len(set(self.columns)) < len(self.columns):
                raise ValueError("columns must have different names")
            missing = [name for name in self.meanings if name not in self.columns]
            if missing:
                raise ValueError(
                    f"columns must name {missing[0]!r}, the column of each {self.meanings[missing[0]]}"
                    " (rating_column is null where nobody rates)"
                )
        return self

    @property
    def meanings(self) -> dict[str, str]:
        """The columns to read, and the canonical name of each."""
        named = zip(self._wanted, ("user_id", "item_id", "rating", "timestamp"), strict=True)
        return {column: name for column, name in named if column is not None}

    @property
    def item_meanings(self) -> dict[str, str]:
        """The columns to read of the table of items, and the canonical name of each; numbers keep theirs."""
        named = {
            self.items_item_column: "item_id",
            self.title_column: "title",
            self.year_column: "year",
            self.genres_column: "genres",
            self.artist_column: "artist",
        }
        return {column: name for column, name in named.items() if column is not None}

    @property
    def _wanted(self) -> tuple[str | None, ...]:
        return self.user_column, self.item_column, self.rating_column, self.timestamp_column


def read_own_data(config: OwnDataConfig) -> Tables:
    """Read the file, and the table of items if one is named.

    Ids are int64 when every one of them is a whole number, text otherwise.

    Raises:
        DataError: a file is missing, empty or not UTF-8, lacks a column, or an id does not fit 64 bits.
    """
    kinds: dict[str, Kind] = {"user_id": "text", "item_id": "text", "rating": "float", "timestamp": "int"}
    table = _read(config.path, config.separator, config.meanings, kinds, config.columns)
    ids = table["item_id"]
    items: pd.DataFrame | None = None
    if config.items_path is not None:
        items = _read_items(config, config.items_path)
        ids = pd.concat([ids, items["item_id"]], ignore_index=True)
    as_integers = _all_integers(ids)
    ratings = table.assign(
        user_id=_convert_ids(table["user_id"], _all_integers(table["user_id"]), table),
        item_id=_convert_ids(table["item_id"], as_integers, table),
    )
    if "rating" in ratings:
        ratings["rating"] = ratings["rating"].astype(np.float32)
    if items is None:
        items = items_seen_in(ratings)
    else:
        items = items.assign(item_id=_convert_ids(items["item_id"], as_integers, items))
    described = [name for name in ("artist", *config.number_columns) if name in items]
    items = items[[*ITEM_COLUMNS, *described, *as_written(items)]]
    return Tables(ratings, ids_seen_in(ratings, "user_id"), items)


def _read_items(config: OwnDataConfig, path: Path) -> pd.DataFrame:
    wanted = {**config.item_meanings, **{name: name for name in config.number_columns}}
    kinds: dict[str, Kind] = dict.fromkeys(("item_id", "title", "genres", "artist"), "text")
    kinds |= dict.fromkeys(("year", *config.number_columns), "float")
    items = _read(path, config.items_separator or config.separator, wanted, kinds)
    if "artist" in items:
        artist = items["artist"].str.strip()
        items["artist"] = artist.mask(artist == "")
    if "title" not in items:
        items["title"] = items["item_id"]
    if "year" not in items:
        items["year"] = year_in_title(items["title"])
    if "genres" in items:
        items["genres"] = [
            [genre.strip() for genre in text.split(config.genres_separator) if genre.strip()]
            for text in items["genres"]
        ]
    else:
        items["genres"] = [[] for _ in range(len(items))]
    return items


def _read(
    path: Path,
    separator: str,
    wanted: dict[str, str],
    kinds: dict[str, Kind],
    columns: tuple[str, ...] | None = None,
) -> pd.DataFrame:
    """The wanted columns under their canonical names, file and line, and the text of what could not be read.

    ``columns`` are all columns of a file without a header line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; give the path of your ratings file.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    header = list(columns or _header(content, separator, path))
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(map(repr, missing))} in its first line (it has"
            f" {', '.join(map(repr, header))}); name your columns, and the separator, in the parameters, or all of"
            " them in order under columns if the file has no header line."
        )
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{path} has the column {repeated[0]!r} twice in its first line; rename one of them.")
    types: dict[str, Kind] = {name: kinds[wanted[name]] if name in wanted else "text" for name in header}
    quoted = len(separator) == 1 and separator != " "
    layout = Layout(types, separator, header=columns is None, quoted=quoted)
    return select_columns(read_delimited(content, layout, str(path)), wanted)


def _header(content: bytes, separator: str, path: Path) -> list[str]:
    if not content.strip():
        raise DataError(f"{path} is empty; give a file with a header line and at least one rating.")
    try:
        line = content.split(b"\n", 1)[0].decode("utf-8").lstrip("\ufeff").rstrip("\r")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (line 1); save it with the encoding UTF-8.") from error
    if separator == " ":
        return line.split()
    return next(csv.reader([line], delimiter=separator), []) if len(separator) == 1 else line.split(separator)


def _all_integers(ids: pd.Series) -> bool:
    text = ids.str.strip()
    return bool(text[text != ""].str.fullmatch(r"-?[0-9]+").all())


def _convert_ids(ids: pd.Series, as_integers: bool, table: pd.DataFrame) -> pd.Series:
    text = ids.str.strip()
    known = text != ""
    if not as_integers:
        return text.where(known)
    if not known.any():
        return pd.Series(pd.NA, index=ids.index, dtype="Int64")
    codes, distinct = pd.factorize(text.where(known))
    numbers = {value: parse_int64(value) for value in distinct}
    _refuse_overflow(numbers, text, table)
    # take with -1 for the unknown ones: mapping through floats would bend ids above 2^53
    converted = pd.array(list(numbers.values()), dtype="Int64").take(codes, allow_fill=True)
    return pd.Series(converted, index=ids.index).astype(np.int64 if known.all() else "Int64")


def _refuse_overflow(numbers: dict[str, int | None], text: pd.Series, table: pd.DataFrame) -> None:
    overflowing: Iterable[str] = (value for value, number in numbers.items() if number is None)
    value = next(iter(overflowing), None)
    if value is None:
        return
    row = int(np.flatnonzero(text == value)[0])
    raise DataError(
        f"{table['file'].iloc[row]}, line {table['line'].iloc[row]:,}: the id {value} does not fit into"
        " 64 bits; use smaller ids, or textual ones."
    )
