"""A person's own ratings, or bare actions: a file of any form, or a query; what its columns mean the parameters say."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from attrec.addresses import has_secret
from attrec.datasets.columns import (
    Kind,
    Reading,
    TimeUnit,
    are_integers,
    blanks_tell_apart,
    is_number,
    time_unit,
)
from attrec.datasets.delimited import DelimitedText, open_delimited, select_columns
from attrec.datasets.plain_text import Dialect
from attrec.datasets.records import open_json_lines, open_parquet
from attrec.datasets.tables import (
    ITEM_COLUMNS,
    USER_COLUMNS,
    Tables,
    as_written,
    ids_seen_in,
    items_seen_in,
    year_in_title,
)
from attrec.errors import DataError

Format = Literal["delimited", "json-lines", "parquet"]
FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json-lines",
    ".ndjson": "json-lines",
    ".json": "json-lines",
}
PACKED = (".gz", ".zst", ".zstd")
_ITEM_WORDS = {*ITEM_COLUMNS, "artist", "popularity"}
_USER_WORDS = {"user_id", "file", "line"}


def _one_character(text: str | None) -> str | None:
    if text is not None and (len(text.encode()) > 1 or text in "\r\n"):
        raise ValueError("it must be one character of ASCII, no line end")
    return text


def _on_a_line(text: str | None) -> str | None:
    if text is not None and (set("\r\n\x00") & set(text) or len(text.encode()) > 4):
        raise ValueError("it must be four bytes at most, none of them a line end")
    return text


def _known_encoding(name: str) -> str:
    try:
        "a".encode(name)
        codecs.getincrementaldecoder(name)
    except LookupError as error:
        raise ValueError("there is no such encoding; utf-8, utf-16, latin-1 and cp1252 are some") from error
    return name


Character = Annotated[str, Field(min_length=1), AfterValidator(_one_character)]
Separator = Annotated[str, Field(min_length=1, max_length=4), AfterValidator(_on_a_line)]
Column = Annotated[str, Field(min_length=1)]


class OwnDataConfig(BaseModel):
    """What the data are called, where they are and what their columns mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="csv", pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)
    """What runs, aliases (`champion-shop`), tables and the report call them."""
    noun: str | None = Field(default=None, pattern=r"^\w[\w' -]*$", max_length=40)
    """What an item is, as the report calls it: `book`; left out, a song where there are artists, else an item."""
    nouns: str | None = Field(default=None, pattern=r"^\w[\w' -]*$", max_length=40)
    """Several of them, where it is not the noun with an s."""
    path: Path | None = None
    """The ratings file, under data/incoming, plain or packed with gzip or zstandard; or ``url`` and ``query``."""
    url: str | None = None
    """SQLAlchemy's address of a database; secrets as `$NAME`, which stands for the environment's variable."""
    query: str | None = Field(default=None, min_length=1)
    """What to select there; its answer is kept as data/incoming/NAME.parquet until the query changes."""
    format: Format | None = None
    """Left out, the name says: `.parquet`; `.jsonl`, `.ndjson` and `.json` (one object a line); else delimited."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"
    """Of text, as Python names it."""
    columns: tuple[Column, ...] | None = Field(default=None, min_length=2)
    """Names of all columns in their order, for a file without a header line."""
    user_column: Column = "user_id"
    item_column: Column = "item_id"
    rating_column: Column | None = "rating"
    """None where users act without rating: a row is then one action, and may occur again."""
    timestamp_column: Column | None = None
    """Numbers since 1970 UTC, or ISO 8601 (UTC where no zone stands). Without it the lines are in order of time."""
    timestamp_unit: TimeUnit | None = None
    """Of numbers: left out, their size says."""
    timestamp_format: str | None = Field(default=None, min_length=2)
    """Of dates written otherwise, as strptime takes it: `%d.%m.%Y`."""
    separator: Separator = ","
    """A blank stands for any run of blanks and tabs."""
    quote: Character | None = '"'
    """What holds a field together; null where no character does."""
    escape: Character | None = None
    """What makes a quote inside quotes plain; left out, it is doubled."""
    decimal: Literal[".", ","] = "."
    """What numbers have before their decimals."""
    rating_min: float = Field(default=1.0, allow_inf_nan=False)
    rating_max: float = Field(default=5.0, allow_inf_nan=False)
    rating_step: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    items_path: Path | None = None
    """A table of items with a header line; without it an item's title is its id."""
    items_separator: Separator | None = None
    """Separator of the table of items, where it has another."""
    items_encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """Its encoding, where it has another."""
    items_item_column: Column = "item_id"
    title_column: Column | None = "title"
    """Where the table has no such column, an item's title is its id."""
    year_column: Column | None = None
    """Without it the year is read from titles like ``Toy Story (1995)``."""
    genres_column: Column | None = None
    genres_separator: str = Field(default="|", min_length=1)
    artist_column: Column | None = None
    """Who made an item; whoever has it has songs."""
    number_columns: tuple[Column, ...] = ()
    """Numbers that describe an item, such as audio features; playlist models measure distances by them."""
    item_columns: tuple[Column, ...] = ()
    """What else describes an item: numbers and categories, told apart by what stands there, become features."""
    users_path: Path | None = None
    """A table of users with a header line."""
    users_separator: Separator | None = None
    """Separator of the table of users, where it has another."""
    users_encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """Its encoding, where it has another."""
    users_user_column: Column = "user_id"
    user_columns: tuple[Column, ...] = ()
    """What describes a user: as ``item_columns``; ``age``, ``gender`` and ``occupation`` are MovieLens's."""

    @model_validator(mode="after")
    def _check(self) -> OwnDataConfig:
        self._check_place()
        if self.nouns is not None and self.noun is None:
            raise ValueError("nouns are several of a noun: set that too")
        if not self.rating_min < self.rating_max:
            raise ValueError("rating_min must be less than rating_max")
        if len(self.meanings) < len(list(filter(None, self._wanted))):
            raise ValueError("user, item, rating and timestamp must be different columns")
        taken = {**self.meanings, **self.item_meanings, self.users_user_column: "user_id"}
        for column, name in taken.items():
            if column in ("file", "line"):
                raise ValueError(
                    f"the {name} cannot stand in a column that is called {column!r}, as attrec calls the place of a"
                    " row: rename it in the file"
                )
        if self.timestamp_unit is not None and self.timestamp_format is not None:
            raise ValueError("timestamp_unit is of numbers, timestamp_format of dates: set one of them")
        if self.quote is not None and self.quote in (self.separator, self.escape):
            raise ValueError("quote, separator and escape must be different characters")
        if self.items_path is None and (self.artist_column or self.number_columns or self.item_columns):
            raise ValueError(
                "artist_column, number_columns and item_columns are columns of the table at items_path: set it"
            )
        if self.users_path is None and self.user_columns:
            raise ValueError("user_columns are columns of the table at users_path: set it")
        items = (*self.number_columns, *self.item_columns)
        _refuse_taken("number_columns and item_columns", items, {*_ITEM_WORDS, *self.item_meanings})
        _refuse_taken("user_columns", self.user_columns, {*_USER_WORDS, self.users_user_column})
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

    def _check_place(self) -> None:
        if (self.url is None) != (self.query is None):
            raise ValueError("url and query belong together: set both, or path")
        if (self.path is None) == (self.url is None):
            raise ValueError("set path, the file of your ratings, or url and query, and not both")
        if self.url is None:
            return
        try:
            written_out = has_secret(self.url)
        except ValueError:
            raise ValueError(
                "url must be an address as SQLAlchemy has it, such as postgresql://host/shop"
            ) from None
        if written_out:
            raise ValueError(
                "url has a password, which DVC and MLflow would keep: put it into a variable of the environment and"
                " write $NAME in its place"
            )

    @property
    def file(self) -> Path:
        """The ratings file: that of ``path``, or of what the query has answered."""
        return Path(f"{self.name}.parquet") if self.path is None else self.path

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

    def dialect(self, separator: str | None = None, encoding: str | None = None) -> Dialect:
        """How the lines of a file are written, but for what it has of its own."""
        separator = separator or self.separator
        quote = self.quote if len(separator) == 1 and separator != " " else None
        return Dialect(separator, quote, self.escape if quote else None, encoding or self.encoding)


