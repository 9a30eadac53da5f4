"""A run store that cannot be used: one sentence that says what to do, soon."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time

import importlib_metadata
import pandas as pd
import pytest
from mlflow.utils import requirements_utils

from attrec.errors import ServiceError
from tasks.engine import environment
from tasks.engine.run_store import EXPERIMENT_VARIABLE, client, find_run, is_active, registered_name
from tasks.engine.tracking import tracked_run

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


@pytest.mark.parametrize("name", ["team/experiment", "team:experiment"])
def test_a_name_that_no_registered_model_may_have(store, monkeypatch, name):
    monkeypatch.setenv(EXPERIMENT_VARIABLE, name)
    with pytest.raises(ServiceError, match=f"{EXPERIMENT_VARIABLE} is '{name}'.*no / and no :"):
        registered_name("rating")


def test_store_of_a_newer_schema(store):
    with sqlite3.connect(store) as other:
        other.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert "another version of MLflow" in refusal()


def test_processes_that_begin_at_once_make_one_store(tmp_path, project):
    ask = [sys.executable, "-c", "from tasks.engine.run_store import experiment_id; print(experiment_id())"]
    own = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    begun = [
        subprocess.Popen(
            ask,
            cwd=project,
            env={**own, "ATTREC_ROOT": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [(*process.communicate(timeout=120), process.returncode) for process in begun]
    assert [code for *_, code in said] == [0, 0, 0], said
    assert len({printed for printed, *_ in said}) == 1


def test_file_that_is_no_store(store):
    store.write_bytes(b"not a database" * 100)
    assert "cannot be used (file is not a database): move it away" in refusal()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://me:s3cret@127.0.0.1:1/mlflow", "mysql://127.0.0.1:1/mlflow needs a driver"),
        ("http://me:s3cret@[::bad", "The MLflow store http://[::bad failed"),
        ("carrier-pigeon://me:s3cret@loft", "The MLflow store carrier-pigeon://loft failed"),
        ("http://me:s3cret@s3cret@127.0.0.1:1", "The MLflow store http://127.0.0.1:1 does not answer"),
        ("postgresql://127.0.0.1:1/mlflow?user=me&password=s3cret", "does not answer"),
    ],
)
def test_an_address_that_is_none_is_told_without_its_secrets(monkeypatch, address, said):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    client.cache_clear()
    message = refusal()
    client.cache_clear()
    assert said in message
    assert "s3cret" not in message


def test_a_run_that_was_deleted_is_known_and_not_active():
    with tracked_run("trial", {}, {}) as run_id:
        pass
    assert is_active(find_run(run_id))
    client().delete_run(run_id)
    assert find_run(run_id) is not None
    assert not is_active(find_run(run_id))
    assert find_run("0" * 32) is None


def test_versions_are_compared_without_a_look_at_all_files_of_all_packages(monkeypatch):
    def refuse() -> None:
        raise AssertionError("all packages are looked through")

    monkeypatch.setattr(importlib_metadata, "packages_distributions", refuse)
    assert requirements_utils._check_requirement_satisfied(f"pandas=={pd.__version__}") is None
    assert requirements_utils._check_requirement_satisfied("pandas==0.1").installed_version == pd.__version__
