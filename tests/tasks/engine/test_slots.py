"""Who computes next: of the tasks of a process the one that was handed in first; and never more than slots."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasks.engine import slots
from tasks.engine.slots import SLOTS_VARIABLE, compute_slot, set_compute_slots

HOLD = """
import sys
from tasks.engine.slots import compute_slot, set_compute_slots
set_compute_slots(1)
with compute_slot():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_slots_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_slots", None)
    monkeypatch.delenv(SLOTS_VARIABLE, raising=False)


def submit(turns: list[int], seen: list[int], at_once: list[int]) -> list[threading.Thread]:
    """Threads that wait for a slot, each begun when the one before it waits."""
    inside = threading.Semaphore(0)

    def work(turn: int) -> None:
        with compute_slot(turn):
            inside.release()
            seen.append(turn)
            at_once.append(inside._value)
            time.sleep(0.05)
            inside.acquire()

    threads = [threading.Thread(target=work, args=[turn], daemon=True) for turn in turns]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    return threads


@pytest.mark.parametrize("number", [1, 2])
def test_the_lowest_turn_goes_first_and_no_more_at_once_than_there_are_slots(number: int) -> None:
    set_compute_slots(number)
    seen: list[int] = []
    at_once: list[int] = []
    with ExitStack() as held:
        for _ in range(number):
            held.enter_context(compute_slot())
        threads = submit([3, 1, 4, 2], seen, at_once)
        assert seen == []
    for thread in threads:
        thread.join(10)
    assert sorted(seen) == [1, 2, 3, 4]
    assert max(at_once) == number
    assert seen == [1, 2, 3, 4] if number == 1 else set(seen[:2]) == {1, 2}


def test_processes_share_slots_and_a_killed_one_lets_its_own_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SLOTS_VARIABLE, str(tmp_path))
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        set_compute_slots(1)
        seen: list[int] = []
        [thread] = submit([1], seen, [])
        time.sleep(0.2)
        assert seen == []
        other.kill()
    thread.join(10)
    assert seen == [1]
