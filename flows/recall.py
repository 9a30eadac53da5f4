"""What the own run store has said of a model, until anything is written there: to ask it again takes MLflow, which is
longer to import than most models are to answer."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from attrec.errors import DataError
from attrec.serving.served import Served, read_served
from flows.prepare_params import PrepareParams
from tasks.engine import environment
from tasks.engine.params import load_params
from tasks.engine.state import read_state, write_state

HEADER_BYTES = 100
"""Of an SQLite file: with a counter of what has been written."""


class _Said(BaseModel):
    """Of one model."""

    folder: Path
    about: str


class _Notes(BaseModel):
    """What the store has said, as long as it stands as it did."""

    store: str
    said: dict[str, _Said]


def ask_model(family: str, name: str) -> tuple[Served, str]:
    """A model, as `flows.lookup.load_model` finds it, and what it is called and was trained on.

    Raises:
        ServiceError: there is none, its files are gone, or the store does not answer.
        ParamsError: params.yaml is at fault.
    """
    file, store = environment.STATE / "lookups.json", _store_now()
    # `champion` is that of the dataset which params.yaml names.
    asked = (
        f"{family}/{name}/{load_params(PrepareParams).dataset}/{os.environ.get('MLFLOW_EXPERIMENT_NAME', '')}"
    )
    notes = read_state(file, _Notes) if store else None
    if notes is None or notes.store != store:
        notes = _Notes(store=store, said={})
    if known := notes.said.get(asked):
        with suppress(DataError, OSError):
            return read_served(known.folder), known.about
    from flows.lookup import about, load_saved

    folder, served = load_saved(family, name)
    notes.said[asked] = _Said(folder=folder, about=about(family, name))
    if store and store == _store_now() and folder.is_relative_to(environment.MLFLOW_ARTIFACTS):
        write_state(file, notes)
    return served, notes.said[asked].about


def _store_now() -> str:
    """Differs after all that is written into the store of this checkout; empty where another one is named."""
    database = environment.MLFLOW_DATABASE
    own = os.environ.get("MLFLOW_TRACKING_URI") == f"sqlite:///{database}"
    if not own or "MLFLOW_REGISTRY_URI" in os.environ:
        return ""
    written: list[object] = []
    try:
        for file in (database, database.with_name(f"{database.name}-wal")):
            about = file.stat()
            written += [about.st_ino, about.st_size, about.st_mtime_ns]
            with file.open("rb") as stream:
                written.append(stream.read(HEADER_BYTES).hex())
    except FileNotFoundError:
        pass  # the second is there while somebody writes, if ever
    except OSError:
        return ""  # the store itself is asked, and says what is wrong with it
    return hashlib.sha256(repr(written).encode()).hexdigest()
