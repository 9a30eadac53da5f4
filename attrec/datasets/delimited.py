"""Delimited text to typed columns: fast on sound files, forgiving of single values, exact about lines.

A sound file takes Arrow's typed reader. Where a value does not fit its type, Arrow reads text and what cannot
be converted becomes null, its text kept in a column beside. Where lines differ in shape, they are split one by
one, so that each row's line is known.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from attrec.datasets.tables import AS_WRITTEN, source_columns
from attrec.errors import DataError

Kind = Literal["int", "float", "text"]
_ARROW_TYPES = {"int": pa.int64(), "float": pa.float64(), "text": pa.string()}
_INT64 = (-(2**63), 2**63 - 1)
# Arrow splits at one character only, so "::" is turned into one that no text file holds.
_UNIT_SEPARATOR = b"\x1f"
_Texts = Sequence[str] | pd.Series


@dataclass(frozen=True)
class Layout:
    """How one delimited file is written: its columns in order and their kinds."""

    columns: dict[str, Kind]
    separator: str = ","
    """A blank stands for any run of blanks and tabs, and for none at the ends of a line."""
    header: bool = False
    quoted: bool = False
    encoding: Literal["utf-8", "latin-1"] = "utf-8"


def read_delimited(content: bytes, layout: Layout, file: str) -> pd.DataFrame:
    """Read ``content`` as ``layout`` says; ``file`` is the name that messages and the ``file`` column carry.

    Returns:
        The columns of ``layout`` (int64, or Int64 where a value is null; float64; str), then file and line, and
        where something could not be read, its text (see `attrec.datasets.tables.Tables`).

    Raises:
        DataError: the file is empty, wrongly encoded, cut off in its last line, or of another form.
    """
    if not content.strip():
        raise DataError(f"{file} is empty: put a file with rows in its place.")
    _check_encoding(content, layout, file)
    if layout.separator == " ":
        content = _single_blanks(content)
    frame = _read_with_arrow(content, layout, typed=True)
    if frame is None:
        frame = _read_with_arrow(content, layout, typed=False)
    if frame is None:
        return _read_line_by_line(content, layout, file)
    first = 2 if layout.header else 1
    lines = np.arange(first, first + len(frame), dtype=np.int64)
    return frame.assign(**source_columns(file, lines))


def _check_encoding(content: bytes, layout: Layout, file: str) -> None:
    if layout.encoding == "latin-1" or content.isascii():
        return
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file} is not UTF-8 text (line {line}); save it with the encoding UTF-8 and run again."
        ) from error


def _single_blanks(content: bytes) -> bytes:
    if not re.search(rb"\t|  | \r?$|^ ", content, re.MULTILINE):
        return content
    return re.sub(rb"^ | (?=\r?$)", b"", re.sub(rb"[ \t]+", b" ", content), flags=re.MULTILINE)


def _read_with_arrow(content: bytes, layout: Layout, typed: bool) -> pd.DataFrame | None:
    """Arrow's reader; None where any line differs from the layout or, if ``typed``, a value from its type."""
    separator = layout.separator
    if len(separator) > 1:
        if _UNIT_SEPARATOR in content:
            return None
        content = content.replace(separator.encode(), _UNIT_SEPARATOR)
        separator = _UNIT_SEPARATOR.decode()
    if layout.header and _header(content, layout, separator) != list(layout.columns):
        return None
    read = pa.csv.ReadOptions(
        column_names=list(layout.columns), skip_rows=int(layout.header), encoding=layout.encoding
    )
    parse = pa.csv.ParseOptions(
        delimiter=separator, quote_char='"' if layout.quoted else False, double_quote=layout.quoted
    )
    convert = pa.csv.ConvertOptions(
        column_types={name: _ARROW_TYPES[kind if typed else "text"] for name, kind in layout.columns.items()},
        null_values=[""],
        strings_can_be_null=False,
    )
    try:
        table = pa.csv.read_csv(pa.BufferReader(content), read, parse, convert)
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    newlines = content.count(b"\n") + (not content.endswith(b"\n"))
    if table.num_rows == 0 or table.num_rows != newlines - layout.header:
        return None  # no rows, blank lines, or line ends inside quotes: line numbers would be wrong
    if not typed:
        return _parse_columns({name: table.column(name).to_pandas() for name in layout.columns}, layout)
    columns: dict[str, pd.Series] = {}
    for name, kind in layout.columns.items():
        column = table.column(name)
        if kind == "int" and column.null_count:
            columns[name] = column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        else:
            columns[name] = column.to_pandas()
    return pd.DataFrame(columns)


