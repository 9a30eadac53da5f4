"""One Prefect API for all stages of a run: the configured one, else one that lives as long as its owner.

The owner is the `dvc` process that runs the stages, or the process itself when no `dvc` stands above it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import requests
from filelock import FileLock

from attrec.errors import ServiceError
from tasks.engine import environment
from tasks.engine.processes import is_alive, process_id, process_tag

START_TIMEOUT = 120.0
POLL_SECONDS = 0.5
OWNER_VARIABLE = "ATTREC_OWNER"
KILLED = 137


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
    owner = owner_process()
    if owner.pid == os.getpid():
        return

    def watch() -> None:
        while owner.is_running() and owner.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_SECONDS)
        os._exit(KILLED)

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


@contextmanager
def prefect_api() -> Iterator[str]:
    """Give the URL of a Prefect API, and make it the one this process uses inside the block.

    Raises:
        ServiceError: the configured API does not answer, or a server cannot be started.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    configured = PREFECT_API_URL.value()
    if configured:
        if not _healthy(configured):
            raise ServiceError(
                f"The configured Prefect API at {configured} does not answer: start it (make worker), or unset "
                "PREFECT_API_URL to let this run start its own."
            )
        url = configured
    else:
        url = _shared_server()
    # Waiting for the heartbeat thread would add a second to the end of every flow run.
    with temporary_settings({PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield url


def give_head_start() -> None:
    """Begin to start the shared server where a stage will need one: it takes as long as the imports of a flow."""
    if "DVC_STAGE" in os.environ and not os.environ.get("PREFECT_API_URL"):
        with _server_lock() as record:
            if _recorded(record) is None:
                _launch(record)


def _shared_server() -> str:
    with _server_lock() as record:
        for server in (_recorded(record), None):
            url, keeper = server or _launch(record)
            try:
                wait_until_healthy(url, partial(is_alive, keeper))
            except ServiceError as error:
                # A recorded one may be about to end with its owner.
                if server is None:
                    raise ServiceError(f"{error} Its log is {_log(record)}.") from error
            else:
                break
    return url


@contextmanager
def _server_lock() -> Iterator[Path]:
    """Hold the lock on the record of the shared server; give the record."""
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "server.lock"):
        yield home / "server.json"


def _log(record: Path) -> Path:
    return record.with_name("server.log")


def _recorded(record: Path) -> tuple[str, str] | None:
    """URL and process tag of the keeper that was launched last, if that lives."""
    try:
        content = json.loads(record.read_text())
        url, keeper = content["url"], content["keeper"]
    except (OSError, ValueError, KeyError):
        return None
    return (url, keeper) if is_alive(keeper) else None


def _launch(record: Path) -> tuple[str, str]:
    """Start a keeper and record it; its server answers some seconds later."""
    port = _free_port()
    with _log(record).open("ab") as stream:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tasks.engine.server", str(port), process_tag(owner_process())],
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(__file__).resolve().parents[2],
        )
    server = f"http://127.0.0.1:{port}/api", process_tag(psutil.Process(keeper.pid))
    staging = record.with_suffix(".part")
    staging.write_text(json.dumps({"url": server[0], "keeper": server[1]}))
    staging.replace(record)
    return server


def wait_until_healthy(url: str, alive: Callable[[], bool]) -> None:
    """Wait for a Prefect API that a process starts.

    Raises:
        ServiceError: the process is not alive any more, or the API did not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not _healthy(url):
        if not alive() or time.monotonic() > deadline:
            raise ServiceError(f"The Prefect server did not start at {url}.")
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


def keep_server(port: int, owner: str) -> None:
    """Run a Prefect server on 127.0.0.1:`port` until the owner ends."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, "PREFECT_API_URL": ""})
    try:
        while server.poll() is None and is_alive(owner):
            time.sleep(POLL_SECONDS)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


if __name__ == "__main__":
    keep_server(int(sys.argv[1]), sys.argv[2])
