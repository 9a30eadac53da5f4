"""Batches of questions, and what a served model answers to each: rows of one table, whose columns are known before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from attrec.datasets.given import Given
from attrec.serving.asked import Asked, as_ids
from attrec.serving.ratings import ServedRatings
from attrec.serving.served import Served
from tasks.engine.logs import ThrottledNotes
from tasks.engine.parts import write_in_parts

USERS_AT_ONCE = 2048
FEWEST_AT_ONCE = 64
PAIRS_AT_ONCE = 2**18


@dataclass(frozen=True)
class Bulk:
    """All that is asked, and what answers it."""

    batches: Iterator[Any]
    """Each with a length."""
    answer: Callable[[Any], pa.Table]
    """Of one batch, in any thread."""
    unit: str
    """What is counted."""
    total: int | None = None

    def write(
        self, destination: Path, plan: Mapping[str, Any], seen: Callable[[Path], None] = lambda part: None
    ) -> None:
        """Write all answers into one file; shows a progress bar, and notes progress in the log of the run under way.

        Args:
            plan: All that the answers hang on (see `write_in_parts`).
            seen: Told of the file of each part.
        """
        notes = ThrottledNotes("export")
        # Not on every system can a process be kept to some of the cores.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        of_all = "" if self.total is None else f" of {self.total:,}"
        bar = tqdm(total=self.total, unit=f" {self.unit}s", unit_scale=True, desc="export", disable=None)
        with bar:

            def done(batch: Any, part: Path) -> None:
                seen(part)
                bar.update(len(batch))
                notes.note(f"{bar.n:,}{of_all} {self.unit}s")

            write_in_parts(destination, plan, self.batches, self.answer, done, cores)
        notes.close()


def recommendations(served: Served, asked: Asked, k: int, exclude_seen: bool | None) -> Bulk:
    """user_id, rank, item_id, title and artist where items have them, score: the k best for each."""
    items = served.items.set_index("item_id")
    texts = items[[name for name in ("title", "artist") if name in items and items[name].notna().any()]]
    fields = [
        ("user_id", _arrow_type(asked.ids)),
        ("rank", pa.int32()),
        ("item_id", _arrow_type(served.known_items)),
        *((name, pa.string()) for name in texts),
        ("score", pa.float64()),
    ]

    def answer(batch: Asked) -> pa.Table:
        best = served.recommend_all(batch, k, exclude_seen)
        named = texts.reindex(best["item_id"]).reset_index(drop=True)
        return _as_arrow(pd.concat([best, named], axis=1), pa.schema(fields))

    unit = "playlist" if served.family == "playlist" else "user"
    # Of few users too several are under way, and the bar moves.
    size = min(USERS_AT_ONCE, max(FEWEST_AT_ONCE, -(-len(asked) // 32)))
    return Bulk(asked.batches(size), answer, unit, len(asked))


def predictions(served: ServedRatings, pairs: Given) -> Bulk:
    """user_id, item_id, prediction, and in `unknown` which of the two the model does not know."""
    catalogue, place = served.model.catalogue, f"{pairs.table.source.file}, line"
    known = {"user_id": catalogue.users, "item_id": catalogue.items}
    fields = [
        *((name, _arrow_type(ids)) for name, ids in known.items()),
        ("prediction", pa.float64()),
        ("unknown", pa.string()),
    ]

    def answer(batch: pd.DataFrame) -> pa.Table:
        typed = {name: as_ids(batch[name], ids, place) for name, ids in known.items()}
        frame = batch.assign(**typed).reset_index(drop=True)
        users, items = (pd.Series(codes < 0) for codes in catalogue.encode(frame))
        said = users.map({True: "user", False: ""}) + items.map({True: " item", False: ""})
        answered = frame.assign(prediction=served.predict(frame), unknown=said.str.strip().replace("", None))
        return _as_arrow(answered, pa.schema(fields))

    return Bulk(pairs.batches(PAIRS_AT_ONCE), answer, "pair")


@dataclass
class Counted:
    """How many pairs there are, and how many have something unknown: told part by part."""

    pairs: int = 0
    unknown: int = 0

    def count(self, part: Path) -> None:
        """Add the pairs of a file of predictions."""
        column = pq.read_table(part, columns=["unknown"])["unknown"]
        self.pairs += len(column)
        self.unknown += len(column) - column.null_count


def _arrow_type(ids: pd.Index) -> pa.DataType:
    return pa.int64() if pd.api.types.is_integer_dtype(ids) else pa.string()


def _as_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False)
    return table.replace_schema_metadata()
