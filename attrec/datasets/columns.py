"""Columns of text, as DuckDB has read them, to typed ones; what cannot be read becomes null, its text stands beside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from attrec.datasets.tables import AS_WRITTEN, source_columns
from attrec.errors import DataError

if TYPE_CHECKING:
    import duckdb

Kind = Literal["int", "float", "text", "id", "trimmed", "number-id", "time"]
"""`id` is the text as it stands, `trimmed` without blanks around it, both nothing where no more than blanks stand;
`number-id` the number that a trimmed text is."""
TimeUnit = Literal["s", "ms", "us", "ns"]
_PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_WHOLE = "'-?[0-9]+'"
_ISO = "'^[0-9]{4,6}[-/]'"
_DAYS = "-2208988800 AND 4102444800"
"""Seconds since 1970 of 1900 and of 2100."""
_BOUNDS = (1e11, 1e14, 1e17)
"""Above them, in absolute value, a time of our days counts milli-, micro- or nanoseconds."""


@dataclass(frozen=True)
class Reading:
    """How people have written numbers and times."""

    decimal: Literal[".", ","] = "."
    unit: TimeUnit = "s"
    one_size: bool = False
    """Whether numbers that are too large or small for times of our days in this unit are none."""
    time_format: str | None = None
    """As strptime takes it; None for numbers and ISO 8601."""


@dataclass(frozen=True)
class Source:
    """A table that DuckDB can select from: each column text, null where it has nothing.

    Its methods raise a `DataError` where DuckDB cannot read it.
    """

    connection: duckdb.DuckDBPyConnection
    relation: str
    """SQL that may stand after FROM."""
    columns: Mapping[str, str]
    """By the name that people know, the SQL that selects it."""
    file: str

    def measure(self, *expressions: str) -> tuple[Any, ...]:
        """One row of aggregates."""
        row: tuple[Any, ...]
        [row] = self.rows(f"SELECT {', '.join(expressions)} FROM {self.relation}")
        return row

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query: only then does DuckDB tell of rejected lines."""
        with self._said():
            return self.connection.execute(query).fetchall()

    def table(self, query: str) -> pa.Table:
        """All rows of a query."""
        with self._said():
            return self.connection.sql(query).to_arrow_table()

    def batches(self, query: str, size: int) -> Iterator[pa.Table]:
        """All rows of a query, `size` of them at a time."""
        with self._said():
            held: list[pa.RecordBatch] = []
            for batch in self.connection.sql(query).to_arrow_reader(size):
                held.append(batch)
                while sum(map(len, held)) >= size:
                    table = pa.Table.from_batches(held)
                    yield table[:size]
                    held = table[size:].to_batches()
            if held:
                yield pa.Table.from_batches(held)

    @contextmanager
    def _said(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(f"{self.file} cannot be read: {reason}.") from error


@contextmanager
def database() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """DuckDB in memory, and a folder for what it reads; both are gone at the end."""
    import duckdb

    with TemporaryDirectory(prefix="attrec-") as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        yield connection, Path(folder)


def quoted(text: str) -> str:
    """As SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def literal(path: Path) -> str:
    """SQL of exactly this file: no pattern of several, and no address of something else."""
    return quoted(re.sub(r"[*?[]", r"[\g<0>]", str(path.absolute())))


def are_integers(source: Source, columns: Sequence[str], with_blanks: bool = True) -> list[bool]:
    """Of each column of ids, whether every one is written as the number that it would be, and fits 64 bits.

    Args:
        with_blanks: Whether blanks may stand around it.
    """
    tests = []
    for column in (source.columns[name] for name in columns):
        number = f"CAST(TRY_CAST({column} AS BIGINT) AS VARCHAR)"
        text = _text(column) if with_blanks else column
        padded = f"coalesce({text} = {number}, {_text(column)} = '')"
        tests.append(f"bool_and(CASE WHEN {column} = {number} THEN true ELSE {padded} END)")
    return [sound is not False for sound in source.measure(*tests)]


def blanks_tell_apart(source: Source, column: str) -> bool:
    """Whether two texts of a column differ by the blanks around them alone."""
    name = source.columns[column]
    text = _text(name)
    found = source.rows(
        f"SELECT 1 FROM {source.relation} WHERE {text} <> '' GROUP BY {text} HAVING min({name}) <> max({name}) LIMIT 1"
    )
    return bool(found)


def is_number(source: Source, column: str, reading: Reading) -> bool:
    """Whether a column holds numbers, but for one value in twenty at most; one that is not finite counts as none."""
    name = source.columns[column]
    known, numbers = source.measure(
        f"count(nullif({_text(name)}, '')) FILTER (WHERE coalesce(isfinite(TRY_CAST({name} AS DOUBLE)), true))",
        f"count({_number(name, reading)})",
    )
    return bool(numbers) and numbers >= 0.95 * known


def time_unit(source: Source, column: str) -> TimeUnit:
    """What the numbers of a column count since 1970, by the size that most of them have."""
    size = f"abs(TRY_CAST({source.columns[column]} AS DOUBLE))"
    counts = source.measure(
        f"count({size})", *(f"count(*) FILTER (WHERE {size} > {bound})" for bound in _BOUNDS)
    )
    units: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")
    # Of no number at all DuckDB counts none of them as null.
    return units[sum((count or 0) > counts[0] / 2 for count in counts[1:])]


def share_of_dates(texts: pd.Series, time_formats: Sequence[str | None]) -> list[float]:
    """By format, as `Reading` has it, the share of texts that it reads as dates since 1900."""
    with database() as (connection, _):
        connection.register("dates", pd.DataFrame({"written": texts.astype(str)}))
        source = Source(connection, "dates", {"written": "written"}, "The dates")
        # A year of two digits is one of antiquity to %Y.
        seconds = (_date(_text("written"), time_format) for time_format in time_formats)
        shares = source.measure(*(f"avg(coalesce({one} BETWEEN {_DAYS}, false)::INT)" for one in seconds))
    return [share or 0.0 for share in shares]


def read_columns(
    source: Source, kinds: Mapping[str, Kind], lines: np.ndarray | int, reading: Reading | None = None
) -> pd.DataFrame:
    """The columns of `kinds`, typed: int64 (Int64 where one is null), float64 or str; file and line.

    A further column `NAME as written` has the text of what could not be read, where there is any. A text that is
    missing is empty, an id that is missing null.
    """
    table = source.table(_selection(source, kinds, reading or Reading()))
    return _typed(table, kinds, source.file, lines)


def read_columns_in_batches(
    source: Source, kinds: Mapping[str, Kind], lines: np.ndarray, size: int, reading: Reading | None = None
) -> Iterator[pd.DataFrame]:
    """What `read_columns` reads, `size` rows at a time; no more of them are held."""
    first = 0
    for table in source.batches(_selection(source, kinds, reading or Reading()), size):
        yield _typed(table, kinds, source.file, lines[first : first + len(table)])
        first += len(table)


def _selection(source: Source, kinds: Mapping[str, Kind], reading: Reading) -> str:
    """SQL of the values, and of the texts that are none."""
    selected: list[str] = []
    for place, (name, kind) in enumerate(kinds.items()):
        column = source.columns[name]
        value = _value(column, kind, reading)
        selected.append(f"{value} AS v{place}")
        if kind in ("int", "float", "time"):
            selected.append(
                f"CASE WHEN ({value}) IS NULL AND {_text(column)} <> '' THEN {column} END AS w{place}"
            )
    return f"SELECT {', '.join(selected)} FROM {source.relation}"


def _typed(table: pa.Table, kinds: Mapping[str, Kind], file: str, lines: np.ndarray | int) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    unreadable: dict[str, pd.Series] = {}
    for place, (name, kind) in enumerate(kinds.items()):
        columns[name] = _series(table.column(f"v{place}"), kind)
        if f"w{place}" in table.column_names:
            written = table.column(f"w{place}")
            if written.null_count < len(written):
                unreadable[f"{name}{AS_WRITTEN}"] = (
                    written.to_pandas().astype(str).where(written.is_valid().to_pandas())
                )
    return pd.DataFrame({**columns, **unreadable}).assign(**source_columns(file, lines))


def _text(column: str) -> str:
    """SQL of a text without blanks around it; empty where there is none."""
    return f"trim(coalesce({column}, ''), ' \t\n\r')"


def _number(column: str, reading: Reading) -> str:
    """SQL of a finite number, null where a text is none."""
    if reading.decimal == ",":
        # A point would mark thousands, or a number that is written in another way than the others.
        column = f"CASE WHEN NOT contains({column}, '.') THEN replace({column}, ',', '.') END"
    number = f"TRY_CAST({column} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) AND NOT contains({column}, '_') THEN {number} END"


def _value(column: str, kind: Kind, reading: Reading) -> str:
    if kind == "float":
        return _number(column, reading)
    if kind == "number-id":
        return f"TRY_CAST({column} AS BIGINT)"
    if kind == "int":
        number = f"TRY_CAST({column} AS BIGINT)"
        otherwise = f"CASE WHEN regexp_full_match({_text(column)}, {_WHOLE}) THEN {number} END"
        return f"CASE WHEN {column} = CAST({number} AS VARCHAR) THEN {number} ELSE {otherwise} END"
    if kind == "time":
        return f"TRY_CAST(floor({_seconds(column, reading)}) AS BIGINT)"
    if kind == "trimmed":
        return f"nullif({_text(column)}, '')"
    return f"CASE WHEN {_text(column)} <> '' THEN {column} END" if kind == "id" else f"coalesce({column}, '')"


def _seconds(column: str, reading: Reading) -> str:
    """SQL of a time in seconds since 1970 UTC, null where a text is none."""
    text = _text(column)
    date = _date(text, reading.time_format)
    if reading.time_format is not None:
        return date
    number = f"TRY_CAST({column} AS DOUBLE)"
    if reading.one_size:
        place = list(_PER_SECOND).index(reading.unit)
        low, high = (0, *_BOUNDS)[place], (*_BOUNDS, "'inf'")[place]
        number = f"CASE WHEN abs({number}) BETWEEN {low} AND {high} THEN {number} END"
    return f"CASE WHEN isfinite({number}) THEN {number} / {_PER_SECOND[reading.unit]} ELSE {date} END"


def _date(text: str, time_format: str | None) -> str:
    """SQL of the seconds since 1970 UTC that a date has, null where a text is none; without a format, of ISO 8601."""
    if time_format is not None:
        return f"epoch(try_strptime({text}, {quoted(time_format)}))"
    return f"CASE WHEN regexp_matches({text}, {_ISO}) THEN epoch(TRY_CAST({text} AS TIMESTAMPTZ)) END"


def _series(column: pa.ChunkedArray, kind: Kind) -> pd.Series:
    if pa.types.is_integer(column.type) and column.null_count:
        return column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return column.to_pandas().astype(str) if kind == "text" else column.to_pandas()
