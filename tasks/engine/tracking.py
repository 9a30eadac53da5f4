"""What MLflow remembers: one parent run a flow, one child run a model, one level and no deeper.

The store is whichever `MLFLOW_TRACKING_URI` names, by MLflow's own rules; where it names none, one of this checkout.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import requests
import yaml
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag, SourceType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)
from mlflow.utils.rest_utils import http_request, verify_rest_response
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from attrec.errors import AttrecError, ServiceError
from tasks.engine import environment
from tasks.engine.faults import without_secrets
from tasks.engine.running import left_behind, under_way

EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
DEFAULT_EXPERIMENT = "attrec"
ENVIRONMENT_PACKAGES = ("torch", "xgboost-cpu", "scikit-learn", "numpy", "pandas", "prefect", "mlflow", "dvc")
METRICS_A_CALL = 1000
# What DVC tells the stages of an experiment of its own.
DVC_EXPERIMENT_TAGS = {"dvc.exp": "DVC_EXP_NAME", "dvc.exp.baseline": "DVC_EXP_BASELINE_REV"}
FIRST_CONTACT_SECONDS = 10
# By this the UI opens an experiment on its training runs, and not on the traces of an agent.
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "Recommenders that attrec has fitted: a run a stage, below it a run a model.",
}
# It would tell of each attempt; the sentence at the end is enough.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
SERVICE_FAULTS = (MlflowException, SQLAlchemyError, requests.RequestException)
_NO_ANSWER = "does not answer: see that it and its database run, or check MLFLOW_TRACKING_URI, and run again"
_OTHER_VERSION = "was written by another version of MLflow: install the versions of the lock file (make env)"
FAULTS = {
    "password authentication failed": "refuses: check user and password in MLFLOW_TRACKING_URI",
    "error code 401|401 Client Error|not authenticated": (
        "refuses: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
    ),
    "error code 403|403 Client Error|PERMISSION_DENIED|Permission denied": (
        "does not let you do this: ask whoever runs it for the permission"
    ),
    "database is locked": "is locked by another program: wait for it to end, or stop the MLflow UI, and run again",
    "database schema|locate revision": _OTHER_VERSION,
    "Connection refused|Max retries exceeded|timed out|timeout expired": _NO_ANSWER,
    "'Not Found'|error code 404|404 Client Error": "is no MLflow server: check MLFLOW_TRACKING_URI",
    "No module named": "needs a driver for its database that is not installed: install it, or name another store",
    "could not translate host name|Name or service not known": "is not found: check MLFLOW_TRACKING_URI",
}
"""What texts of errors mean, in the order in which they are looked for."""


def tracking_address() -> str:
    """Where the runs are kept, without a password that the address may hold."""
    return without_secrets(mlflow.get_tracking_uri())


def is_own_store() -> bool:
    """Whether the runs are kept in this checkout, and on no server or store that is named."""
    return mlflow.get_tracking_uri() == f"sqlite:///{environment.MLFLOW_DATABASE}"


def is_server() -> bool:
    """Whether the runs are kept by a server, which shows them and knows where artefacts go."""
    return mlflow.get_tracking_uri().startswith(("http://", "https://"))


def runs_page(server: str) -> str:
    """Where the UI at an address shows the runs; without the last part it would open on the traces of an agent."""
    return f"{server.rstrip('/')}/#/experiments/{experiment_id()}/runs?workflowType=machine_learning"


@lru_cache(maxsize=1)
def client() -> MlflowClient:
    """The client of the run store, opened once.

    Raises:
        ServiceError: the store does not answer, refuses, is locked, unreadable or written by a newer MLflow.
    """
    try:
        _ask_once()
        store = MlflowClient()
        store.search_experiments(max_results=1)
    except (*SERVICE_FAULTS, ImportError, OSError, ValueError) as error:
        # The last three: a driver that is not installed, an address that is none.
        raise ServiceError(_fault(error)) from error
    return store


def _ask_once() -> None:
    """See that a server or a database answers; MLflow itself would go on asking for minutes."""
    address = mlflow.get_tracking_uri()
    if is_server():
        path = "/api/2.0/mlflow/experiments/search"
        waiting = {"max_retries": 0, "timeout": FIRST_CONTACT_SECONDS, "raise_on_status": False}
        asked = {"max_results": 1}
        answer = http_request(get_default_host_creds(address), path, "POST", json=asked, **waiting)
        verify_rest_response(answer, path)
    elif address.startswith(("postgresql", "mysql", "mssql")):
        create_engine(address, connect_args={"connect_timeout": FIRST_CONTACT_SECONDS}).connect().close()


@contextmanager
def one_sentence_faults() -> Iterator[None]:
    """Turn what goes wrong between here and the run store into one sentence.

    Raises:
        ServiceError: in place of MLflow's own errors, those of its database and of the network.
    """
    try:
        yield
    except AttrecError:
        raise
    except SERVICE_FAULTS as error:
        raise ServiceError(_fault(error)) from error


def _fault(error: Exception) -> str:
    # Of a database the driver's own words; SQLAlchemy adds the statement.
    text = without_secrets(" ".join(str(getattr(error, "orig", None) or error).split()))
    cause = next((said for sign, said in FAULTS.items() if re.search(sign, text)), None)
    if cause is None and is_own_store():
        cause = f"cannot be used ({text[:160]}): move it away to start a new one"
    return (
        f"The MLflow store {tracking_address()} {cause or f'failed ({text[:200]}): mend that and run again'}."
    )


def is_not_found(error: MlflowException) -> bool:
    """Whether an error says that what was asked for is not there."""
    return bool(error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))


def experiment_name() -> str:
    """What the experiment is called; the names of registered models begin so, too."""
    return os.environ.get(EXPERIMENT_VARIABLE) or DEFAULT_EXPERIMENT


def registered_name(family: str) -> str:
    """Name of the registered model of a family."""
    return f"{experiment_name()}-{family}"


def experiment_id() -> str:
    """Id of the project's experiment; a server puts its artefacts where it likes, without one they are in .attrec.

    Raises:
        ServiceError: the experiment has been deleted, or is not ours to see.
    """
    with one_sentence_faults():
        return _experiment_id(experiment_name())


def _experiment_id(name: str) -> str:
    found = client().get_experiment_by_name(name)
    if found is None:
        # A bare database would put them into ./mlruns.
        beside = os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or environment.MLFLOW_ARTIFACTS.as_uri()
        location = None if is_server() else beside
        with suppress(MlflowException):  # another process may have made it in between
            client().create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS)
        found = client().get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise ServiceError(
            f"The MLflow experiment {name} is deleted or cannot be made: restore it, or set {EXPERIMENT_VARIABLE} to"
            " another name."
        )
    for key, value in EXPERIMENT_TAGS.items():
        if key not in found.tags:
            client().set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


@contextmanager
def tracked_run(
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    parent: str | None = None,
    description: str = "",
) -> Iterator[str]:
    """A run that ends FINISHED, or FAILED when the block raises.

    Args:
        name: Shown in the UI.
        params: Nested parameters; logged flat, with dots.
        tags: Added to the provenance tags (git commit, dirty flag, versions).
        parent: Run id of the parent; None for a flow's own run.
        description: Shown above the run, as Markdown.

    Yields:
        The run id.

    Raises:
        ServiceError: the store fails.
    """
    all_tags = {**origin(), **tags}
    if description:
        all_tags[MLFLOW_RUN_NOTE] = description
    if parent is not None:
        all_tags[MLFLOW_PARENT_RUN_ID] = parent
    with one_sentence_faults():
        if parent is None:
            mark_dead_runs_as_killed()
        run_id = str(client().create_run(experiment_id(), run_name=name, tags=all_tags).info.run_id)
        with under_way(tracking_address(), run_id):
            try:
                logged = [Param(key, str(value)[:6000]) for key, value in _flat(params)]
                for start in range(0, len(logged), 100):
                    client().log_batch(run_id, params=logged[start : start + 100])
                yield run_id
            except BaseException:
                # Where the store has gone away, what went wrong counts, and the next run closes this one.
                with suppress(*SERVICE_FAULTS):
                    _ask_once()
                    client().set_terminated(run_id, "FAILED")
                raise
            client().set_terminated(run_id, "FINISHED")


def mark_dead_runs_as_killed() -> None:
    """Close runs that this checkout left running, and whose process is gone."""
    for run_id in left_behind(tracking_address()):
        with suppress(MlflowException):  # it may have been deleted
            if client().get_run(run_id).info.status == "RUNNING":
                client().set_terminated(run_id, "KILLED")


class DatasetVersion(BaseModel, frozen=True):
    """A version of the data that a run was fitted on."""

    name: str
    digest: str
    """The DVC md5, since MLflow's own reads only 10,000 rows."""
    source: str
    """The out of the stage that made it."""
    rows: int

    def entity(self) -> Dataset:
        """As MLflow has it."""
        return Dataset(
            name=self.name,
            digest=self.digest[:36],
            source_type="local",
            source=json.dumps({"uri": self.source}),
            schema=None,
            profile=json.dumps({"num_rows": self.rows}),
        )