def _refuse_taken(key: str, names: tuple[str, ...], taken: set[str]) -> None:
    for place, name in enumerate(names):
        if name in taken or name in names[:place]:
            raise ValueError(f"{key} cannot name {name!r}: it is named twice or means something else")


def format_of(path: Path) -> Format:
    """What the name of a file says of its format."""
    name = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return FORMATS.get(name.suffix.lower(), "delimited")


@contextmanager
def open_table(
    path: Path,
    dialect: Dialect,
    form: Format | None = None,
    columns: tuple[str, ...] | None = None,
    wanted: Collection[str] | None = None,
) -> Iterator[DelimitedText]:
    """Open a file of any form.

    Args:
        form: Left out, the name says.
        columns: All of them, for delimited text without a header line.
        wanted: Those that will be read, so that others need no time; left out, any may be.

    Raises:
        DataError: the file is missing, empty, or not what it is said to be.
    """
    form = form or format_of(path)
    if form == "parquet":
        opened = open_parquet(path, str(path))
    elif form == "json-lines":
        opened = open_json_lines(path, str(path), dialect.encoding, wanted)
    else:
        opened = open_delimited(
            path, dialect, str(path), columns is None, None if columns is None else list(columns)
        )
    with opened as table:
        yield table


def read_own_data(config: OwnDataConfig) -> Tables:
    """Read the file, and the tables of items and users if they are named.

    Ids are int64 when every one of them is written as the number that it is, else the text as it stands, with the
    blanks around it where they tell it from another.

    Raises:
        DataError: a file is missing, empty, of another form or encoding, or lacks a column.
    """
    with ExitStack() as stack:
        ratings = stack.enter_context(
            open_table(config.file, config.dialect(), config.format, config.columns, config.meanings)
        )
        _require(ratings, config.meanings)
        items = users = None
        if config.items_path is not None:
            items = stack.enter_context(
                open_table(
                    config.items_path,
                    config.dialect(config.items_separator, config.items_encoding),
                    wanted={*config.item_meanings, *config.number_columns, *config.item_columns},
                )
            )
        if config.users_path is not None:
            users = stack.enter_context(
                open_table(
                    config.users_path,
                    config.dialect(config.users_separator, config.users_encoding),
                    wanted={config.users_user_column, *config.user_columns},
                )
            )
        [user_id, item_id] = _id_kinds(config, ratings, users, items)
        frame = _read_ratings(config, ratings, user_id, item_id)
        return Tables(
            frame,
            ids_seen_in(frame, "user_id") if users is None else _read_users(config, users, user_id),
            items_seen_in(frame) if items is None else _read_items(config, items, item_id),
            mended={"quotes_taken_for_letters": ratings.plain_quotes} if ratings.plain_quotes else {},
        )


