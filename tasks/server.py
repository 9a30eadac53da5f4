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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests
from filelock import FileLock

from attrec.errors import ServiceError
from tasks import environment
from tasks.processes import is_alive, process_id, process_tag

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


def _shared_server() -> str:
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    record = home / "server.json"
    with FileLock(home / "server.lock"):
        url = _recorded_url(record)
        if url is None:
            url = _start(record)
    return url


def _recorded_url(record: Path) -> str | None:
    try:
        url: str = json.loads(record.read_text())["url"]
    except (OSError, ValueError, KeyError):
        return None
    return url if _healthy(url) else None


def _start(record: Path) -> str:
    owner = owner_process()
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    log = record.with_name("server.log")
    with log.open("ab") as stream:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tasks.server", str(port), process_tag(owner)],
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(__file__).resolve().parents[1],
        )
    try:
        wait_until_healthy(url, keeper)
    except ServiceError as error:
        raise ServiceError(f"{error} Its log is {log}.") from error
    staging = record.with_suffix(".part")
    staging.write_text(json.dumps({"url": url, "pid": keeper.pid}))
    staging.replace(record)
    return url


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a Prefect API that `process` starts.

    Raises:
        ServiceError: the process ended, or the API did not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not _healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
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
