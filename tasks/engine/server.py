"""One Prefect API for all stages of a run: the configured one, else one that lives as long as an owner of it.

An owner is the `dvc` process that runs the stages, or the process itself when no `dvc` stands above it. Runs of one
checkout share a server, and the last of them to end takes it along.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import requests
from filelock import FileLock
from pydantic import BaseModel

from attrec.errors import ParamsError, ServiceError
from tasks.engine import environment, keeper
from tasks.engine.faults import EXIT_BAD_INPUT, tell_fault, without_secrets
from tasks.engine.processes import is_alive, process_id, process_tag
from tasks.engine.state import read_state, write_state

START_TIMEOUT = 120.0
POLL_SECONDS = 0.5
CHECK_SECONDS = 5.0
CONNECT_SECONDS = 4.0
# Longer than a server takes to start again, much shorter than Prefect asks in vain.
AWAY_SECONDS = 20.0
# One that is there may be at work for others.
BUSY_SECONDS = 60.0
OWNER_VARIABLE = "ATTREC_OWNER"
STORE_VARIABLE = "ATTREC_PREFECT_STORE"
KILLED = 137
_ORIGINS = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
_watch = threading.Lock()


@dataclass(frozen=True)
class Api:
    """A Prefect API."""

    url: str
    """Ends in /api."""
    secret: str | None = None
    """What it asks for, as `PREFECT_API_AUTH_STRING`; None where other variables, or none, hold it."""

    def variables(self) -> dict[str, str]:
        """The environment in which Prefect's clients use it."""
        named = {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": self.secret}
        return {name: value for name, value in named.items() if value is not None}

    def settings(self) -> dict[Any, str]:
        """The same as settings of Prefect."""
        import prefect.settings

        return {getattr(prefect.settings, name): value for name, value in self.variables().items()}


class _Server(BaseModel):
    """The shared server of a checkout."""

    api: Api
    keeper: str
    """Tag of the process that keeps it."""


def owner_process() -> psutil.Process:
    """Whoever the environment names, else the nearest ancestor that is `dvc`, else this process."""
    current = psutil.Process()
    named = os.environ.get(OWNER_VARIABLE)
    if named is not None and is_alive(named):
        return psutil.Process(process_id(named))
    for ancestor in current.parents():
        try:
            words = ancestor.cmdline()[:3]
        except psutil.Error:
            continue
        if any(Path(word).name in ("dvc", "dvc.exe") for word in words) or words[1:3] == ["-m", "dvc"]:
            return ancestor
    return current


def end_with_owner() -> None:
    """End this process soon after its owner has been killed, so that no orphan goes on writing."""
    if "DVC_STAGE" in os.environ and os.getppid() != environment.PARENT_AT_START:
        # dvc was killed while this process was importing: there is no owner left to find.
        os._exit(KILLED)
    named = os.environ.get(OWNER_VARIABLE)
    if named is not None and not is_alive(named):
        # Whoever started dvc was killed before it started this process.
        os._exit(KILLED)
    owner = owner_process()
    if owner.pid == os.getpid():
        return

    def watch() -> None:
        while owner.is_running() and owner.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_SECONDS)
        os._exit(KILLED)

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


