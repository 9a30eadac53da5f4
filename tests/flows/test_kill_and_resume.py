"""Killed at any moment and run again: the same figures, bit for bit, and nobody is left behind."""

from __future__ import annotations

import signal
import time

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

SECONDS_TO_END = 30


def stage_processes(checkout):
    found = []
    for process in checkout.processes():
        words = process.cmdline()
        if "-m" in words and words[words.index("-m") + 1].startswith("flows."):
            found.append(process)
    return found


def test_killed_at_random_moments(cold, fresh, eventually):
    finished, seconds = cold
    draws = np.random.default_rng(20).uniform(0.2, 0.6, size=2)
    killed = 0
    for moment in draws * seconds:
        process = fresh.start("dvc", "repro")
        time.sleep(moment)
        if process.poll() is None:
            killed += 1
        fresh.kill_all()
        process.wait()
        eventually(fresh.is_quiet, SECONDS_TO_END, "all processes of the killed run gone")
    assert killed == len(draws), "a run ended before it was to be killed: draw earlier moments"
    fresh.run("dvc", "repro")
    pd.testing.assert_frame_equal(fresh.leaderboard(), finished.leaderboard(), check_exact=True)
    assert fresh.outs() == finished.outs()
    assert "RUNNING" not in set(fresh.flow_runs()["state_type"])


@pytest.mark.parametrize(
    "early", [True, False], ids=["while the stage is loading", "while the flow is running"]
)
def test_stage_and_server_end_when_dvc_alone_is_killed(fresh, eventually, early):
    process = fresh.start("dvc", "repro")
    if early:
        eventually(lambda: bool(stage_processes(fresh)), 60, "a stage started")
        time.sleep(0.5)
    else:
        eventually((fresh.folder / ".attrec" / "prefect" / "server.json").exists, 120, "a server started")
    process.send_signal(signal.SIGKILL)
    process.wait()
    eventually(fresh.is_quiet, SECONDS_TO_END, "stage and server ended by themselves")
    assert not (fresh.folder / "reports" / "leaderboard.csv").exists()
