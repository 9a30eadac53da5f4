"""Where MLflow keeps the runs, how it is reached, and what is said when it is not.

The store is whichever `MLFLOW_TRACKING_URI` names, by MLflow's own rules; where it names none, one of this checkout.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache

import mlflow
import requests
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils import requirements_utils
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request, verify_rest_response
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from attrec.errors import AttrecError, ServiceError
from tasks.engine import environment
from tasks.engine.faults import DISK_FAULTS, without_secrets

EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
DEFAULT_EXPERIMENT = "attrec"
FIRST_CONTACT_SECONDS = 10
# By the first MLflow tells training from agents; which of them its page shows, each person chooses there.
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "Recommenders that attrec has fitted: a run a stage, below it a run a model.",
}
# It would tell of each attempt; the sentence at the end is enough.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
# Which packages have which modules: MLflow would find out in the files of all of them, which takes longer than to log a
# model. It compares the versions of packages without it, unless they are installed without metadata.
vars(requirements_utils)["_MODULES_TO_PACKAGES"] = {}
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
    "readonly database": "cannot be written: see that you may write there, and run again",
    "database or disk is full": "has no room: free some space, and run again",
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


def experiment_page() -> str:
    """Where the server that keeps the runs shows the experiment; empty where no server keeps them."""
    return f"{tracking_address().rstrip('/')}/#/experiments/{experiment_id()}" if is_server() else ""


@lru_cache(maxsize=1)
def client() -> MlflowClient:
    """The client of the run store, opened once.

    Raises:
        ServiceError: the store does not answer, refuses, is locked, unreadable or written by a newer MLflow.
    """
    try:
        ask_once()
        database = environment.MLFLOW_DATABASE
        if is_own_store() and "'" in str(database):
            # MLflow writes the path into its SQL as it stands.
            raise ServiceError(
                f"MLflow cannot keep runs in {database.parent}: let no apostrophe be in its path."
            )
        if is_own_store() and database.exists() and not os.access(database, os.W_OK):
            # MLflow would find out at its first run, and print what its database says.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(database))
        # Of processes that begin at once, one makes the database.
        with FileLock(environment.STATE / "mlflow.lock") if is_own_store() else nullcontext():
            store = MlflowClient()
            store.search_experiments(max_results=1)
    except (*SERVICE_FAULTS, ImportError, OSError, ValueError) as error:
        # The last three: a driver that is not installed, a file that is in the way, an address that is none.
        if isinstance(error, OSError) and error.errno in DISK_FAULTS:
            raise
        raise ServiceError(_fault(error)) from error
    return store


def ask_once() -> None:
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
    elif address.startswith("sqlite"):
        create_engine(address).connect().close()


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
    """What the experiment is called; the names of registered models begin so, too.

    Raises:
        ServiceError: MLflow takes no such name for a registered model.
    """
    name = os.environ.get(EXPERIMENT_VARIABLE) or DEFAULT_EXPERIMENT
    if {"/", ":"} & set(name):
        raise ServiceError(
            f"{EXPERIMENT_VARIABLE} is {name!r}, and names of registered models begin so: let it have no / and no :."
        )
    return name


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
