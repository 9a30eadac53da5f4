"""A Prefect server that a team has: used where it is named; a sentence when it is not there, or goes away."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.servers import Postgres, Server, ask_prefect, free_port

pytestmark = pytest.mark.slow

LOGIN = ("team", "secret")


@pytest.fixture
def server(stores: Path, tmp_path: Path) -> Iterator[Server]:
    """A Prefect server with a password."""
    shutil.copytree(stores / "prefect", tmp_path / "prefect")
    port = free_port()
    words = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    surroundings = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_API_AUTH_STRING": ":".join(LOGIN),
    }
    started = Server(words, port, tmp_path / "prefect.log", surroundings, "/api/health")
    started.start()
    yield started
    started.stop()


@pytest.fixture
def theirs(fresh: Any, server: Server) -> Any:
    """A checkout of a user who has named that server."""
    named = {"PREFECT_API_URL": f"{server.url}/api", "PREFECT_API_AUTH_STRING": ":".join(LOGIN)}
    return replace(fresh, variables=named)


def ask(server: Server, path: str, body: dict | None = None) -> Any:
    return ask_prefect(f"{server.url}/api", path, body, ":".join(LOGIN))


def refused(checkout: Any, *words: str) -> str:
    """The one sentence in which a command ends."""
    return one_sentence(checkout.run(*words, code=2))


def one_sentence(printed: str) -> str:
    said = [line for line in printed.splitlines() if line and not line.startswith("prepare ")]
    assert len(said) == 1, printed
    assert said[0].startswith("Error: "), printed
    return said[0]


@pytest.mark.parametrize("words", [("flows.report",), ("flows.rebuild",), ("cli.app", "worker")])
def test_an_api_that_is_not_ours_to_use_is_told_in_one_sentence(theirs, words):
    stranger = theirs.variables | {"PREFECT_API_AUTH_STRING": "team:guess"}
    assert "refuses us: set PREFECT_API_AUTH_STRING" in refused(replace(theirs, variables=stranger), *words)
    elsewhere = theirs.variables | {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"}
    assert "does not answer: start it" in refused(replace(theirs, variables=elsewhere), *words)
    cut = theirs.variables | {"PREFECT_API_URL": theirs.variables["PREFECT_API_URL"].removesuffix("/api")}
    assert "its address ends in /api" in refused(replace(theirs, variables=cut), *words)
    assert not (theirs.folder / ".attrec" / "prefect" / "server.json").exists()


def test_runs_are_on_their_server_and_none_is_started(theirs, server):
    theirs.run("dvc", "repro", "prepare")
    runs = ask(server, "/flow_runs/filter")
    assert [(run["name"], run["state_type"]) for run in runs] == [("prepare simulated", "COMPLETED")]
    assert not (theirs.folder / ".attrec" / "prefect" / "server.json").exists()


def test_a_worker_joins_their_server_and_keeps_their_settings(theirs, server, eventually):
    ask(server, "/work_pools/", {"name": "attrec", "type": "process", "concurrency_limit": 3})
    worker = theirs.start("cli.app", "worker", "--port", str(free_port()))
    rebuild = {"deployments": {"name": {"any_": ["rebuild"]}}}

    def deployed() -> list[dict]:
        return ask(server, "/deployments/filter", rebuild)

    eventually(lambda: deployed() or worker.poll() is not None, 120, "it is deployed")
    (deployment,) = deployed()
    path = f"/deployments/{deployment['id']}/create_flow_run"
    ask(server, path, {"parameters": {"stages": ["prepare"]}})

    def ended() -> list[dict]:
        runs = ask(server, "/flow_runs/filter", {"flow_runs": {"deployment_id": {"is_null_": False}}})
        return [run for run in runs if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED")]

    eventually(lambda: ended() or worker.poll() is not None, 180, "the run has ended")
    assert worker.poll() is None, theirs.log.read_text()[-3000:]
    assert ended()[0]["state"]["message"] == "prepare: rebuilt"
    (pool,) = ask(server, "/work_pools/filter")
    assert pool["concurrency_limit"] == 3
    servers = [process for process in theirs.processes() if "server" in process.cmdline()]
    assert not servers
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 143
    assert theirs.is_quiet()


def test_a_work_pool_of_another_type_is_left_alone(theirs, server):
    ask(server, "/work_pools/", {"name": "attrec", "type": "docker"})
    assert "The work pool attrec is of the type docker" in refused(theirs, "cli.app", "worker")


def midway(checkout: Any, eventually: Callable[..., None]) -> Callable[[], str]:
    """A flow that is under way; its end, in one sentence."""
    before = len(checkout.log.read_text()) if checkout.log.exists() else 0
    process = checkout.start("flows.prepare")

    def printed() -> str:
        return checkout.log.read_text()[before:]

    def end() -> str:
        assert process.wait(120) == 2
        return one_sentence(printed())

    eventually(lambda: "prepare 2/5" in printed() or process.poll() is not None, 120, "the second step")
    assert process.poll() is None, printed()
    return end


def test_a_server_that_goes_away_midway_costs_nothing_but_the_rest(theirs, server, eventually):
    end = midway(theirs, eventually)
    server.kill()
    assert "does not answer" in end()
    made = {path.name for path in (theirs.folder / ".attrec" / "artifacts").glob("[!.]*/*")}
    assert made
    server.start()
    theirs.run("dvc", "repro", "prepare")
    runs = ask(server, "/flow_runs/filter")
    assert {run["name"] for run in runs} == {"prepare simulated"}
    assert sorted(run["state_type"] for run in runs) == ["COMPLETED", "CRASHED"]


def test_our_own_server_on_their_postgresql(fresh, postgres: Postgres, eventually):
    """Its database is theirs, too; while it is away, a run ends in one sentence, and so does one that begins."""
    database = postgres.database()
    named = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.replace("://", "+asyncpg://")}
    checkout = replace(fresh, variables=named)
    checkout.run("dvc", "repro", "prepare")
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("select name, state_type from flow_run")
        assert [tuple(map(str, row)) for row in cursor.fetchall()] == [("prepare simulated", "COMPLETED")]
    assert fresh.flow_runs().empty
    for kept in ("artifacts", "results"):
        shutil.rmtree(checkout.folder / ".attrec" / kept)
    end = midway(checkout, eventually)
    postgres.stop()
    try:
        assert "its database may be away" in end()
        checkout.kill_all()
        assert "see that the database of PREFECT_SERVER_DATABASE_CONNECTION_URL answers" in refused(
            checkout, "flows.report"
        )
    finally:
        postgres.start()
