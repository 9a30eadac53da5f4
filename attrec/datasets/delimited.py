"""Delimited text to typed columns by DuckDB, exact about lines: whatever cannot be read is told with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from attrec.datasets.columns import (
    Kind,
    Reading,
    Source,
    database,
    literal,
    quoted,
    read_columns,
    read_columns_in_batches,
)
from attrec.datasets.plain_text import Dialect, PlainText, write_plain
from attrec.datasets.tables import AS_WRITTEN, source_columns
from attrec.errors import DataError

if TYPE_CHECKING:
    import duckdb

MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Layout:
    """How one delimited file of a known form is written: its columns in order and their kinds."""

    columns: dict[str, Kind]
    separator: str = ","
    """As `Dialect` has it."""
    header: bool = False
    quoted: bool = False
    encoding: Literal["utf-8", "latin-1"] = "utf-8"


@dataclass(frozen=True, eq=False)
class DelimitedText:
    """A file that is open to be read."""

    source: Source
    names: list[str]
    """Of its columns, as often as they stand there."""
    lines: np.ndarray
    """[n] int64: the line of each row."""
    bad: Mapping[int, str]
    """By line, the lines that are no rows."""
    plain_quotes: int
    """Rows in which a quote that nobody closed was taken for a letter."""

    def read(self, kinds: Mapping[str, Kind], reading: Reading | None = None) -> pd.DataFrame:
        """The columns as `read_columns` has them, row by row of the file; of what is no row, `line as written`."""
        frame = read_columns(self.source, kinds, self.lines, reading)
        if self.bad:
            lost = pd.DataFrame({"line": list(self.bad), f"line{AS_WRITTEN}": list(self.bad.values())})
            frame = _with_lost(frame, lost.astype({f"line{AS_WRITTEN}": str}), kinds, self.source.file)
        if (np.diff(frame["line"]) < 0).any():
            frame = frame.sort_values("line", kind="stable", ignore_index=True)
        return frame

    def read_in_batches(
        self, kinds: Mapping[str, Kind], size: int, reading: Reading | None = None
    ) -> Iterator[pd.DataFrame]:
        """The rows that are rows, as `read` has them, `size` at a time."""
        if (np.diff(self.lines) >= 0).all():
            yield from read_columns_in_batches(self.source, kinds, self.lines, size, reading)
            return
        # Records of several lines stand at the end.
        frame = replace(self, bad={}).read(kinds, reading)
        yield from (frame[first : first + size] for first in range(0, len(frame), size))


def _with_lost(frame: pd.DataFrame, lost: pd.DataFrame, kinds: Mapping[str, Kind], file: str) -> pd.DataFrame:
    """The frame with rows that have nothing but their line and its text."""
    whole = [name for name in kinds if pd.api.types.is_integer_dtype(frame[name])]
    joined = pd.concat([frame.astype(dict.fromkeys(whole, "Int64")), lost], ignore_index=True)
    joined = joined.assign(**source_columns(file, joined["line"]))
    texts = [name for name, kind in kinds.items() if kind == "text"]
    joined[texts] = joined[texts].fillna("")
    ends = [name for name in joined if str(name).endswith(AS_WRITTEN)]
    return joined[[*kinds, *(name for name in ends if name in frame), "file", "line", f"line{AS_WRITTEN}"]]


def read_delimited(content: bytes | Path, layout: Layout, file: str) -> pd.DataFrame:
    """Read ``content`` as ``layout`` says; ``file`` is the name that messages and the ``file`` column carry.

    Returns:
        The columns of ``layout`` (int64, or Int64 where a value is null; float64; str), then file and line, and
        where something could not be read, its text (see `attrec.datasets.tables.Tables`).

    Raises:
        DataError: the file is empty, wrongly encoded, cut off in its last line, or of another form.
    """
    dialect = Dialect(layout.separator, '"' if layout.quoted else None, None, layout.encoding)
    with open_delimited(content, dialect, file, layout.header, list(layout.columns)) as text:
        if layout.header and list(text.source.columns) != list(layout.columns):
            raise DataError(
                f"{file} has the columns {list(text.source.columns)}, not {list(layout.columns)}; it is not the file"
                " that was expected."
            )
        return text.read(layout.columns)


@contextmanager
def open_delimited(
    content: bytes | Path, dialect: Dialect, file: str, header: bool, names: list[str] | None = None
) -> Iterator[DelimitedText]:
    """Open a delimited file.

    Args:
        header: Whether the first line names the columns.
        names: Of the columns, where no header does.

    Raises:
        DataError: the file is empty, wrongly encoded, cut off in its last line, or most of its lines are no rows.
    """
    with database() as (connection, folder):
        plain = write_plain(
            content, dialect, file, folder / "plain.txt", None if names is None else len(names)
        )
        columns = plain.first if header else list(names or plain.first)
        if len(columns) > MOST_COLUMNS:
            raise DataError(
                f"{file} has {len(columns):,} columns, more than {MOST_COLUMNS:,}; is it the right file?"
            )
        yield _open(connection, plain, dialect, file, header, columns)


def _open(
    connection: duckdb.DuckDBPyConnection,
    plain: PlainText,
    dialect: Dialect,
    file: str,
    header: bool,
    columns: list[str],
) -> DelimitedText:
    width = len(columns)
    options = {
        "delim": quoted(dialect.separator),
        "quote": quoted(dialect.quote or ""),
        "escape": quoted(dialect.escape or dialect.quote or ""),
        "new_line": quoted("\\n"),
        "skip": str(int(header)),
        "columns": "{" + ", ".join(f"'c{place}': 'VARCHAR'" for place in range(width)) + "}",
        "header": "false",
        "auto_detect": "false",
        "strict_mode": "true",
        "hive_partitioning": "false",
    }
    read = ", ".join(f"{key} = {value}" for key, value in options.items())
    relation = f"read_csv({literal(plain.path)}, {read}, ignore_errors = true)"
    checked = f"read_csv({literal(plain.path)}, {read}, store_rejects = true)"
    source = Source(connection, relation, {name: f"c{place}" for place, name in enumerate(columns)}, file)
    (rows,) = replace(source, relation=checked).measure("count(*)")
    told = source.rows("SELECT line, any_value(csv_line) FROM reject_errors GROUP BY line ORDER BY line")
    sound = np.ones(len(plain.lines), dtype=bool)
    sound[: int(header)] = False
    sound[[line - 1 for line, _ in told]] = False
    if np.count_nonzero(sound) != rows:
        raise DataError(
            f"{file} cannot be read: of {np.count_nonzero(sound):,} lines {rows:,} are rows; its lines are not what"
            " they seem, try another quote or separator."
        )
    bad = {int(plain.lines[line - 1]): text.strip("\n") for line, text in told} | plain.bad
    lines = plain.lines[sound]
    if plain.records:
        extra = pd.DataFrame(
            list(plain.records.values()), columns=[f"c{place}" for place in range(width)], dtype=str
        )
        connection.register("extra", extra)
        source = replace(source, relation=f"(FROM {relation} UNION ALL FROM extra)")
        lines = np.concatenate([lines, np.fromiter(plain.records, dtype=np.int64)])
    total = len(lines) + len(bad)
    if not total:
        raise DataError(f"{file} has no rows; get it anew.")
    if len(bad) * 2 > total:
        raise DataError(
            f"{file} has {len(bad):,} of {total:,} lines that are not {width} fields separated by"
            f" {dialect.separator!r}; it is not the expected file."
        )
    last = max(bad, default=0)
    if not plain.is_ended and last > lines.max(initial=0) and len(dialect.fields(bad[last])) < width:
        raise DataError(f"{file} is cut off in line {last:,}; get it anew.")
    return DelimitedText(source, columns, lines, bad, plain.plain_quotes)


def select_columns(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The columns of ``names`` under their new names, file and line, and the text of what could not be read."""
    texts = {f"{old}{AS_WRITTEN}": f"{new}{AS_WRITTEN}" for old, new in {**names, "line": "line"}.items()}
    present = {old: new for old, new in texts.items() if old in table}
    return table[[*names, "file", "line", *present]].rename(columns={**names, **present})
