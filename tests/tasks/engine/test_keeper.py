"""What a process starts under a keeper ends with it: also what was orphaned below, and also on SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.engine import keeper
from tasks.engine.imports import SOURCE_ROOT

pytestmark = pytest.mark.slow

# Its children: one of its own, and one whose parent ends at once.
COMMAND = "sleep 600 & echo $!; sh -c 'sleep 600 & echo $!'; echo $$; exec sleep 600"
OWNER = f"""
from tasks.engine import keeper
keeper.start(["sh", "-c", {COMMAND!r}]).wait()
"""


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while not all(map(gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert all(map(gone, pids))


@pytest.mark.parametrize("told", ["the owner is killed", "the keeper is told to end"])
def test_all_below_end(tmp_path: Path, told: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=SOURCE_ROOT,
        env={**os.environ, "ATTREC_ROOT": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        pids = [int(owner.stdout.readline()) for _ in range(3)]
        assert not any(map(gone, pids))
        (kept_by,) = psutil.Process(owner.pid).children()
        if told == "the owner is killed":
            owner.send_signal(signal.SIGKILL)
        else:
            kept_by.terminate()
        wait_until_gone([*pids, kept_by.pid])


def test_the_exit_code_is_the_commands() -> None:
    assert keeper.start(["sh", "-c", "exit 7"]).wait(60) == 7