def _id_kinds(
    config: OwnDataConfig, ratings: DelimitedText, users: DelimitedText | None, items: DelimitedText | None
) -> list[Kind]:
    """Of users and items: a number where those of both tables are numbers.

    Blanks around a text are left out if no two ids of a table differ by them alone: a separator may have one after it.
    """
    kinds: list[Kind] = []
    sides = (
        (config.user_column, users, config.users_user_column),
        (config.item_column, items, config.items_item_column),
    )
    for column, table, key in sides:
        places = [(ratings.source, column)]
        if table is not None:
            _require(table, {key: ""})
            places.append((table.source, key))
        if all(are_integers(source, [name])[0] for source, name in places):
            kinds.append("number-id")
        else:
            kinds.append("id" if any(blanks_tell_apart(*place) for place in places) else "trimmed")
    return kinds


def _require(table: DelimitedText, wanted: Mapping[str, str]) -> None:
    file, names = table.source.file, table.names
    missing = [name for name in wanted if name not in names]
    if missing:
        has = ", ".join(map(repr, names[:20])) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
        raise DataError(
            f"{file} has no column {', '.join(map(repr, missing))} (it has {has}); name your columns, and the"
            " separator, in the parameters, or all of them in order under columns if the file has no header line:"
            " `attrec look` says what a file has."
        )
    repeated = sorted({name for name in wanted if names.count(name) > 1})
    if repeated:
        raise DataError(f"{file} has the column {repeated[0]!r} twice in its first line; rename one of them.")


