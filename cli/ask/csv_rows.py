"""Small CSV files that a person gives: read as text, every fault one sentence."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from attrec.errors import DataError


def read_rows(file: Path, columns: Sequence[str], what: str) -> pd.DataFrame:
    """All columns of the file, as text, by their names in lower case; the index has the line of each row. Blank lines
    are skipped, and nothing but an empty field is a missing value: a song may be called None.

    Args:
        columns: Those that must be there.
        what: What the rows are, for messages.

    Raises:
        DataError: the file is missing, unreadable or empty, lacks a column, or has a line with more fields than its
            header: pandas would take the first for the name of the row.
    """
    wanted = f"the column{'s' if len(columns) > 1 else ''} {','.join(columns)}"
    try:
        _check_lengths(file)
        frame = pd.read_csv(
            file, dtype=str, keep_default_na=False, na_values=[""], skip_blank_lines=False
        ).rename(columns=lambda name: str(name).strip().lower())
    except FileNotFoundError:
        raise DataError(f"{file} does not exist: give a CSV with {wanted}.") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    except pd.errors.EmptyDataError:
        raise DataError(f"{file} is empty: give a CSV with {wanted}.") from None
    except (pd.errors.ParserError, csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} is not a readable CSV ({' '.join(str(error).split())}): use UTF-8 and commas."
        ) from error
    frame.index += 2
    frame = frame.dropna(how="all")
    missing = set(columns) - set(frame.columns)
    if missing:
        there = ", ".join(map(repr, frame.columns))
        raise DataError(
            f"{file} has no column {', '.join(sorted(missing))}, only {there}: give {wanted}, with commas between."
        )
    if frame.empty:
        raise DataError(f"{file} has no {what}: give at least one row.")
    return frame


def _check_lengths(file: Path) -> None:
    width = 0
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        for row in reader:
            width = width or len(row)
            if len(row) > width:
                raise DataError(
                    f"{file}, line {reader.line_num}: {len(row)} fields under a header of {width}: put quotation marks"
                    f' around what has a comma in it, as in "{",".join(row)}".'
                )