def find_run(run_id: str) -> Run | None:
    """A run that the store has, though somebody may have deleted it."""
    try:
        return client().get_run(run_id)
    except MlflowException as error:
        if not is_not_found(error):
            raise
        return None


def is_active(run: Run | None) -> bool:
    """Whether a run is there, and nobody has deleted it."""
    return run is not None and run.info.lifecycle_stage == "active"


def log_metrics(
    run_id: str,
    metrics: Mapping[str, float],
    model_id: str | None = None,
    dataset: DatasetVersion | None = None,
) -> None:
    """Log final metrics of a run, and of the logged model that they are of, on the dataset."""
    now = _now_ms()
    of = {} if dataset is None else {"dataset_name": dataset.name, "dataset_digest": dataset.digest[:36]}
    points = [
        Metric(_key(name), float(value), now, 0, model_id=model_id, run_id=run_id, **of)
        for name, value in metrics.items()
    ]
    for start in range(0, len(points), METRICS_A_CALL):
        client().log_batch(run_id, metrics=points[start : start + METRICS_A_CALL])


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


def log_text(run_id: str, text: str, file: str) -> None:
    """Log a text as a file."""
    client().log_text(run_id, text, file)


def log_files(run_id: str, folder: Path, artifact_path: str | None = None) -> None:
    """Log a folder, or a single file."""
    if folder.is_dir():
        client().log_artifacts(run_id, str(folder), artifact_path)
    else:
        client().log_artifact(run_id, str(folder), artifact_path)


