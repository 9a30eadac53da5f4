"""Tables that somebody gives with a question: people, pairs, histories, ratings, titles; in any form of file.

They are read as own data are, but every row must be sound: whoever asks is there to mend it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from attrec.datasets.columns import Kind, Reading, are_integers, time_unit
from attrec.datasets.delimited import DelimitedText
from attrec.datasets.own_data import format_of, open_table
from attrec.datasets.plain_text import Dialect, read_block, unpacked, wide_encoding
from attrec.datasets.tables import AS_WRITTEN
from attrec.errors import DataError

_HEADER = 2**16
"""Bytes, at most."""
_SEPARATORS = ",;\t|"
_NO_SEPARATOR = "\x1f"
"""Of a table of one column: a title may have commas."""
_KINDS: Mapping[str, Kind] = {"rating": "float", "timestamp": "time"}


@dataclass(frozen=True, eq=False)
class Given:
    """A table that is open to be read; names of columns count in lower case."""

    table: DelimitedText
    required: Sequence[str]
    kinds: Mapping[str, Kind]
    """By the name in the file: what is read."""
    reading: Reading

    def read(self) -> pd.DataFrame:
        """All rows; the index has the line of each.

        Ids are int64 where every one is the number that it is written as, and no schema calls them text, else the text
        as it stands; `rating` is a number, `timestamp` seconds UTC, and all else text without blanks around it; nothing
        stands where an optional column is blank.

        Raises:
            DataError: a rating or timestamp is none, or something that is required is missing.
        """
        return self._checked(self.table.read(self.kinds, self.reading))

    def batches(self, size: int) -> Iterator[pd.DataFrame]:
        """The same, `size` rows at a time."""
        return map(self._checked, self.table.read_in_batches(self.kinds, size, self.reading))

    def _checked(self, frame: pd.DataFrame) -> pd.DataFrame:
        file = self.table.source.file
        for name in self.kinds:
            written = f"{name}{AS_WRITTEN}"
            if written in frame and (bad := frame[written].notna()).any():
                row = int(bad.to_numpy().argmax())
                more = ": give seconds since 1970 UTC or ISO 8601" if self.kinds[name] == "time" else ""
                raise DataError(
                    f"{file}, line {frame['line'].iloc[row]}: {frame[written].iloc[row]!r} is no"
                    f" {name.strip().lower()}{more}."
                )
        frame = frame.set_index("line")[list(self.kinds)].rename(columns=_plain)
        for name in self.required:
            if (missing := frame[name].isna()).any():
                raise DataError(f"{file}, line {missing.idxmax()}: there is no {name}.")
        return frame


def read_given(file: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """See `Given.read` and `open_given`."""
    with open_given(file, columns, optional) as given:
        return given.read()


@contextmanager
def open_given(file: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Given]:
    """Open a table: Parquet, JSON lines, or text whose header tells what separates its fields, packed or not.

    Args:
        columns: Those that it must have, in every row.
        optional: Those that are read where they are there.

    Raises:
        DataError: the file cannot be read, has no rows or not these columns, or a row that disagrees with its header.
    """
    with open_table(file, _dialect(file)) as table:
        by_name = {_plain(name): name for name in table.names}
        _require(file, columns, by_name)
        plain = [_plain(name) for name in table.names]
        twice = [name for name in (*columns, *optional) if plain.count(name) > 1]
        if twice:
            raise DataError(f"{file} has the column {twice[0]} twice: keep one.")
        if table.bad:
            line, text = min(table.bad.items())
            if format_of(file) == "json-lines":
                raise DataError(f"{file}, line {line}: {text!r} is no JSON object.")
            raise DataError(
                f"{file}, line {line}: {text!r} does not have the {len(table.names)} fields that its header has: put"
                " quotation marks around what has a separator in it, and double those that belong to it."
            )
        names = [by_name[name] for name in (*columns, *optional) if name in by_name]
        schema = pq.read_schema(file) if format_of(file) == "parquet" else None
        kinds = {name: _KINDS.get(_plain(name)) or _kind_of(table, name, schema) for name in names}
        timed = [name for name, kind in kinds.items() if kind == "time"]
        reading = Reading(unit=time_unit(table.source, timed[0]), one_size=True) if timed else Reading()
        yield Given(table, columns, kinds, reading)


def _plain(name: str) -> str:
    return name.strip().lower()


def _kind_of(table: DelimitedText, name: str, schema: pa.Schema | None) -> Kind:
    """Of an id, a number where text is written as one; of a schema, where that says so."""
    is_text = False
    if schema is not None:
        kind = schema.field(name).type
        if pa.types.is_nested(kind):
            raise DataError(f"{table.source.file}: the column {name} holds {kind}: give numbers or text.")
        is_text = not (pa.types.is_integer(kind) or pa.types.is_floating(kind))
    if not _plain(name).endswith("_id"):
        return "trimmed"
    # A number with blanks around it may be an id of its own to a model whose ids are text.
    if is_text or not are_integers(table.source, [name], with_blanks=False)[0]:
        return "id"
    return "number-id"


def _dialect(file: Path) -> Dialect:
    if format_of(file) == "parquet":
        return Dialect()
    with unpacked(file, str(file)) as stream:
        head = read_block(stream, str(file), _HEADER)
    encoding = wide_encoding(head) or "utf-8"
    lines = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head).split("\n")
    header = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=header.count)
    return Dialect(separator if separator in header else _NO_SEPARATOR, '"', None, encoding)


def _require(file: Path, columns: Sequence[str], by_name: Mapping[str, str]) -> None:
    missing = [name for name in columns if name not in by_name]
    wanted = f"the column{'s' if len(columns) > 1 else ''} {','.join(columns)}"
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(missing)}, only {', '.join(map(repr, by_name))}: give {wanted}."
        )
