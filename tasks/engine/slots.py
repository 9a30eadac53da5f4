"""How many tasks compute at once, in this process, or in all that `SLOTS_VARIABLE` is set for.

Tasks are submitted all together and wait for what they need on threads of their own, which costs nothing; were the
threads as few as the cores, waiting tasks would keep ready ones from running.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout

WAITING_THREADS = 256
SLOTS_VARIABLE = "ATTREC_SLOTS"
"""Names a folder; processes that run side by side share the slots in it."""
POLL_SECONDS = 0.1

_slots: _Slots | None = None


class _Slots:
    """Of the tasks that wait, the one of the lowest turn goes first."""

    def __init__(self, number: int, shared: Path | None) -> None:
        self._number, self._shared = number, shared
        self._free, self._waiting = number, list[int]()
        self._changed = threading.Condition()

    @contextmanager
    def slot(self, turn: int) -> Iterator[None]:
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._free > 0 and turn == min(self._waiting))
                self._free -= 1
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        try:
            with nullcontext() if self._shared is None else _shared_slot(self._shared, self._number):
                yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


@contextmanager
def _shared_slot(folder: Path, number: int) -> Iterator[None]:
    """Hold a lock that a killed process lets go."""
    locks = [FileLock(folder / f"{place}.lock") for place in range(number)]
    while not any(map(_taken, locks)):
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        for lock in locks:
            lock.release()


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def set_compute_slots(number: int) -> None:
    """Let `number` tasks compute at once."""
    global _slots
    shared = os.environ.get(SLOTS_VARIABLE)
    _slots = _Slots(number, Path(shared) if shared else None)


@contextmanager
def compute_slot(turn: int = 0) -> Iterator[None]:
    """Hold one slot; without a limit set, go ahead.

    Args:
        turn: Of tasks that wait, the lowest goes first.
    """
    with nullcontext() if _slots is None else _slots.slot(turn):
        yield
