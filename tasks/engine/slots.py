"""How many tasks compute at once in this process.

Tasks are submitted all together and wait for what they need on threads of their own, which costs nothing; were the
threads as few as the cores, waiting tasks would keep ready ones from running.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

WAITING_THREADS = 256

_slots: threading.BoundedSemaphore | None = None


def set_compute_slots(number: int) -> None:
    """Let `number` tasks compute at once."""
    global _slots
    _slots = threading.BoundedSemaphore(number)


@contextmanager
def compute_slot() -> Iterator[None]:
    """Hold one slot; without a limit set, go ahead."""
    if _slots is None:
        yield
    else:
        with _slots:
            yield
