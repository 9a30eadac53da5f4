"""A run store that cannot be used: one sentence that says what to do, soon."""

from __future__ import annotations

import shutil
import sqlite3
import time

import pytest

from attrec.errors import ServiceError
from tasks.engine import environment
from tasks.engine.tracking import client

PATIENCE = 60


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A copy of a sound store, which `client` will open anew."""
    client()
    copy = tmp_path / "mlflow.db"
    shutil.copyfile(environment.MLFLOW_DATABASE, copy)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy}")
    monkeypatch.setattr(environment, "MLFLOW_DATABASE", copy)
    client.cache_clear()
    yield copy
    client.cache_clear()


def refusal() -> str:
    started = time.monotonic()
    with pytest.raises(ServiceError) as caught:
        client()
    assert time.monotonic() - started < PATIENCE
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_locked_store(store):
    with sqlite3.connect(store) as other:
        other.execute("BEGIN EXCLUSIVE")
        message = refusal()
        other.rollback()
    assert str(store) in message
    assert "is locked by another program" in message
    assert client() is not None


def test_store_of_a_newer_schema(store):
    with sqlite3.connect(store) as other:
        other.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert "another version of MLflow" in refusal()


def test_file_that_is_no_store(store):
    store.write_bytes(b"not a database" * 100)
    assert "cannot be used (file is not a database): move it away" in refusal()
