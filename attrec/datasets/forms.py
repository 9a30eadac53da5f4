"""How a file is written: format, packing, encoding, and of delimited text the dialect and whether it has a header."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attrec.datasets.columns import database, literal
from attrec.datasets.own_data import Format, format_of
from attrec.datasets.plain_text import Dialect, read_block, unpacked, wide_encoding
from attrec.errors import DataError

HEAD = 2**18
"""Bytes by which the dialect is told."""


@dataclass(frozen=True)
class Form:
    """How a file is written."""

    format: Format
    dialect: Dialect
    names: tuple[str, ...] | None = None
    """Of the columns, where no header line has them: column1, column2, …"""
    packed: bool = False
    odd: tuple[str, ...] = ()
    """What deserves a second look, a sentence each."""

    @property
    def words(self) -> str:
        """For people."""
        packed = ", packed" if self.packed else ""
        if self.format != "delimited":
            return {"parquet": "Parquet", "json-lines": "JSON, one object a line"}[self.format] + packed
        names = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks", "|": "bars"}
        by = names.get(self.dialect.separator, repr(self.dialect.separator))
        header = "a header line" if self.names is None else "no header line"
        encoding = "" if self.dialect.encoding == "utf-8" else f", encoding {self.dialect.encoding}"
        return f"text delimited by {by}, {header}{encoding}{packed}"


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
    encoding, odd = _encoding(path, head)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head).removeprefix("\ufeff")
    if named == "json-lines" or re.match(r"\s*\{", text):
        return Form("json-lines", Dialect(encoding=encoding), packed=packed, odd=odd)
    lines = [line for line in re.split(r"\r\n?|\n", text) if line.strip()]
    # The last one may be cut off.
    lines = lines[:-1] if len(head) == HEAD and len(lines) > 1 else lines
    dialect = _dialect(lines, encoding)
    rows = [_fields(dialect, line) for line in lines[:2000]]
    names = None if _has_header(rows) else tuple(f"column{place}" for place, _ in enumerate(rows[0], 1))
    return Form("delimited", dialect, names, packed, odd)


def _encoding(path: Path, head: bytes) -> tuple[str, tuple[str, ...]]:
    """Of a text, and what is odd about it."""
    wide = wide_encoding(head)
    if wide is not None:
        return wide, ()
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with unpacked(path, str(path)) as stream:
            while block := read_block(stream, str(path)):
                decoder.decode(block)
    except UnicodeDecodeError:
        return "cp1252", _mixed(path)
    return "utf-8", ()


def _mixed(path: Path) -> tuple[str, ...]:
    """What is odd about a text that is not UTF-8: some lines may be, whose letters another encoding garbles."""
    is_utf8 = {True: 0, False: 0}
    with unpacked(path, str(path)) as stream:
        rest = b""
        while block := read_block(stream, str(path)):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                if not line.isascii():
                    is_utf8[_is_utf8(line)] += 1
    if not rest.isascii():
        is_utf8[_is_utf8(rest)] += 1
    if not is_utf8[True]:
        return ()
    return (
        f"{is_utf8[False]:,} lines of {path.name} are not UTF-8, and {is_utf8[True]:,} with letters beyond ASCII are:"
        " all are read as cp1252, which garbles those: save the file with one encoding.",
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _dialect(lines: Sequence[str], encoding: str) -> Dialect:
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
    return Dialect(separator, quote, escape, encoding)


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