def log_dataset(run_id: str, dataset: DatasetVersion, context: str) -> None:
    """Log what a run was fitted on."""
    given = DatasetInput(dataset.entity(), [InputTag("mlflow.data.context", context)])
    client().log_inputs(run_id, datasets=[given])


def stage_outs(stage: str) -> dict[str, str]:
    """DVC md5 of each out of a stage that has been run, from `dvc.lock`; empty where there is none."""
    lock = environment.ROOT / "dvc.lock"
    if not lock.exists():
        return {}
    outs = yaml.safe_load(lock.read_text())["stages"].get(stage, {}).get("outs", [])
    return {out["path"]: out["md5"] for out in outs}


def origin() -> dict[str, str]:
    """Provenance, with what MLflow's own columns show of it: who ran what, of which commit."""
    program = Path(sys.argv[0])
    with suppress(ValueError):
        program = program.resolve().relative_to(environment.ROOT)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container nobody may have a name
        user = str(os.getuid())
    return {
        **provenance(),
        MLFLOW_USER: user,
        MLFLOW_SOURCE_NAME: str(program),
        MLFLOW_SOURCE_TYPE: SourceType.to_string(SourceType.LOCAL),
        MLFLOW_GIT_COMMIT: provenance()["git.commit"],
    }


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
        **{tag: os.environ[name] for tag, name in DVC_EXPERIMENT_TAGS.items() if name in os.environ},
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
