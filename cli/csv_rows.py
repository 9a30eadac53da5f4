"""Small CSV files that a person gives: read as text, every fault one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from attrec.errors import DataError


def read_rows(file: Path, columns: Sequence[str], what: str) -> pd.DataFrame:
    """All columns of the file, as text.

    Args:
        columns: Those that must be there.
        what: What the rows are, for messages.

    Raises:
        DataError: the file is missing, unreadable or empty, or lacks a column.
    """
    wanted = f"the column{'s' if len(columns) > 1 else ''} {','.join(columns)}"
    try:
        frame = pd.read_csv(file, dtype=str)
    except FileNotFoundError:
        raise DataError(f"{file} does not exist: give a CSV with {wanted}.") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    except pd.errors.EmptyDataError:
        raise DataError(f"{file} is empty: give a CSV with {wanted}.") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} is not a readable CSV ({' '.join(str(error).split())}): use UTF-8 and commas."
        ) from error
    missing = set(columns) - set(frame.columns)
    if missing:
        raise DataError(f"{file} has no column {', '.join(sorted(missing))}: give {wanted}.")
    if frame.empty:
        raise DataError(f"{file} has no {what}: give at least one row.")
    return frame
