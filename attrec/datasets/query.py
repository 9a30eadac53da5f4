"""The answer of a database to a query, kept as Parquet: so that what models are compared on has a version."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from attrec.addresses import secrets_of
from attrec.datasets.records import LIST_SEPARATOR
from attrec.errors import DataError, ParamsError
from attrec.files import whole

_AT_ONCE = 50_000
_READS = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:SELECT|WITH)\b", re.IGNORECASE | re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


def is_answer(file: Path, url: str, query: str) -> bool:
    """Whether a file is what this query was answered."""
    return file.is_file() and _asked(file) == {b"url": url.encode(), b"query": query.encode()}


def keep_answer(url: str, query: str, file: Path) -> int:
    """Ask a database and write its answer to `file`, every column as text; the same answer makes the same file.

    Args:
        url: As SQLAlchemy has it; `$NAME` stands for a variable of the environment.

    Returns:
        How many rows there are.

    Raises:
        ParamsError: a variable is not set, or the address is none.
        DataError: the database does not answer, with no row, or with other columns than it answered this query before;
            the query does not begin with SELECT or WITH; `file` is there and is no answer of a query.
    """
    from tqdm import tqdm

    if file.exists() and not _asked(file):
        raise DataError(
            f"{file.name} in data/incoming is no answer of a query, and would be lost: give it, or your data, another"
            " name."
        )
    rows = 0
    with _asking(url, query) as (names, batches):
        if is_answer(file, url, query):
            _require_same(names, pq.read_schema(file).names, file)
        schema = pa.schema([(name, pa.string()) for name in names], {"url": url, "query": query})
        with (
            whole(file) as draft,
            tqdm(desc=f"query for {file.stem}", unit=" rows", disable=None, leave=False) as progress,
        ):
            with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
                for batch in batches:
                    columns = [[_text(value) for value in column] for column in zip(*batch, strict=True)]
                    writer.write_table(
                        pa.table([pa.array(column, pa.string()) for column in columns], schema)
                    )
                    rows += len(batch)
                    progress.update(len(batch))
            if not rows:
                raise DataError(
                    f"The query for {file.stem} returns nothing: mend it, or fill the table it asks."
                )
    return rows


def _require_same(names: list[str], before: list[str], file: Path) -> None:
    if names != before:
        raise DataError(
            f"The query for {file.stem} returns the columns {', '.join(names)}, and last time {', '.join(before)}: name"
            f" the columns in the query, or remove {file.name} from data/incoming if the new ones are right."
        )


def _asked(file: Path) -> dict[bytes, bytes]:
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return {}
    asked = {key: metadata[key] for key in (b"url", b"query") if key in metadata}
    return asked if len(asked) == 2 else {}


@contextmanager
def _asking(url: str, query: str) -> Iterator[tuple[list[str], Iterator[Any]]]:
    """Names of the columns, and the rows in batches; nothing that the query does is kept."""
    import sqlalchemy as sa

    if not _READS.match(query):
        raise DataError("The query may change what it asks: write one that begins with SELECT or WITH.")
    address = _VARIABLE.sub(_from_environment, url)
    try:
        engine = sa.create_engine(address)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ParamsError(
            "url is no address as SQLAlchemy has it, such as postgresql://host/shop."
        ) from error
    except ModuleNotFoundError as error:
        raise ParamsError(
            f"url needs the Python package {error.name}: install it in this environment."
        ) from error
    try:
        options = {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}
        with engine.connect().execution_options(stream_results=True, **options) as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            result = connection.exec_driver_sql(query)
            if not result.returns_rows:
                raise DataError("The query returns no table: write one that begins with SELECT.")
            names = list(result.keys())
            if len(set(names)) < len(names):
                raise DataError("The query returns two columns of one name: name them apart with AS.")
            yield names, result.partitions(_AT_ONCE)
    except sa.exc.SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", error)).split()).rstrip(".")
        for secret in secrets_of(engine.url):
            reason = reason.replace(secret, "***")
        raise DataError(f"The database does not answer the query: {reason}.") from None
    finally:
        engine.dispose()


def _from_environment(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if name not in os.environ:
        raise ParamsError(f"url names the variable {name}, which is not set in this environment.")
    from urllib.parse import quote

    return quote(os.environ[name], safe="")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return LIST_SEPARATOR.join(filter(None, map(_text, value)))
    return str(value)
