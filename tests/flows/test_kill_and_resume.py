"""Killed at any moment and run again: the same figures, bit for bit, and nobody is left behind."""

from __future__ import annotations

import signal
import time

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

SECONDS_TO_END = 60


def stage_processes(checkout):
    found = []
    for process in checkout.processes():
        words = process.cmdline()
        if "-m" in words and words[words.index("-m") + 1].startswith("flows."):
            found.append(process)
    return found


def artefacts(checkout):
    """How many artefacts tasks have finished here: progress that does not depend on the machine's speed."""
    return len(list((checkout.folder / ".attrec" / "artifacts").glob("[!.]*/*")))


def test_killed_at_random_moments(cold, fresh, eventually):
    total = artefacts(cold)
    draws = np.random.default_rng(20)
    for half in range(2):
        wanted = int(draws.integers(half * total // 2, (half + 1) * total // 2))
        process = fresh.start("dvc", "repro")

        def reached(wanted=wanted, process=process):
            return artefacts(fresh) >= wanted or process.poll() is not None

        eventually(reached, 300, f"{wanted} of {total} artefacts")
        time.sleep(draws.uniform(0, 0.5))
        assert process.poll() is None, "the run ended before it was to be killed"
        fresh.kill_all()
        process.wait()
        eventually(fresh.is_quiet, SECONDS_TO_END, "all processes of the killed run gone")
    fresh.run("dvc", "repro")
    pd.testing.assert_frame_equal(fresh.leaderboard(), cold.leaderboard(), check_exact=True)
    assert fresh.outs() == cold.outs()
    assert "RUNNING" not in set(fresh.flow_runs()["state_type"])


@pytest.mark.parametrize(
    "early", [True, False], ids=["while the stage is loading", "while the flow is running"]
)
def test_stage_and_server_end_when_dvc_alone_is_killed(fresh, eventually, early):
    process = fresh.start("dvc", "repro")
    if early:
        eventually(lambda: bool(stage_processes(fresh)), 180, "a stage started")
        time.sleep(0.5)
    else:
        eventually((fresh.folder / ".attrec" / "prefect" / "server.json").exists, 300, "a server started")
    process.send_signal(signal.SIGKILL)
    process.wait()
    eventually(fresh.is_quiet, SECONDS_TO_END, "stage and server ended by themselves")
    assert not (fresh.folder / "reports" / "leaderboard.csv").exists()
