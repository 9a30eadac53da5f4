"""Text in any packing, encoding and line ends, as a plain file for DuckDB: one record a line, whose number is known.

What DuckDB does not say, or says only of files without quirks, is settled here: which line a row stands in where lines
are blank or quotes hold several together; and a quote that nobody closes, which would swallow the lines up to the next
one without a word.
"""

from __future__ import annotations

import codecs
import csv
import errno
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from attrec.errors import DataError, ServiceError

_BLOCK = 1 << 23
_HEAD = 1 << 12
_LONGEST_RECORD = 1000
"""Lines that quotes may hold together: beyond it, a quote is one that nobody closed."""
_PACKED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x04\x22\x4d\x18": "lz4",
    b"Rar!": "rar",
}
_LINE_ENDS = re.compile(rb"\r\n?")


@dataclass(frozen=True)
class Dialect:
    """How a line becomes fields."""

    separator: str = ","
    """A blank stands for any run of blanks and tabs, and for none at the ends of a line."""
    quote: str | None = None
    escape: str | None = None
    """What makes a quote inside quotes plain; None where it is doubled."""
    encoding: str = "utf-8"

    def fields(self, line: str) -> list[str]:
        """Of one record, which may have several lines.

        Raises:
            csv.Error: quotes are not as they must be.
        """
        if self.quote is None or len(self.separator) > 1:
            return line.split(self.separator)
        [fields] = self._read([line])
        return fields

    def is_closed(self, lines: list[str]) -> bool:
        """Whether these are one record, all its quotes closed."""
        try:
            return len(list(self._read(lines, strict=True))) == 1
        except csv.Error:
            return False

    def _read(self, lines: list[str], strict: bool = False) -> Iterator[list[str]]:
        return csv.reader(
            [f"{line}\n" for line in lines],
            delimiter=self.separator,
            quotechar=self.quote,
            doublequote=self.escape is None,
            escapechar=self.escape,
            strict=strict,
        )


@dataclass
class PlainText:
    """What `write_plain` wrote."""

    path: Path
    """UTF-8, lines end in LF, none is blank, each is one record whose quotes are closed."""
    first: list[str]
    """Fields of the first line."""
    lines: np.ndarray
    """[n] int64: for each line of `path`, its line in the source, from 1."""
    records: dict[int, list[str]] = field(default_factory=dict)
    """By line of the source, the fields of records that are not in `path`: those of several lines, say."""
    bad: dict[int, str] = field(default_factory=dict)
    """By line of the source, the lines that are no records."""
    plain_quotes: int = 0
    """Rows in which a quote that nobody closed was taken for a letter."""
    is_ended: bool = True
    """Whether the last line has an end."""


def write_plain(
    source: Path | bytes, dialect: Dialect, file: str, target: Path, width: int | None = None
) -> PlainText:
    """Write a text to `target` so that DuckDB reads it line by line; `file` is what messages call it.

    Args:
        width: How many fields a line has; left out, as many as the first.

    Raises:
        DataError: the source is missing, empty, damaged, packed or encoded otherwise.
        ServiceError: the disk is full.
    """
    writer = _Writer(dialect, file, width)
    try:
        with target.open("wb") as out:
            for block in _blocks(source, dialect, file):
                out.write(writer.take(block))
            out.write(writer.take(b"", last=True))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ServiceError(
            f"The disk is full: a plain copy of {file} does not fit into {target.parent}; free some space or"
            " name another folder in TMPDIR."
        ) from error
    if writer.first is None:
        raise DataError(f"{file} is empty: put a file with rows in its place.")
    numbers = np.concatenate(writer.numbers) if writer.numbers else np.zeros(0, dtype=np.int64)
    return PlainText(
        target, writer.first, numbers, writer.records, writer.bad, writer.plain_quotes, writer.is_ended
    )