def _read_ratings(config: OwnDataConfig, table: DelimitedText, user_id: Kind, item_id: Kind) -> pd.DataFrame:
    kinds: dict[str, Kind] = {config.user_column: user_id, config.item_column: item_id}
    reading = Reading(config.decimal, config.timestamp_unit or "s", time_format=config.timestamp_format)
    if config.rating_column is not None:
        kinds[config.rating_column] = "float"
    if config.timestamp_column is not None:
        kinds[config.timestamp_column] = "time"
        if config.timestamp_unit is None and config.timestamp_format is None:
            unit = time_unit(table.source, config.timestamp_column)
            reading = replace(reading, unit=unit, one_size=True)
    frame = select_columns(table.read(kinds, reading), config.meanings)
    return frame.astype({"rating": np.float32}) if "rating" in frame else frame


def _read_items(config: OwnDataConfig, table: DelimitedText, item_id: Kind) -> pd.DataFrame:
    described = (*config.number_columns, *config.item_columns)
    meanings = dict(config.item_meanings)
    if config.title_column is not None and config.title_column not in table.names:
        if config.title_column != OwnDataConfig.model_fields["title_column"].default:
            _require(table, {config.title_column: ""})
        del meanings[config.title_column]
    wanted = {**meanings, **{name: name for name in described}}
    _require(table, wanted)
    reading = Reading(config.decimal)
    canonical: dict[str, Kind] = {"item_id": item_id, "year": "float"}
    kinds: dict[str, Kind] = {column: canonical.get(name, "text") for column, name in meanings.items()}
    kinds |= dict.fromkeys(config.number_columns, "float")
    kinds |= _kinds_of_described(table, config.item_columns, reading)
    items = select_columns(table.read(kinds, reading), wanted)
    items = _without_blanks(items, [name for name in ("artist", *config.item_columns) if name in items])
    if "title" not in items:
        items["title"] = items["item_id"].astype(str)
    if "year" not in items:
        items["year"] = year_in_title(items["title"])
    if "genres" in items:
        items["genres"] = [
            [genre.strip() for genre in text.split(config.genres_separator) if genre.strip()]
            for text in items["genres"]
        ]
    else:
        items["genres"] = [[] for _ in range(len(items))]
    told = [name for name in ("artist", *described) if name in items]
    return items[[*ITEM_COLUMNS, *told, *as_written(items)]]


def _read_users(config: OwnDataConfig, table: DelimitedText, user_id: Kind) -> pd.DataFrame:
    wanted = {config.users_user_column: "user_id", **{name: name for name in config.user_columns}}
    _require(table, wanted)
    reading = Reading(config.decimal)
    kinds: dict[str, Kind] = {config.users_user_column: user_id}
    kinds |= _kinds_of_described(table, config.user_columns, reading)
    kinds |= {
        name: "float" if name == "age" else "text" for name in config.user_columns if name in USER_COLUMNS
    }
    users = select_columns(table.read(kinds, reading), wanted)
    return _without_blanks(users, list(config.user_columns))


def _kinds_of_described(table: DelimitedText, names: tuple[str, ...], reading: Reading) -> dict[str, Kind]:
    _require(table, dict.fromkeys(names, ""))
    return {name: "float" if is_number(table.source, name, reading) else "text" for name in names}


def _without_blanks(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Texts without blanks around them; nothing where there is no more than blanks."""
    for name in names:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            text = frame[name].str.strip()
            frame[name] = text.mask(text == "")
    return frame
