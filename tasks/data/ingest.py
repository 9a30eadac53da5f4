"""Get a dataset and write its canonical tables as ingested."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
from prefect import task

from attrec.datasets.own_data import OwnDataConfig
from attrec.datasets.query import is_answer, keep_answer
from attrec.datasets.registry import DatasetConfig, find_archive, known_spec, load_dataset
from attrec.datasets.tables import Tables
from attrec.errors import DatasetUnavailable
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish, writing
from tasks.engine.caching import cached_task


def _is_worth_retrying(task: object, task_run: object, state: object) -> bool:
    try:
        state.result()  # type: ignore[attr-defined]
    except DatasetUnavailable:
        return True
    except Exception:
        return False
    return False


@task(
    name="fetch",
    task_run_name="fetch",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=_is_worth_retrying,
)
def fetch(name: str, config: DatasetConfig | None) -> str:
    """Have the source of a dataset on this machine, downloading it if need be.

    Returns:
        sha256 of the source files, the identity of what `ingest` will read; empty where there is none.
    """
    if isinstance(config, OwnDataConfig):
        located = _under_incoming(config)
        sources = [
            path for path in (located.file, located.items_path, located.users_path) if path is not None
        ]
    elif known_spec(name).archive is not None:
        sources = [find_archive(name, download_dir=environment.DOWNLOADS)]
    else:
        sources = []
    return " ".join(_sha256(source) for source in sources if source.is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def carry_incoming() -> None:
    """Into the folder of an experiment, the files of data/incoming: DVC hashes them there when the stage has ended.

    Raises:
        ServiceError: the disk is full.
    """
    if environment.ROOT != environment.CHECKOUT:
        publish(environment.CHECKOUT / "data" / "incoming", environment.INCOMING)


@cached_task("ingest")
def ingest(name: str, config: DatasetConfig | None, source_sha256: str) -> Artifact:
    """Parse a dataset into canonical tables.

    Args:
        name: Name in the registry.
        config: What the dataset needs of the params (csv, with paths as seen from data/incoming; simulated).
        source_sha256: From `fetch`, so that a changed source is read anew.

    Returns:
        Folder with ratings, users, items and, for simulated data, truth.
    """
    if isinstance(config, OwnDataConfig):
        tables = _named_from_incoming(load_dataset(name, _under_incoming(config)))
    else:
        tables = load_dataset(name, config, download_dir=environment.DOWNLOADS)
    with writing("raw") as draft:
        tables.save(draft.folder)
    return draft.artifact


def snapshot(config: OwnDataConfig, anew: bool = False) -> int | None:
    """Keep in data/incoming what a database answers, unless it is there already; DVC hashes it as any file there.

    Args:
        anew: Ask again, though the question is the same.

    Returns:
        How many rows were kept; None where nothing was asked.

    Raises:
        ParamsError: a variable that the address names is not set.
        DataError: the database does not answer, with no row, or with other columns than before.
    """
    file = environment.INCOMING / config.file
    if config.url is None or config.query is None or (not anew and is_answer(file, config.url, config.query)):
        return None
    return keep_answer(config.url, config.query, file)


def _under_incoming(config: OwnDataConfig) -> OwnDataConfig:
    """With the paths of this machine; what a query has answered is a file like any other."""
    named = {"path": config.file, "items_path": config.items_path, "users_path": config.users_path}
    located = {key: path and environment.INCOMING / path for key, path in named.items()}
    return config.model_copy(update={**located, "url": None, "query": None})


def _named_from_incoming(tables: Tables) -> Tables:
    """Files named as seen from data/incoming, so that the tables are the same wherever the project lies."""
    prefix = f"{environment.INCOMING}/"

    def renamed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(file=frame["file"].cat.rename_categories(lambda name: name.removeprefix(prefix)))

    return replace(
        tables, ratings=renamed(tables.ratings), users=renamed(tables.users), items=renamed(tables.items)
    )