class _Writer:
    def __init__(self, dialect: Dialect, file: str, width: int | None) -> None:
        self.dialect, self.file, self.width = dialect, file, width
        self.first: list[str] | None = None
        self.numbers: list[np.ndarray] = []
        self.records: dict[int, list[str]] = {}
        self.bad: dict[int, str] = {}
        self.plain_quotes = 0
        self.is_ended = True
        self._carried = b""
        self._before = 0

    def take(self, block: bytes, last: bool = False) -> bytes:
        """The lines of the next block that may be written; the rest is carried on to the next one."""
        content = self._carried + block
        if last and content and not content.endswith(b"\n"):
            self.is_ended = False
            content += b"\n"
        end = content.rfind(b"\n") + 1
        content, self._carried = content[:end], content[end:]
        if self.dialect.separator == " ":
            content = _single_blanks(content)
        return self._lines(content, last) if content else b""

    def _lines(self, content: bytes, last: bool) -> bytes:
        data = np.frombuffer(content, dtype=np.uint8)
        ends = np.flatnonzero(data == 10)
        starts = np.concatenate(([0], ends[:-1] + 1))
        keep = np.ones(len(ends), dtype=bool)
        empty = np.frombuffer(b"\n\t " + self.dialect.separator.encode()[:1], dtype=np.uint8)
        blank, separator = self._blanks()
        unnamed = self.first is None and self.width is None
        for row in np.flatnonzero(np.isin(data[starts], empty)):
            # Rows of nothing are rows, but those above the names of the columns.
            unnamed = unnamed and not keep[:row].any()
            nothing = blank + separator if unnamed else blank
            keep[row] = bool(content[starts[row] : ends[row]].translate(None, nothing))

        def text(row: int) -> str:
            return content[starts[row] : ends[row]].decode()

        if self.first is None and keep.any():
            self.first = self._header(text(int(np.argmax(keep))))
        used = len(ends)
        if self.dialect.quote is not None and self.dialect.quote.encode() in content:
            used = self._settle_quotes(self._odd(content, ends), text, keep, last)
            if used < len(ends):
                self._carried = content[starts[used] :] + self._carried
        kept = np.flatnonzero(keep[:used])
        self.numbers.append(kept.astype(np.int64) + self._before + 1)
        self._before += used
        if len(kept) == len(ends):
            return content
        return b"".join(content[starts[row] : ends[row] + 1] for row in kept)

    def _header(self, line: str) -> list[str]:
        named = self.width is None
        if named and self.dialect.quote is not None and not self.dialect.is_closed([line]):
            raise DataError(
                f"{self.file}: the quotes of the first line do not pair; mend it, or name another quote in the"
                " parameters (null: none)."
            )
        return self.dialect.fields(line)

    def _blanks(self) -> tuple[bytes, bytes]:
        """What stands in lines of nothing, and in rows of nothing besides."""
        separator = self.dialect.separator.encode()
        separator = separator if len(separator) == 1 else b""
        return b" \t".replace(separator, b"") if separator else b" \t", separator

    def _odd(self, content: bytes, ends: np.ndarray) -> np.ndarray:
        """Rows with an odd number of quotes."""
        assert self.dialect.quote is not None
        if self.dialect.escape is not None:
            content = re.sub(re.escape(self.dialect.escape.encode()) + rb"[^\n]", b"__", content)
        quotes = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord(self.dialect.quote))
        counts = np.diff(np.searchsorted(quotes, ends), prepend=0)
        return np.flatnonzero(counts % 2)

    def _settle_quotes(
        self, odd: np.ndarray, text: Callable[[int], str], keep: np.ndarray, last: bool
    ) -> int:
        """Take out the rows whose quotes do not pair; returns how many rows are settled."""
        width = self.width or len(self.first or ())
        following = 0
        for place, row in enumerate(odd):
            if row < following:
                continue
            number, line = self._before + int(row) + 1, text(row)
            keep[row] = False
            closing = int(odd[place + 1]) if place + 1 < len(odd) else None
            if self.dialect.is_closed([line]):
                self._settle(number, line, self.dialect.fields(line), width)
                continue
            if closing is None and not last and len(keep) - row <= _LONGEST_RECORD:
                return int(row)
            plain = line.split(self.dialect.separator)
            if closing is not None and closing - row < _LONGEST_RECORD:
                held = [text(at) for at in range(row, closing + 1)]
                fields = self._record(held, width)
                if fields is not None:
                    self.records[number] = fields
                    keep[row : closing + 1] = False
                    following = closing + 1
                    continue
            self._settle(number, line, plain, width)
            self.plain_quotes += len(plain) == width
        return len(keep)

    def _record(self, lines: list[str], width: int) -> list[str] | None:
        """Fields of the record that quotes hold together; None where each line is one of its own, or they are none."""
        if not self.dialect.is_closed(lines):
            return None
        fields = self.dialect.fields("\n".join(lines))
        swallowed = all(len(line.split(self.dialect.separator)) == width for line in lines)
        return None if swallowed or len(fields) != width else fields

    def _settle(self, number: int, line: str, fields: list[str], width: int) -> None:
        if len(fields) == width:
            self.records[number] = fields
        else:
            self.bad[number] = line


