"""`attrec ui|serve|worker`: what answers on a port of 127.0.0.1, until it is told to end."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from attrec.errors import ServiceError
from attrec.files import write_private
from cli.ask.registered import ModelOption
from cli.tables import say
from tasks.engine import environment, keeper
from tasks.engine.faults import without_secrets

if TYPE_CHECKING:
    from tasks.engine.server import Api

MLFLOW_PORT = 5000
SERVING_PORT = 5001
PREFECT_PORT = 4200
WORK_POOL = "attrec"


class ServedFamily(StrEnum):
    """What can be served."""

    rating = "rating"
    sequence = "sequence"
    playlist = "playlist"


def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = MLFLOW_PORT) -> None:
    """Show the run store in the MLflow UI, on 127.0.0.1; of an MLflow server, say where it is.

    For example: `attrec ui --port 5050`.
    """
    from tasks.engine.run_store import is_server, runs_page, tracking_address

    if is_server():
        say(f"MLflow UI: {runs_page(tracking_address())}")
        return
    _require_free(port)
    page, store = runs_page(f"http://127.0.0.1:{port}"), os.environ["MLFLOW_TRACKING_URI"]
    where = ["--host", "127.0.0.1", "--port", str(port)]
    artifacts = ["--artifacts-destination", environment.MLFLOW_ARTIFACTS.as_uri()]
    # Each worker imports MLflow, and so does who runs jobs of its judges, which nothing here asks for.
    surroundings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    say(f"MLflow UI: {page} (stop with Ctrl-C)")
    with _ending_together():
        words = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", *artifacts, *where]
        # Not among the words, which anybody on this machine can read: it may hold a password.
        code = keeper.start(words, env={**surroundings, "MLFLOW_BACKEND_STORE_URI": store}).wait()
    raise typer.Exit(code)


def serve(
    family: Annotated[ServedFamily, typer.Argument(help="Which registered model.")],
    model: ModelOption = "champion",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = SERVING_PORT,
) -> None:
    """Serve a registered model over HTTP, on 127.0.0.1, and show a request that it answers.

    It is asked as MLflow's server is, and answers all who wait in one pass. For example: `attrec serve sequence --port
    5002`.
    """
    import uvicorn

    from attrec.serving.http import application
    from flows.lookup import about, load_model

    _require_free(port)
    served = load_model(family.value, model)
    say(f"Model: {about(family.value, model)}.")
    url = f"http://127.0.0.1:{port}"
    request = shlex.quote(f'{{"dataframe_records": {served.example().to_json(orient="records")}}}')

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            say(f"Serving at {url} (stop with Ctrl-C). For example:")
            say(f"curl {url}/invocations -H 'Content-Type: application/json' -d {request}")

    Announced(uvicorn.Config(application(served), "127.0.0.1", port, log_level="warning")).run()


def worker(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the Prefect server on 127.0.0.1.")
    ] = PREFECT_PORT,
) -> None:
    """Deploy `rebuild` with its schedule, and `export`, and run them here when they are due.

    Starts a Prefect server, or uses the one that PREFECT_API_URL names. Runs until Ctrl-C. A run by hand, from a second
    terminal: `source .attrec/prefect/worker-4200.env`, which holds the server's address and its secret, and
    `prefect deployment run rebuild/rebuild`. For example: `attrec worker --port 4242`.
    """
    from prefect.settings import temporary_settings

    from tasks.engine.server import (
        STORE_VARIABLE,
        Api,
        own_server,
        own_store,
        require_usable,
        wait_until_healthy,
    )

    named, server = os.environ.get("PREFECT_API_URL"), None
    if named:
        require_usable(Api(named))
    else:
        _require_free(port)
    with _ending_together(), ExitStack() as inside:
        if named:
            api = Api(named)
        else:
            server, api = own_server(port)
            os.environ |= {STORE_VARIABLE: own_store(), **api.variables()}
            access = inside.enter_context(_access(port, api))
            wait_until_healthy(api.url, lambda: server.poll() is None)
            require_usable(api)
        inside.enter_context(temporary_settings(api.settings()))
        _close_dead_runs()
        _require_work_pool()
        if _prefect("--no-prompt", "deploy", "--all").wait():
            raise ServiceError("`prefect deploy --all` failed: its output stands above.")
        say(f"Prefect UI: {without_secrets(api.url.removesuffix('/api'))} (stop with Ctrl-C)")
        if server is not None:
            say(f"Its secret, for its pages and for a second terminal to `source`: {access}")
        # Read when a run starts, as each machine's worker has it.
        os.environ["ATTREC_CHECKOUT"] = str(environment.ROOT)
        polling = _prefect("worker", "start", "--pool", WORK_POOL)
        while polling.poll() is None:
            if server is not None and server.poll() is not None:
                raise ServiceError(f"The Prefect server at {api.url} has ended: run `attrec worker` again.")
            time.sleep(keeper.POLL_SECONDS)
    raise typer.Exit(polling.returncode)


@contextmanager
def _access(port: int, api: Api) -> Iterator[Path]:
    """A file for a shell that makes its commands use the server on a port, while it is there."""
    path = Path(os.environ["PREFECT_HOME"]) / f"worker-{port}.env"
    write_private(
        path, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in api.variables().items())
    )
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _close_dead_runs() -> None:
    """A run of a worker that was killed would hold the place of the next one for ever."""
    from tasks.engine.flow_runs import mark_dead_runs_as_crashed

    mark_dead_runs_as_crashed()


def _require_work_pool() -> None:
    """Make the work pool if there is none; one that is there is the team's, with its settings.

    Raises:
        ServiceError: its flow runs are no processes of the worker.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            kind = client.read_work_pool(WORK_POOL).type
        except ObjectNotFound:
            kind = "process"
            if _prefect("work-pool", "create", WORK_POOL, "--type", kind).wait():
                raise ServiceError(
                    f"The work pool {WORK_POOL} cannot be made: what Prefect says stands above."
                ) from None
    if kind != "process":
        raise ServiceError(
            f"The work pool {WORK_POOL} is of the type {kind}, and this worker runs processes: rename that pool."
        )


def _prefect(*words: str) -> subprocess.Popen[bytes]:
    return keeper.start([sys.executable, "-m", "prefect", *words])


def _answers(url: str) -> bool:
    import requests

    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ServiceError(
                f"Port {port} on 127.0.0.1 is taken: stop what uses it, or choose another with --port."
            ) from None


@contextmanager
def _ending_together() -> Iterator[None]:
    """Whatever was started inside the block has ended after it, the last one first; a signal ends the block."""
    _on_ending_signals(_stop)
    try:
        yield
    finally:
        _on_ending_signals(signal.SIG_IGN)
        # Not by their variables: a signal can come after a process has started and before it has a name.
        for kept_by in sorted(psutil.Process().children(), key=psutil.Process.create_time, reverse=True):
            with suppress(psutil.NoSuchProcess):
                kept_by.terminate()
                kept_by.wait()


def _on_ending_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)
    # Under nohup a closed terminal ends nothing.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    # A second signal would break off the orderly end and leave processes behind.
    _on_ending_signals(signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
