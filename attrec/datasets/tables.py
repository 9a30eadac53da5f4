"""The canonical tables that every dataset becomes, and their form on disk."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from attrec.errors import DataError, ServiceError
from attrec.files import StrPath, whole

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp", "file", "line")
USER_COLUMNS = ("user_id", "age", "gender", "occupation", "zip_code", "file", "line")
ITEM_COLUMNS = ("item_id", "title", "year", "genres", "file", "line")

Feedback = Literal["ratings", "actions"]
"""What users leave behind: ratings of items, or bare actions in order, of which one may be repeated."""

AS_WRITTEN = " as written"
"""Ends the name of a column that holds the text of what could not be read into the column it is named after."""
PAIR_AS_WRITTEN = f"pair{AS_WRITTEN}"
"""The same of a single field that should have named both user and item."""

_MENDED = "mended.json"
_YEAR_AT_END = re.compile(r"\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")


@dataclass(frozen=True)
class Tables:
    """One dataset as plain tables.

    ``ratings``: user_id, item_id, rating (float32; absent where users act without rating), timestamp (seconds
    UTC, absent where unknown), file, line; one row a rating or an action, in the order of the file.
    ``users``: user_id and any of age, gender, occupation, zip_code; file, line.
    ``items``: item_id, title, year (float, NaN where unknown), genres (list of str); file, line.
    ``truth`` (simulated data only): user_id, item_id and ``expected``, the conditional mean of the rating
    that was drawn, so that sqrt(mean((rating - expected)^2)) is the noise floor; and perhaps ``rank``, that of a user's
    last item by the probabilities that it was drawn by, null elsewhere. Only a report may read it.

    ``file`` is categorical, ``line`` the 1-based line of the source file. Ids and timestamps are int64, or
    nullable Int64 where a value could not be read; textual ids are str. Where something could not be read, a
    further column such as ``rating as written`` has its text, and null in every other row; ``pair as written``
    has single fields that should name both user and item, ``line as written`` whole lines of which no field
    could be told.

    ``mended``: what reading already put right, by rule: how many values or rows each touched.
    """

    ratings: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
    truth: pd.DataFrame | None = None
    mended: Mapping[str, int] = field(default_factory=dict)

    @property
    def feedback(self) -> Feedback:
        """``actions`` where no row could have a rating."""
        return "ratings" if "rating" in self.ratings else "actions"

    def save(self, directory: StrPath) -> list[Path]:
        """Write one Parquet file a table into ``directory``, each whole or not at all, and ``mended.json``."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        mended = directory / _MENDED
        mended.write_text(json.dumps(dict(self.mended), indent=2) + "\n")
        written = [mended]
        for name in ("ratings", "users", "items", "truth"):
            frame: pd.DataFrame | None = getattr(self, name)
            target = directory / f"{name}.parquet"
            if frame is None:
                target.unlink(missing_ok=True)
                continue
            write_parquet(frame, target)
            written.append(target)
        return written

    @classmethod
    def load(cls, directory: StrPath) -> Tables:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: a table is missing or is not a Parquet file.
        """
        directory = Path(directory)
        frames: dict[str, Any] = {"truth": None}
        for name in ("ratings", "users", "items", "truth"):
            path = directory / f"{name}.parquet"
            if name == "truth" and not path.exists():
                continue
            frames[name] = read_parquet(path)
        mended = directory / _MENDED
        return cls(**frames, mended=json.loads(mended.read_text()) if mended.is_file() else {})


def write_parquet(frame: pd.DataFrame, path: StrPath) -> None:
    """Write ``frame`` to ``path`` through a temporary name, so that no reader ever sees half a file.

    Raises:
        ServiceError: the disk is full.
    """
    try:
        with whole(path) as temporary:
            frame.to_parquet(temporary, index=False)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        path = Path(path)
        raise ServiceError(
            f"The disk is full: {path.name} does not fit into {path.parent}; free some space and run again."
        ) from error


def read_parquet(path: StrPath) -> pd.DataFrame:
    """Read a canonical table; genres come back as lists.

    Raises:
        DataError: the file is missing or is not Parquet.
    """
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; run the step that writes it first.") from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is not a readable Parquet file; delete it and run its step again."
        ) from error
    if "genres" in frame.columns:
        frame["genres"] = [list(genres) for genres in frame["genres"]]
    return frame


def source_columns(file: str, lines: np.ndarray | pd.Series | int) -> dict[str, Any]:
    """The ``file`` and ``line`` columns; an int means one row a line, counted from 1."""
    if isinstance(lines, int):
        lines = np.arange(1, lines + 1, dtype=np.int64)
    codes = np.zeros(len(lines), dtype=np.int8)
    return {
        "file": pd.Categorical.from_codes(codes, categories=pd.Index([file], dtype=str)),
        "line": np.asarray(lines, dtype=np.int64),
    }


def as_written(frame: pd.DataFrame) -> list[str]:
    """Names of the columns that hold the text of what could not be read."""
    return [name for name in frame.columns if name.endswith(AS_WRITTEN)]


def ids_seen_in(ratings: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row for each id that ``ratings`` names, with the file and line where it first stands."""
    known = ratings.loc[ratings[column].notna(), [column, "file", "line"]]
    first = known.drop_duplicates(column).sort_values(column, ignore_index=True)
    return first.astype({column: "int64"}) if pd.api.types.is_integer_dtype(first[column]) else first


def items_seen_in(ratings: pd.DataFrame) -> pd.DataFrame:
    """A table of items for ratings that come without one: an item's title is its id, and nothing more is known."""
    items = ids_seen_in(ratings, "item_id")
    no_genres: pd.Series = pd.Series([[] for _ in range(len(items))], dtype=object)
    titled = items.assign(title=items["item_id"].astype(str), year=np.nan, genres=no_genres)
    return titled[list(ITEM_COLUMNS)]


def year_in_title(titles: pd.Series) -> pd.Series:
    """The year in brackets that ends a title, ``Toy Story (1995)``; NaN where there is none."""
    years = titles.astype(str).str.extract(_YEAR_AT_END.pattern, expand=False)
    return years.astype(float)
