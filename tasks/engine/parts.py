"""A big table written part by part: a killed run is taken up, and the file appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pyarrow import csv

from attrec.errors import DataError, ServiceError
from attrec.files import whole, write_text
from attrec.shown import FORMULA

B = TypeVar("B")

ENDINGS = (".parquet", ".csv")
_PLAN, _LOCK = "plan.json", "lock"


def check_destination(file: Path) -> None:
    """See that a table can be written there.

    Raises:
        DataError: of another ending, a folder, or in a folder that does not exist.
    """
    if file.suffix not in ENDINGS:
        raise DataError(f"{file} is no table: give a file that ends in {' or '.join(ENDINGS)}.")
    if file.is_dir() or not file.parent.is_dir():
        raise DataError(f"{file} cannot be written: give the path of a file in a folder that exists.")


def write_in_parts(
    destination: Path,
    plan: Mapping[str, Any],
    batches: Iterator[B],
    answer: Callable[[B], pa.Table],
    done: Callable[[B, Path], None],
    workers: int,
) -> None:
    """Write the answers to all batches below one another, as Parquet or CSV by the ending of the file.

    A run that was killed is taken up by one of the same plan, which answers what is missing.

    Args:
        plan: All that the answers hang on, as JSON has it.
        answer: Of one batch; all answers have the same columns, and none hangs on another. Called in several threads.
        done: Told of every batch and the file that has its answer.
        workers: Batches that are answered at a time.

    Raises:
        ServiceError: another process is writing this file, or the disk is full.
    """
    folder = destination.with_name(f".{destination.name}.parts")
    try:
        folder.mkdir(exist_ok=True)
        with FileLock(folder / _LOCK, timeout=0):
            _take_up(folder, plan)
            parts = _answered(folder, batches, answer, done, workers)
            with whole(destination) as temporary:
                _join(parts, temporary, destination.suffix)
            shutil.rmtree(folder)
    except Timeout:
        raise ServiceError(f"{destination} is being written by another process: wait for it.") from None
    except OSError as error:
        raise ServiceError(f"{destination} cannot be written: {error.strerror or error}.") from error


def _take_up(folder: Path, plan: Mapping[str, Any]) -> None:
    """Leave in the folder what was written for the same plan, and nothing else."""
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    file = folder / _PLAN
    if not file.is_file() or file.read_text() != digest:
        for part in folder.glob("*.parquet"):
            part.unlink()
        write_text(file, digest)


def _answered(
    folder: Path,
    batches: Iterator[B],
    answer: Callable[[B], pa.Table],
    done: Callable[[B, Path], None],
    workers: int,
) -> list[Path]:
    """The files of all parts, in order; no more batches are read than are being answered."""
    parts: list[Path] = []

    def write(batch: B, part: Path) -> tuple[B, Path]:
        with whole(part) as temporary:
            pq.write_table(answer(batch), temporary)
        return batch, part

    pool, pending = ThreadPoolExecutor(workers), set[Future[tuple[B, Path]]]()
    try:
        for batch in batches:
            parts.append(folder / f"{len(parts):06d}.parquet")
            if parts[-1].is_file():
                done(batch, parts[-1])
            else:
                pending.add(pool.submit(write, batch, parts[-1]))
            pending = _finished(pending, workers, done)
        _finished(pending, 0, done)
    finally:
        pool.shutdown(cancel_futures=True)
    return parts


def _finished(
    pending: set[Future[tuple[B, Path]]], most: int, done: Callable[[B, Path], None]
) -> set[Future[tuple[B, Path]]]:
    """Wait until `most` are left, and tell of the others."""
    while len(pending) > most:
        finished, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in finished:
            done(*future.result())
    return pending


def _join(parts: list[Path], file: Path, ending: str) -> None:
    schema = pq.read_schema(parts[0])
    if ending == ".csv":
        # People read them: seven digits, not seventeen.
        short = [f.with_type(pa.float32()) if f.type == pa.float64() else f for f in schema]
        schema = pa.schema(short)
    plain = csv.WriteOptions(quoting_header="none")
    writer = (
        pq.ParquetWriter(file, schema)
        if ending == ".parquet"
        else csv.CSVWriter(file, schema, write_options=plain)
    )
    with writer:
        for part in parts:
            table = pq.read_table(part).cast(schema)
            writer.write_table(_as_cells(table) if ending == ".csv" else table)


_TEXTS = (pa.string(), pa.large_string(), pa.string_view())


def _as_cells(table: pa.Table) -> pa.Table:
    """See `attrec.shown.as_cells`."""
    for place, field in enumerate(table.schema):
        if field.type in _TEXTS and not field.name.endswith("_id"):
            guarded = pc.replace_substring_regex(table[place], f"^('*{FORMULA})", r"'\1")
            table = table.set_column(place, field, guarded)
    return table
