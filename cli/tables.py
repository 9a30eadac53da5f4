"""What a command prints as a table can be had as CSV or JSON; then nothing but that goes to standard output."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from attrec.shown import as_cell, one_line

Rows = Sequence[Mapping[str, Any]]


class Form(StrEnum):
    """How a table is printed."""

    table = "table"
    csv = "csv"
    json = "json"


FormatOption = Annotated[
    Form,
    typer.Option(
        "--format", help="How tables are printed; as csv or json, what is said beside them goes to stderr."
    ),
]


def say(text: str = "", form: Form = Form.table) -> None:
    """Print a line, or say something beside a table."""
    typer.echo(one_line(text), err=form is not Form.table)


def show(
    rows: Rows, form: Form, *, decimals: Mapping[str, int] | None = None, folds: Sequence[str] = ()
) -> None:
    """Print rows that have the same keys.

    Args:
        decimals: Of the numbers in a column, on the terminal alone.
        folds: Columns that may be broken where the terminal is narrow; where none is named, all.
    """
    if form is Form.json:
        print(json.dumps([{key: _plain(value) for key, value in row.items()} for row in rows], indent=2))
    elif form is Form.csv:
        # As files of ours are, whatever the terminal shows.
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        if rows:
            # Python's writer takes a lone carriage return for no reason to quote, and its reader for the end of a line.
            returns = any("\r" in str(value) for row in rows for value in row.values())
            writer = csv.DictWriter(
                sys.stdout,
                rows[0],
                lineterminator="\n",
                quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL,
            )
            writer.writeheader()
            seen = sys.stdout.isatty()
            writer.writerows({key: _cell(key, value, seen) for key, value in row.items()} for row in rows)
    else:
        _draw(rows, decimals or {}, folds)


def show_named(tables: Mapping[str, Rows], form: Form, **options: Any) -> None:
    """Print several tables: JSON is one object by name, CSV has an empty line between them, so have terminals."""
    if form is Form.json:
        named = {
            name: [{key: _plain(value) for key, value in row.items()} for row in rows]
            for name, rows in tables.items()
        }
        print(json.dumps(named, indent=2))
        return
    for place, rows in enumerate(tables.values()):
        if place:
            print()
        show(rows, form, **options)


def _draw(rows: Rows, decimals: Mapping[str, int], folds: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    if not rows:
        return
    names = list(rows[0])
    columns = (Column(name, no_wrap=bool(folds) and name not in folds, overflow="fold") for name in names)
    table = Table(*columns, box=None, padding=(0, 1, 0, 0))
    for row in rows:
        # Of what stands in data nothing is markup.
        table.add_row(*(Text(one_line(_shown(row[name], decimals.get(name)))) for name in names))
    Console().print(table)


def _shown(value: Any, decimals: int | None) -> str:
    value = _plain(value)
    if value is None:
        return ""
    return f"{value:.{decimals}f}" if isinstance(value, float) and decimals is not None else str(value)


def _cell(key: str, value: Any, seen: bool) -> Any:
    """A value as CSV has it; ids stand as they are, for they are to be found again.

    Args:
        seen: By a terminal, which would obey what programs are given as it stands.
    """
    value = _plain(value)
    if not isinstance(value, str):
        return value
    text = value if key.endswith("_id") else as_cell(value)
    return one_line(text) if seen else text


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers of numpy as Python's, what is missing as None."""
    if hasattr(value, "item"):
        value = value.item()
    # Neither None, pandas' NA nor NaN equals itself as true.
    missing = value is None or type(value).__name__ in ("NAType", "NaTType") or value != value
    return None if missing else value