def _header(content: bytes, layout: Layout, separator: str) -> list[str]:
    line = content.split(b"\n", 1)[0].decode(layout.encoding).lstrip("\ufeff").rstrip("\r")
    return next(csv.reader([line], delimiter=separator), []) if layout.quoted else line.split(separator)


def _read_line_by_line(content: bytes, layout: Layout, file: str) -> pd.DataFrame:
    text = content.decode(layout.encoding).lstrip("\ufeff")
    width = len(layout.columns)
    rows: list[list[str]] = []
    lines: list[int] = []
    malformed: dict[int, str] = {}
    for line, fields in _fields(text, layout):
        if layout.header and line == 1:
            if fields != list(layout.columns):
                raise DataError(
                    f"{file} has the columns {fields}, not {list(layout.columns)}; it is not the file"
                    " that was expected."
                )
            continue
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != width:
            malformed[len(rows)] = layout.separator.join(fields)
            fields = [""] * width  # which field is which is anyone's guess: the whole line is unreadable
        rows.append(fields)
        lines.append(line)
    if not rows:
        raise DataError(f"{file} has no rows; get it anew.")
    if len(malformed) * 2 > len(rows):
        raise DataError(
            f"{file} has {len(malformed):,} of {len(rows):,} lines that are not {width} fields separated by"
            f" {layout.separator!r}; it is not the expected file."
        )
    if not text.endswith("\n") and _width_of_last(text, layout) < width:
        raise DataError(f"{file} is cut off in line {lines[-1]:,}; get it anew.")
    frame = _parse_columns(dict(zip(layout.columns, zip(*rows, strict=True), strict=True)), layout)
    frame = frame.assign(**source_columns(file, np.array(lines, dtype=np.int64)))
    if malformed:
        frame[f"line{AS_WRITTEN}"] = pd.Series(malformed, dtype=str).reindex(frame.index)
    return frame


def _fields(text: str, layout: Layout) -> list[tuple[int, list[str]]]:
    """(1-based line where it starts, fields) of each record."""
    if not layout.quoted:
        split = (line.removesuffix("\r").split(layout.separator) for line in text.split("\n"))
        return list(enumerate(split, start=1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.separator)
    records = []
    start = 1
    try:
        for fields in reader:
            records.append((start, fields))
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num:,} is not valid CSV ({error}).") from error
    return records


def _width_of_last(text: str, layout: Layout) -> int:
    return len(_fields(text.rsplit("\n", 1)[-1], layout)[-1][1])


def select_columns(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The columns of ``names`` under their new names, file and line, and the text of what could not be read."""
    texts = {f"{old}{AS_WRITTEN}": f"{new}{AS_WRITTEN}" for old, new in {**names, "line": "line"}.items()}
    present = {old: new for old, new in texts.items() if old in table}
    return table[[*names, "file", "line", *present]].rename(columns={**names, **present})


def _parse_columns(texts: Mapping[str, _Texts], layout: Layout) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    unreadable: dict[str, pd.Series] = {}
    for name, kind in layout.columns.items():
        columns[name] = parse_column(texts[name], kind)
        null = columns[name].isna()
        if null.any():
            text = pd.Series(texts[name], dtype=str)
            unread = null & (text.str.strip() != "")
            if unread.any():
                unreadable[f"{name}{AS_WRITTEN}"] = text.where(unread)
    return pd.DataFrame({**columns, **unreadable})


def parse_column(values: _Texts, kind: Kind) -> pd.Series:
    """Text to a typed column; what cannot be read becomes null."""
    text = pd.Series(values, dtype=str)
    if kind == "text":
        return text
    if kind == "float":
        return pd.to_numeric(text.str.strip(), errors="coerce").astype(np.float64)
    short = text.str.fullmatch("-?[0-9]{1,18}").to_numpy(dtype=bool)
    numbers = np.zeros(len(text), dtype=np.int64)
    numbers[short] = text[short].astype(np.int64)
    unreadable = np.zeros(len(text), dtype=bool)
    for row in np.flatnonzero(~short):
        number = parse_int64(text.iloc[row])
        unreadable[row] = number is None
        numbers[row] = number or 0
    if unreadable.any():
        return pd.Series(pd.arrays.IntegerArray(numbers, unreadable))
    return pd.Series(numbers)


def parse_int64(value: str) -> int | None:
    """A whole number that fits 64 bits, or None."""
    stripped = value.strip()
    if not stripped.isascii() or not stripped.removeprefix("-").isdigit() or len(stripped) > 20:
        return None
    number = int(stripped)
    return number if _INT64[0] <= number <= _INT64[1] else None