def _single_blanks(content: bytes) -> bytes:
    if not re.search(rb"\t|  | $|^ ", content, re.MULTILINE):
        return content
    return re.sub(rb"^ | (?=$)", b"", re.sub(rb"[ \t]+", b" ", content), flags=re.MULTILINE)


def _blocks(source: Path | bytes, dialect: Dialect, file: str) -> Iterator[bytes]:
    """Blocks of UTF-8 with LF line ends."""
    decoder = codecs.getincrementaldecoder(dialect.encoding)()
    utf8 = codecs.lookup(dialect.encoding).name == "utf-8"
    line, held, first = 1, b"", True
    with unpacked(source, file) as stream:
        while True:
            block = read_block(stream, file)
            if first and utf8 and (wide := wide_encoding(block[:_HEAD])) is not None:
                raise DataError(
                    f"{file} is not {_shown(dialect.encoding)} text (line 1) but {_shown(wide)}; save it with the"
                    " encoding UTF-8, or name its encoding in the parameters."
                )
            try:
                if not (utf8 and block.isascii() and decoder.getstate()[0] == b""):
                    block = decoder.decode(block, not block).encode()
            except UnicodeError as error:
                start = getattr(error, "start", 0)
                line += getattr(error, "object", b"")[:start].count(b"\n")
                raise DataError(
                    f"{file} is not {_shown(dialect.encoding)} text (line {line:,}); save it with the encoding"
                    " UTF-8, or name its encoding in the parameters."
                ) from error
            final = not block and not decoder.getstate()[0]
            if first and block:
                block, first = block.removeprefix(codecs.BOM_UTF8), False
            block = held + block
            # A line end of two characters may be cut in two.
            held = b"\r" if block.endswith(b"\r") and not final else b""
            block = block[: len(block) - len(held)]
            if b"\r" in block:
                block = _LINE_ENDS.sub(b"\n", block)
            line += block.count(b"\n")
            if block:
                yield block
            if final:
                return


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, where a text begins with its mark or is full of zero bytes as none of UTF-8 is."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.count(b"\0") * 10 < len(head):
        return None
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        # Of bytes in the wrong order none is the end of a line.
        if "\0" not in text and ("\n" in text or "\r" in text):
            return encoding
    return None


def read_block(stream: IO[bytes], file: str, size: int = _BLOCK) -> bytes:
    """Some bytes of what `unpacked` gives, none at its end.

    Raises:
        DataError: it is damaged or cut off.
    """
    try:
        return stream.read(size)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{file} is damaged or cut off ({error}); get it anew.") from error


def _shown(encoding: str) -> str:
    return encoding.upper() if encoding.lower().startswith("utf") else encoding


@contextmanager
def unpacked(source: Path | bytes, file: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, which may be packed with gzip or zstandard.

    Raises:
        DataError: the file is missing, cannot be read, or is packed in another way.
    """
    try:
        # To open a pipe would wait for somebody who writes into it.
        if isinstance(source, Path) and source.exists() and not (source.is_file() or source.is_dir()):
            raise DataError(f"{file} is no file, but a pipe or a device; give the path of a file.")
        raw: IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist; give the path of a file that does.") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    with raw:
        head = raw.read(8)
        raw.seek(0)
        other = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
        if other is not None:
            raise DataError(f"{file} is packed with {other}; unpack it, or pack it with gzip or zstandard.")
        if head.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream  # type: ignore[misc]
        elif head.startswith(b"\x28\xb5\x2f\xfd"):
            yield pa.CompressedInputStream(raw, "zstd")
        else:
            yield raw
