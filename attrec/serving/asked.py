"""Whom a model is asked about in bulk, and the tables of people and pairs that somebody gives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from csv import reader
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from attrec.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".csv.gz", ".parquet")
_HEADER = 2**16  # bytes, at most
_SEPARATORS = ",;\t|"
_WHOLE = re.compile(r"-?[0-9]+")
_NO_DECIMALS = r"\.0+$"
_TOO_LARGE = 2**63


@dataclass(frozen=True)
class Asked:
    """Users, or playlists, in order, and what is told of them."""

    ids: pd.Index
    rows: pd.DataFrame | None = None
    """user_id, item_id and more, by user in the order of `ids`; None where the model knows them by themselves."""
    start: np.ndarray | None = None
    """[n + 1] where the rows of each begin."""

    @classmethod
    def of_rows(cls, rows: pd.DataFrame) -> Self:
        """Everybody who has a row, in the order in which they first occur."""
        codes, ids = pd.factorize(rows["user_id"])
        if (codes[1:] < codes[:-1]).any():
            order = np.argsort(codes, kind="stable")
            codes, rows = codes[order], rows.iloc[order]
        start = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
        return cls(pd.Index(ids, name="user_id"), rows.reset_index(drop=True), start)

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int) -> Iterator[Asked]:
        """The same in pieces of `size` users."""
        for first in range(0, len(self), size):
            end = min(first + size, len(self))
            ids = self.ids[first:end]
            if self.rows is None or self.start is None:
                yield Asked(ids)
            else:
                start = self.start[first : end + 1]
                yield Asked(ids, self.rows.iloc[start[0] : start[-1]], start - start[0])

    def only(self, ids: pd.Index) -> Self:
        """Those with these ids, in this order."""
        if self.rows is None:
            return type(self)(ids)
        place = ids.get_indexer(pd.Index(self.rows["user_id"]))
        order = np.argsort(place, kind="stable")
        return self.of_rows(self.rows.iloc[order[place[order] >= 0]])

    def digest(self) -> str:
        """Hash of all that is asked."""
        digest = hashlib.sha256()
        for frame in (self.ids.to_frame(index=False), self.rows):
            if frame is not None:
                digest.update(repr(list(frame.dtypes.items())).encode())
                digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()


def read_table(file: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Columns of a CSV, as text, or of a Parquet file; and optional ones that are there.

    Raises:
        DataError: the file cannot be read, has another ending, no row, not these columns, or a row without a value.
    """
    frames = [table.to_pandas() for table in read_in_batches(file, columns, optional, 2**20)]
    return pd.concat(frames, ignore_index=True)


def read_in_batches(
    file: Path, columns: Sequence[str], optional: Sequence[str], size: int
) -> Iterator[pa.Table]:
    """Columns of a CSV, as text, or of a Parquet file, `size` rows at a time; and optional ones that are there.

    What separates the fields of a CSV is told by its header: commas, semicolons, tabs or bars.

    Raises:
        DataError: see `read_table`.
    """
    import pyarrow as pa

    first = 1
    try:
        for table in _rebatched(_opened(file, columns, optional), size):
            _require_values(file, table, columns, first)
            first += len(table)
            yield table
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    except pa.ArrowException as error:
        said = " ".join(str(error).split())
        raise DataError(f"{file} is no readable table of the ending that it has: {said}.") from error
    if first == 1:
        raise DataError(f"{file} has no row: give one at least, with {_named(columns)}.")


def _opened(file: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    if not file.name.endswith(ENDINGS):
        raise DataError(f"{file} is no table: give a file that ends in {', '.join(ENDINGS)}.")
    if not file.is_file():
        raise DataError(f"{file} does not exist: give a table with {_named(columns)}.")
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as source:
            yield from source.iter_batches(
                columns=_wanted(file, source.schema_arrow.names, columns, optional)
            )
        return
    with pa.input_stream(str(file)) as stream:
        lines = stream.read(_HEADER).decode("utf-8-sig", errors="replace").splitlines()
    if not lines:
        raise DataError(f"{file} is empty: give a table with {_named(columns)}.")
    separator = max(_SEPARATORS, key=lines[0].count)
    names = _wanted(file, next(reader(lines[:1], delimiter=separator)), columns, optional)
    as_text = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=names,
        strings_can_be_null=True,
        null_values=[""],
    )
    written = csv.ParseOptions(delimiter=separator)
    with csv.open_csv(str(file), parse_options=written, convert_options=as_text) as rows:
        yield from rows


def _rebatched(batches: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    import pyarrow as pa

    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        while sum(len(one) for one in held) >= size:
            table = pa.Table.from_batches(held)
            yield table[:size]
            held = table[size:].to_batches()
    if sum(len(one) for one in held):
        yield pa.Table.from_batches(held)


def _wanted(file: Path, there: Sequence[str], columns: Sequence[str], optional: Sequence[str]) -> list[str]:
    missing = [name for name in columns if name not in there]
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(missing)}, only {', '.join(map(repr, there))}: give {_named(columns)}."
        )
    return [*columns, *(name for name in optional if name in there)]


def _require_values(file: Path, table: pa.Table, columns: Sequence[str], first: int) -> None:
    import pyarrow as pa

    for name in columns:
        kind = table[name].type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_large_string)
        if not any(fits(kind) for fits in plain):
            raise DataError(f"{file}: the column {name} holds {kind}: give numbers or text.")
        missing = np.asarray(table[name].is_null(nan_is_null=True))
        if missing.any():
            raise DataError(f"{file}, row {first + int(missing.argmax())}: there is no {name}.")


def _named(columns: Sequence[str]) -> str:
    return f"the column{'s' if len(columns) > 1 else ''} {','.join(columns)}"


def as_ids(values: pd.Series, known: pd.Index, place: str, first: int = 1) -> pd.Index:
    """Ids in the type that a model has them in.

    Args:
        values: As text or as they came.
        known: Those of the model.
        place: Where they stand, for messages, from row `first` on.

    Raises:
        DataError: the model has whole numbers, and one of these is none.
    """
    if pd.api.types.is_integer_dtype(values) and pd.api.types.is_integer_dtype(known):
        return pd.Index(values.astype("int64"), name=values.name)
    text = values.astype(str)
    if pd.api.types.is_numeric_dtype(values):  # whole numbers beside a missing one are floats
        text = text.str.removesuffix(".0")
    if not pd.api.types.is_integer_dtype(known):
        return pd.Index(text, name=values.name)
    text = text.str.strip().str.replace(_NO_DECIMALS, "", regex=True)
    ids = pd.Series([int(word) if _WHOLE.fullmatch(word) else _TOO_LARGE for word in text], dtype=object)
    bad = (ids.abs() >= _TOO_LARGE).to_numpy(dtype=bool)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{place}, row {first + row}: {str(values.iloc[row])!r} is no {str(values.name).removesuffix('_id')} id of"
            f" this model: they are whole numbers, like {', '.join(map(str, known[:3]))}."
        )
    return pd.Index(ids.astype("int64"), name=values.name)
