"""What MLflow remembers: one parent run a flow, one child run a model, one level and no deeper."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from attrec.errors import ServiceError
from tasks.engine import environment
from tasks.engine.processes import is_alive, process_tag

EXPERIMENT = "attrec"
ENVIRONMENT_PACKAGES = ("torch", "xgboost-cpu", "scikit-learn", "numpy", "pandas", "prefect", "mlflow", "dvc")
METRICS_A_CALL = 1000
# What DVC tells the stages of an experiment.
EXPERIMENT_TAGS = {"dvc.exp": "DVC_EXP_NAME", "dvc.exp.baseline": "DVC_EXP_BASELINE_REV"}
PROCESS_KEY = "attrec.process"


@lru_cache(maxsize=1)
def client() -> MlflowClient:
    """The client of the project's run store, opened once.

    Raises:
        ServiceError: the store is locked, unreadable or written by a newer MLflow.
    """
    try:
        store = MlflowClient()
        store.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        raise ServiceError(_store_fault(error)) from error
    return store


def _store_fault(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "locked" in text:
        cause = "is locked by another program: wait for it to end, or stop the MLflow UI, and run again"
    elif "schema" in text or "locate revision" in text:
        cause = "was written by another version of MLflow: install the versions of the lock file (make env)"
    else:
        cause = f"cannot be opened ({text[:160]}): move it away to start a new one"
    return f"The MLflow store {environment.MLFLOW_DATABASE} {cause}."


def experiment_id() -> str:
    """Id of the project's experiment; its artefacts lie beside the store, never in ./mlruns."""
    found = client().get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    return str(
        client().create_experiment(EXPERIMENT, artifact_location=environment.MLFLOW_ARTIFACTS.as_uri())
    )


@contextmanager
def tracked_run(
    name: str, params: Mapping[str, Any], tags: Mapping[str, str], parent: str | None = None
) -> Iterator[str]:
    """A run that ends FINISHED, or FAILED when the block raises.

    Args:
        name: Shown in the UI.
        params: Nested parameters; logged flat, with dots.
        tags: Added to the provenance tags (git commit, dirty flag, versions).
        parent: Run id of the parent; None for a flow's own run.

    Yields:
        The run id.
    """
    all_tags = {**provenance(), **tags, PROCESS_KEY: process_tag()}
    if parent is None:
        mark_dead_runs_as_killed()
    else:
        all_tags[MLFLOW_PARENT_RUN_ID] = parent
    run_id = str(client().create_run(experiment_id(), run_name=name, tags=all_tags).info.run_id)
    status = "FAILED"
    try:
        logged = [Param(key, str(value)[:6000]) for key, value in _flat(params)]
        client().log_batch(run_id, params=logged[:100])
        for start in range(100, len(logged), 100):
            client().log_batch(run_id, params=logged[start : start + 100])
        yield run_id
        status = "FINISHED"
    finally:
        client().set_terminated(run_id, status)


def mark_dead_runs_as_killed() -> None:
    """Close runs that are marked running, but whose process is gone."""
    for run in client().search_runs([experiment_id()], filter_string="attributes.status = 'RUNNING'"):
        tag = run.data.tags.get(PROCESS_KEY)
        if tag is not None and not is_alive(tag):
            client().set_terminated(run.info.run_id, "KILLED")


def log_metrics(run_id: str, metrics: Mapping[str, float]) -> None:
    """Log final metrics."""
    now = _now_ms()
    client().log_batch(
        run_id, metrics=[Metric(_key(name), float(value), now, 0) for name, value in metrics.items()]
    )


def log_curve(run_id: str, name: str, values: Sequence[float], epochs: Sequence[int]) -> None:
    """Log one value an epoch."""
    now = _now_ms()
    points = [
        Metric(_key(name), float(value), now, int(epoch)) for epoch, value in zip(epochs, values, strict=True)
    ]
    for start in range(0, len(points), METRICS_A_CALL):
        client().log_batch(run_id, metrics=points[start : start + METRICS_A_CALL])


def set_tags(run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags on a run."""
    client().log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def log_files(run_id: str, folder: Path, artifact_path: str | None = None) -> None:
    """Log a folder, or a single file."""
    if folder.is_dir():
        client().log_artifacts(run_id, str(folder), artifact_path)
    else:
        client().log_artifact(run_id, str(folder), artifact_path)


def log_dataset(run_id: str, name: str, digest: str, source: str, rows: int, context: str) -> None:
    """Log a dataset version; `digest` is the DVC md5, since MLflow's own reads only 10,000 rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=name,
        digest=digest[:36],
        source_type="local",
        source=f'{{"uri": "{source}"}}',
        schema=None,
        profile=f'{{"num_rows": {rows}}}',
    )
    client().log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])


def write_runs(stage: str, runs: Mapping[str, str], decision: str) -> None:
    """Which tracked runs a stage's figures come from; differs from run to run, so it is kept apart from them."""
    file = environment.ROOT / "reports" / f"{stage}_runs.json"
    file.write_text(json.dumps({"runs": dict(runs), "champion": decision}, indent=2) + "\n")


def stage_outs(stage: str) -> dict[str, str]:
    """DVC md5 of each out of a stage that has been run, from `dvc.lock`; empty where there is none."""
    lock = environment.ROOT / "dvc.lock"
    if not lock.exists():
        return {}
    outs = yaml.safe_load(lock.read_text())["stages"].get(stage, {}).get("outs", [])
    return {out["path"]: out["md5"] for out in outs}


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Git commit, whether the tree differs from it, and the versions that compute the figures."""
    commit = _git("rev-parse", "HEAD") or "none"
    # Parameters are logged themselves, and dvc.lock changes while a run goes on.
    dirty = _git(
        "status", "--porcelain", "--", "attrec", "tasks", "flows", "cli", "dvc.yaml", "requirements.lock"
    )
    return {
        "git.commit": commit,
        "git.dirty": str(bool(dirty)).lower(),
        "python": platform.python_version(),
        **{f"version.{package}": version(package) for package in ENVIRONMENT_PACKAGES},
        **{tag: os.environ[name] for tag, name in EXPERIMENT_TAGS.items() if name in os.environ},
    }


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=environment.ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = _key(f"{prefix}{key}")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _key(name: str) -> str:
    # MLflow allows no '+', '@' or brackets in names.
    return "".join(letter if letter.isalnum() or letter in "_-. /:" else "_" for letter in name)


def _now_ms() -> int:
    from mlflow.utils.time import get_current_time_millis

    return int(get_current_time_millis())
