"""Parquet and JSON lines as tables of text that DuckDB selects from, a row a line."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq

from attrec.datasets.columns import Source, database, literal, quoted
from attrec.datasets.delimited import DelimitedText, open_delimited
from attrec.datasets.plain_text import Dialect
from attrec.errors import DataError

LIST_SEPARATOR = "|"
"""Between the members of a list, which become one text."""
MOST_KEYS = 1_000
"""Of JSON lines, where all are read."""
_WHOLE_BELOW = 2**63
_PARQUET = b"PAR1"
_ROWS_AT_ONCE = 8192


@contextmanager
def open_parquet(path: Path, file: str) -> Iterator[DelimitedText]:
    """Open a Parquet file; its rows count as lines, from 1.

    Raises:
        DataError: the file is missing, is not Parquet, is packed or cut off, or has no rows.
    """
    if not path.is_file():
        raise DataError(f"{file} does not exist; give the path of a file that does.")
    _refuse_other(path, file)
    with database() as (connection, _):
        source = Source(connection, f"read_parquet({literal(path)}, hive_partitioning = false)", {}, file)
        described = source.rows(f"DESCRIBE FROM {source.relation}")
        # DuckDB calls one of two names apart that differ in case only.
        names = pq.read_schema(path).names
        columns = {
            name: _as_text(_identifier(own), kind)
            for name, (own, kind, *_) in zip(names, described, strict=True)
        }
        source = replace(source, columns=columns)
        (rows,) = source.measure("count(*)")
        if not rows:
            raise DataError(f"{file} has no rows; get it anew.")
        yield DelimitedText(source, names, np.arange(1, rows + 1, dtype=np.int64), {}, 0)


@contextmanager
def open_json_lines(
    path: Path, file: str, encoding: str, wanted: Collection[str] | None = None
) -> Iterator[DelimitedText]:
    """Open a file with one JSON object a line; a line that is none is told of.

    Args:
        wanted: Keys that will be read; left out, all of them, if they are not too many.

    Raises:
        DataError: the file is missing or empty, most of its lines are no objects, or it has too many keys.
    """
    dialect = Dialect("\x1f", None, None, encoding)
    with (
        open_delimited(path, dialect, file, header=False, names=["line"]) as text,
        TemporaryDirectory(prefix="attrec-") as folder,
    ):
        source, line = text.source, text.source.columns["line"]
        is_object = f"coalesce(json_type(CASE WHEN json_valid({line}) THEN {line} END) = 'OBJECT', false)"
        told = source.rows(
            f"SELECT row, line FROM (SELECT row_number() OVER () AS row, {line} AS line, {is_object} AS sound"
            f" FROM {source.relation}) WHERE NOT sound"
        )
        sound = np.ones(len(text.lines), dtype=bool)
        sound[[row - 1 for row, _ in told]] = False
        if len(told) * 2 > len(sound):
            raise DataError(
                f"{file}: {len(told):,} of {len(sound):,} lines are not JSON objects; is it the right file?"
            )
        objects = f"(FROM {source.relation} WHERE {is_object})"
        names = sorted(
            name for (name,) in source.rows(f"SELECT DISTINCT unnest(json_keys({line})) FROM {objects}")
        )
        read = [name for name in names if wanted is None or name in wanted]
        if len(read) > MOST_KEYS:
            raise DataError(
                f"{file} has {len(read):,} different keys, more than {MOST_KEYS:,}; give each line the same keys."
            )
        taken = _taken_apart(replace(source, relation=objects), line, read, Path(folder) / "columns.parquet")
        bad = {int(text.lines[row - 1]): content for row, content in told}
        yield DelimitedText(taken, names, text.lines[sound], bad, 0)


def _refuse_other(path: Path, file: str) -> None:
    with path.open("rb") as raw:
        first = raw.read(len(_PARQUET))
        raw.seek(-min(len(_PARQUET), path.stat().st_size), os.SEEK_END)
        last = raw.read()
    if first == _PARQUET == last:
        return
    if first == _PARQUET:
        raise DataError(f"{file} is damaged or cut off: it does not end as Parquet does; get it anew.")
    if first.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        raise DataError(f"{file} is packed; unpack it: Parquet packs its columns itself.")
    raise DataError(f"{file} cannot be read: it is not Parquet; name its format in the parameters.")


def _taken_apart(source: Source, line: str, names: Sequence[str], target: Path) -> Source:
    """A table of these keys in `target`: to take every line apart for each of many columns would last."""
    if not names:
        return replace(source, columns={})
    places = ", ".join(quoted(_pointer(name)) for name in names)
    texts = ", ".join(f"{_json_text(f'cells[{place}]')} AS c{place}" for place in range(1, len(names) + 1))
    source.rows(
        f"COPY (SELECT {texts} FROM (SELECT json_extract({line}, [{places}]) AS cells FROM {source.relation}))"
        f" TO {quoted(str(target))} (FORMAT parquet, ROW_GROUP_SIZE {_ROWS_AT_ONCE})"
    )
    columns = {name: f"c{place}" for place, name in enumerate(names, 1)}
    return replace(
        source, relation=f"read_parquet({literal(target)}, hive_partitioning = false)", columns=columns
    )


def _pointer(name: str) -> str:
    """Of a key, as RFC 6901 has it; a path of DuckDB could not name an empty one."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _as_text(column: str, kind: str) -> str:
    if kind.endswith("[]"):
        return f"array_to_string({column}, {quoted(LIST_SEPARATOR)})"
    return (
        _whole_as_such(column, f"CAST({column} AS VARCHAR)")
        if kind in ("DOUBLE", "FLOAT")
        else f"CAST({column} AS VARCHAR)"
    )


def _whole_as_such(number: str, text: str) -> str:
    """A whole number kept as a floating one, such as 7.0, is 7; NaN is nothing."""
    whole = f"{number} = floor({number}) AND abs({number}) < {_WHOLE_BELOW}"
    # DuckDB may compute a branch of CASE for rows of another one.
    integer = f"CAST(TRY_CAST({number} AS BIGINT) AS VARCHAR)"
    return f"CASE WHEN isnan({number}) THEN NULL WHEN {whole} THEN {integer} ELSE {text} END"


def _json_text(cell: str) -> str:
    text = f"json_extract_string({cell}, '$')"
    several = f"array_to_string(json_extract_string({cell}, '$[*]'), {quoted(LIST_SEPARATOR)})"
    return (
        f"CASE json_type({cell}) WHEN 'DOUBLE' THEN {_whole_as_such(f'TRY_CAST({text} AS DOUBLE)', text)}"
        f" WHEN 'ARRAY' THEN {several} ELSE {text} END"
    )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
