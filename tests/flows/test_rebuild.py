"""`rebuild` does what `dvc repro` does, stage by stage, by hand and on a worker's schedule."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow

STAGES = ("prepare", "rating", "report")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_rebuild_leaves_what_dvc_repro_leaves(cold, fresh):
    printed = fresh.run("flows.rebuild")
    assert [line for line in printed.splitlines() if line.endswith(": rebuilt")] == [
        f"{name}: rebuilt" for name in STAGES
    ]
    assert fresh.outs() == cold[0].outs()
    pd.testing.assert_frame_equal(fresh.leaderboard(), cold[0].leaderboard(), check_exact=True)
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


def test_scheduled_run_on_a_real_worker(cold, template, tmp_path, eventually):
    """The deployment of prefect.yaml, with a schedule of seconds, on a clone that is up to date."""
    import shutil

    folder = tmp_path / "clone"
    shutil.copytree(cold[0].folder, folder, symlinks=True)
    checkout = type(template)(folder)
    deployments = yaml.safe_load((folder / "prefect.yaml").read_text())
    deployments["deployments"][0]["schedules"] = [{"interval": 15, "timezone": "UTC", "active": True}]
    (folder / "prefect.yaml").write_text(yaml.safe_dump(deployments, sort_keys=False))
    lock = checkout.lock
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"

    def completed() -> list[dict]:
        try:
            runs = ask(
                f"{api}/flow_runs/filter",
                {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}},
            )
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return []
        return [run for run in runs if run["name"] == "rebuild" or run["deployment_id"]]

    worker = checkout.start("cli.app", "worker", "--port", str(port))
    try:
        eventually(lambda: bool(completed()) or worker.poll() is not None, 180, "a scheduled run ended")
        assert worker.poll() is None, checkout.log.read_text()[-3000:]
        run = completed()[-1]
        assert run["state_type"] == "COMPLETED", run["state"]
        assert run["auto_scheduled"]
        tasks = ask(f"{api}/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        assert {(task["name"], task["state_name"]) for task in tasks} == {(name, "Cached") for name in STAGES}
        assert checkout.lock == lock
    finally:
        worker.send_signal(signal.SIGINT)
        worker.wait(60)
        eventually(checkout.is_quiet, 30, "worker and server ended")
        checkout.kill_all()
