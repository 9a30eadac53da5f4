"""Parquet and JSON lines as tables of text that DuckDB selects from, a row a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from attrec.datasets.columns import Source, database, literal, quoted
from attrec.datasets.delimited import DelimitedText, open_delimited
from attrec.datasets.plain_text import Dialect
from attrec.errors import DataError

LIST_SEPARATOR = "|"
"""Between the members of a list, which become one text."""
_WHOLE_BELOW = 2**63


@contextmanager
def open_parquet(path: Path, file: str) -> Iterator[DelimitedText]:
    """Open a Parquet file; its rows count as lines, from 1.

    Raises:
        DataError: the file is missing, is not Parquet, or has no rows.
    """
    if not path.is_file():
        raise DataError(f"{file} does not exist; give the path of a file that does.")
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
def open_json_lines(path: Path, file: str, encoding: str) -> Iterator[DelimitedText]:
    """Open a file with one JSON object a line; a line that is none is told of.

    Raises:
        DataError: the file is missing or empty, or most of its lines are no objects.
    """
    dialect = Dialect("\x1f", None, None, encoding)
    with open_delimited(path, dialect, file, header=False, names=["line"]) as text:
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
        names = source.rows(f"SELECT DISTINCT unnest(json_keys({line})) FROM {objects}")
        columns = {name: _json_text(line, name) for (name,) in sorted(names)}
        bad = {int(text.lines[row - 1]): content for row, content in told}
        yield DelimitedText(
            replace(source, relation=objects, columns=columns), list(columns), text.lines[sound], bad, 0
        )


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


def _json_text(line: str, name: str) -> str:
    place = quoted(f"$.{json.dumps(name, ensure_ascii=False)}")
    text = f"json_extract_string({line}, {place})"
    members = quoted(f"$.{json.dumps(name, ensure_ascii=False)}[*]")
    several = f"array_to_string(json_extract_string({line}, {members}), {quoted(LIST_SEPARATOR)})"
    return (
        f"CASE json_type({line}, {place}) WHEN 'DOUBLE' THEN {_whole_as_such(f'CAST({text} AS DOUBLE)', text)}"
        f" WHEN 'ARRAY' THEN {several} ELSE {text} END"
    )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