@contextmanager
def prefect_api() -> Iterator[Api]:
    """Give a Prefect API, and make it the one this process uses inside the block.

    When it goes away meanwhile, this process ends in one sentence.

    Raises:
        ServiceError: the configured API does not answer or refuses, or a server cannot be started.
    """
    from httpx import HTTPError
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    configured = PREFECT_API_URL.value()
    api = Api(configured, PREFECT_API_AUTH_STRING.value()) if configured else _shared_server()
    require_usable(api)
    # Waiting for the heartbeat thread would add a second to the end of every flow run.
    with (
        nullcontext() if configured else _named_store(),
        temporary_settings({**api.settings(), PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        _watched(api),
    ):
        try:
            yield api
        except HTTPError as error:
            fault = _fault(api)
            if fault is None:
                raise
            raise _unusable(api.url, fault) from error


@contextmanager
def _named_store() -> Iterator[None]:
    """Name what our server keeps its runs in: its address is another each time."""
    os.environ[STORE_VARIABLE] = own_store()
    try:
        yield
    finally:
        del os.environ[STORE_VARIABLE]


def store() -> str:
    """What keeps the runs of this process, whatever the address of the server before it."""
    from prefect.settings import PREFECT_API_URL

    return os.environ.get(STORE_VARIABLE) or PREFECT_API_URL.value() or own_store()


def own_store() -> str:
    """What keeps the runs of a server that is started here."""
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

    return PREFECT_SERVER_DATABASE_CONNECTION_URL.value() or os.environ["PREFECT_HOME"]


def require_usable(api: Api) -> None:
    """See that a Prefect API does what we ask.

    Raises:
        ServiceError: it does not answer, refuses, or cannot reach its database.
    """
    fault = _fault(api)
    if fault is not None:
        raise _unusable(api.url, fault)


def _fault(api: Api, seconds: float = 20.0) -> str | None:
    """What a Prefect API does instead of answering a request that needs its database and our credentials.

    Args:
        seconds: How long an answer may take; a server under load is slow.
    """
    from httpx import HTTPError, HTTPStatusError, InvalidURL, Timeout
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    timeout = {"timeout": Timeout(seconds, connect=CONNECT_SECONDS)}
    once = {**api.settings(), PREFECT_CLIENT_MAX_RETRIES: 0}
    try:
        with temporary_settings(once), get_client(timeout, sync_client=True) as client:
            client.read_flows(limit=1)
    except HTTPStatusError as error:
        code = error.response.status_code
        if code in (401, 403):
            return "refuses us: set PREFECT_API_AUTH_STRING or PREFECT_API_KEY as it asks for them"
        if code == 429:  # others ask it as often; it is there
            return None
        if code in (404, 405):
            return f"is no Prefect API (HTTP {code}): its address ends in /api"
        return f"fails (HTTP {code}): its database may be away"
    except (HTTPError, InvalidURL, OSError):
        return "does not answer"
    except ValueError:
        return "is no Prefect API"
    return None


def _unusable(address: str, fault: str) -> ServiceError:
    url = without_secrets(address)
    theirs = os.environ.get("PREFECT_API_URL") and STORE_VARIABLE not in os.environ
    if not theirs:
        return ServiceError(f"Our Prefect server at {url} {fault}; its log is {_log()}.")
    advice = "" if ":" in fault else ": start it, or unset PREFECT_API_URL to let this run start its own"
    return ServiceError(f"The Prefect API at {url} {fault}{advice}.")


@contextmanager
def _watched(api: Api) -> Iterator[None]:
    """End this process in one sentence when an API has been away for a while; one watch is enough for a process.

    Prefect's clients ask again for minutes, each of a run's threads on its own, and end in tracebacks.
    """
    if not _watch.acquire(blocking=False):
        yield
        return
    over = threading.Event()

    def watch() -> None:
        last_answer = time.monotonic()
        while not over.wait(CHECK_SECONDS):
            try:
                fault = _fault(api, BUSY_SECONDS)
            except (KeyError, RuntimeError):  # the environment has changed while Prefect read it
                continue
            if fault is None:
                last_answer = time.monotonic()
            elif time.monotonic() - last_answer > AWAY_SECONDS and not over.is_set():
                sys.stdout.flush()
                tell_fault(_unusable(api.url, fault))
                os._exit(EXIT_BAD_INPUT)

    thread = threading.Thread(target=watch, name="api-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # An interpreter that ends while it asks would end in an abort.
        thread.join()
        _watch.release()


def give_head_start() -> None:
    """Begin to start the shared server, which takes as long as the imports of a flow; once it has begun, do nothing."""
    if not os.environ.get("PREFECT_API_URL"):
        # A fault is told when a stage asks for the server.
        with _server_lock() as record, suppress(ParamsError):
            if _recorded(record) is None:
                _launch(record)


def _shared_server() -> Api:
    with _server_lock() as record:
        for server in (_recorded(record), None):
            if server is not None and not keeper.join(_owners(server.api.url), owner_process()):
                continue
            used = server or _launch(record)
            try:
                wait_until_healthy(used.api.url, partial(is_alive, used.keeper))
            except ServiceError:
                # A recorded one may be about to end with its owner.
                if server is None:
                    raise
                keeper.end(used.keeper)
            else:
                break
    return used.api


@contextmanager
def _server_lock() -> Iterator[Path]:
    """Hold the lock on the record of the shared server; give the record."""
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "server.lock"):
        yield home / "server.json"


def _log() -> Path:
    return Path(os.environ["PREFECT_HOME"]) / "server.log"


def _recorded(record: Path) -> _Server | None:
    """The server that was launched last, if its keeper lives."""
    server = read_state(record, _Server)
    return server if server is not None and is_alive(server.keeper) else None


def _launch(record: Path) -> _Server:
    """Start a server under a keeper and record both; it answers some seconds later."""
    port = _free_port()
    # Of keepers that were killed.
    for stale in record.parent.glob("*.owners"):
        keeper.is_wanted(str(stale))
    owners = _owners(f"http://127.0.0.1:{port}/api")
    keeper.found(owners, owner_process())
    process, api = own_server(port, owners)
    server = _Server(api=api, keeper=process_tag(psutil.Process(process.pid)))
    write_state(record, server)
    return server


def _owners(url: str) -> Path:
    """Who uses the shared server at an address."""
    return Path(os.environ["PREFECT_HOME"]) / f"{urlsplit(url).port}.owners"


def own_server(port: int, owner: psutil.Process | Path | None = None) -> tuple[subprocess.Popen[bytes], Api]:
    """Start a Prefect server on 127.0.0.1:`port`; return its keeper and its API.

    It asks for a secret, another one each time unless `PREFECT_SERVER_API_AUTH_STRING` is set, and answers its own
    pages alone, or those that `PREFECT_SERVER_CORS_ALLOWED_ORIGINS` names.

    Args:
        owner: With whom it ends (see `keeper.start`).

    Raises:
        ParamsError: every origin is to be answered.
    """
    asked = os.environ.get(_ORIGINS, "")
    if "*" in asked.split(","):
        raise ParamsError(
            f"With {_ORIGINS}={asked} any web page could have code run here: name the addresses of pages that may,"
            " or unset it."
        )
    secret = os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or f"attrec:{secrets.token_urlsafe(32)}"
    api = Api(f"http://127.0.0.1:{port}/api", secret)
    surroundings = {
        **os.environ,
        _ORIGINS: asked or f"http://127.0.0.1:{port},http://localhost:{port}",
        "PREFECT_API_URL": "",
        "PREFECT_SERVER_API_AUTH_STRING": secret,
        # Its pages would ask the port of Prefect's settings.
        "PREFECT_SERVER_UI_API_URL": api.url,
    }
    # By its path: the folder it runs in need not be that of the code. -P: its siblings are called as libraries are.
    words = [sys.executable, "-P", str(Path(__file__).with_name("guarded_server.py")), str(port)]
    _log().parent.mkdir(parents=True, exist_ok=True)
    with _log().open("ab") as stream:
        return keeper.start(words, owner, env=surroundings, stdout=stream, stderr=stream), api


def wait_until_healthy(url: str, alive: Callable[[], bool]) -> None:
    """Wait for a Prefect API that a process starts.

    Raises:
        ServiceError: the process is not alive any more, or the API did not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not _healthy(url):
        if not alive() or time.monotonic() > deadline:
            named = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
            cause = f": see that the database of {named} answers" if named in os.environ else ""
            raise ServiceError(f"The Prefect server did not start at {url}{cause}; its log is {_log()}.")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False
