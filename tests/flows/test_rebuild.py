"""`rebuild` does what `dvc repro` does, stage by stage, by hand and on a worker's schedule."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psutil
import pytest
import yaml

pytestmark = pytest.mark.slow

STAGES = ("prepare", "rating", "sequence", "playlist", "report")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_rebuild_leaves_what_dvc_repro_leaves(cold, fresh):
    printed = fresh.run("flows.rebuild")
    assert [line for line in printed.splitlines() if line.endswith(": rebuilt")] == [
        f"{name}: rebuilt" for name in STAGES
    ]
    assert fresh.outs() == cold.outs()
    pd.testing.assert_frame_equal(fresh.leaderboard(), cold.leaderboard(), check_exact=True)
    lock = fresh.lock
    assert "Running stage" not in fresh.run("dvc", "repro")
    assert fresh.lock == lock
    printed = fresh.run("flows.rebuild")
    assert [line for line in printed.splitlines() if line.endswith(": cached")] == [
        f"{name}: cached" for name in STAGES
    ]
    assert fresh.lock == lock
    runs = fresh.flow_runs()
    assert set(runs["state_type"]) == {"COMPLETED"}
    assert (runs["name"] == "rebuild").sum() == 2


def ask(url: str, body: dict | None = None):
    request = urllib.request.Request(
        url, json.dumps(body or {}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@dataclass(frozen=True)
class Worker:
    """A started `attrec worker`."""

    checkout: Any
    process: subprocess.Popen[bytes]
    port: int

    @property
    def api(self) -> str:
        """URL of its Prefect server."""
        return f"http://127.0.0.1:{self.port}/api"

    def family(self) -> list[psutil.Process]:
        """Every living process that it has started; flow runs are in sessions of their own."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def is_running(self, word: str) -> bool:
        """Whether it has started a process with this word in its command line."""
        for process in self.family():
            with suppress(psutil.Error):
                if word in process.cmdline():
                    return True
        return False

    def answers(self, path: str, body: dict | None = None) -> Any:
        """What the API answers; nothing while it is not ready."""
        try:
            return ask(f"{self.api}{path}", body)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return []

    def end(self, number: signal.Signals) -> int:
        """Send it a signal, see that nothing is left behind, and return its exit code."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        assert self.checkout.is_quiet()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", self.port))
        return code


@pytest.fixture
def start_worker() -> Iterator[Callable[[Any], Worker]]:
    """Start `attrec worker` in a checkout; nothing outlives the test."""
    workers = []

    def start(checkout: Any) -> Worker:
        port = free_port()
        workers.append(Worker(checkout, checkout.start("cli.app", "worker", "--port", str(port)), port))
        return workers[-1]

    yield start
    for worker in workers:
        for process in [*worker.family(), worker.process]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.process.wait()
        worker.checkout.kill_all()


def test_scheduled_run_on_a_real_worker(cold, tmp_path, eventually, start_worker):
    """The deployment of prefect.yaml, with a schedule of seconds, on a clone that is up to date."""
    checkout = cold.copy(tmp_path / "clone")
    deployed = checkout.folder / "prefect.yaml"
    deployments = yaml.safe_load(deployed.read_text())
    deployments["deployments"][0]["schedules"] = [{"interval": 15, "timezone": "UTC", "active": True}]
    deployed.write_text(yaml.safe_dump(deployments, sort_keys=False))
    lock = checkout.lock
    worker = start_worker(checkout)

    def completed() -> list[dict]:
        runs = worker.answers(
            "/flow_runs/filter",
            {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}},
        )
        return [run for run in runs if run["name"] == "rebuild" or run["deployment_id"]]

    eventually(lambda: completed() or worker.process.poll() is not None, 180, "a scheduled run ended")
    assert worker.process.poll() is None, checkout.log.read_text()[-3000:]
    run = completed()[-1]
    assert run["state_type"] == "COMPLETED", run["state"]
    assert run["auto_scheduled"]
    tasks = ask(f"{worker.api}/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert {(task["name"], task["state_name"]) for task in tasks} == {(name, "Cached") for name in STAGES}
    assert checkout.lock == lock
    assert worker.end(signal.SIGINT) == 130


def test_a_terminated_worker_leaves_nothing_behind(fresh, eventually, start_worker):
    """SIGTERM in the middle of a flow run: server, worker, flow run and stage end."""
    worker = start_worker(fresh)

    def eventually_or_log(condition: Callable[[], Any], what: str) -> None:
        eventually(lambda: condition() or worker.process.poll() is not None, 120, what)
        assert worker.process.poll() is None, fresh.log.read_text()[-3000:]

    eventually_or_log(lambda: worker.answers("/deployments/filter"), "the deployment is there")
    path = f"/deployments/{worker.answers('/deployments/filter')[0]['id']}/create_flow_run"
    eventually_or_log(lambda: worker.answers(path), "a flow run is asked for")
    eventually_or_log(lambda: worker.is_running("flows.prepare"), "the first stage runs")
    assert worker.end(signal.SIGTERM) == 143
