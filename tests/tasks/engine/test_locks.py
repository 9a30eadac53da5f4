"""Locks on results: never two holders, nobody waits in vain, and what is pickled locks the same."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from prefect.locking.protocol import LockManager

from tasks.engine.locks import ProcessLocks


def test_never_two_holders_at_once():
    locks, inside, most = ProcessLocks(), [], []

    def work(worker: int) -> None:
        for turn in range(300):
            holder = f"{worker} {turn}"
            assert locks.acquire_lock("key", holder)
            inside.append(holder)
            most.append(len(inside))
            inside.remove(holder)
            locks.release_lock("key", holder)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(done is None for done in pool.map(work, range(8)))
    finally:
        sys.setswitchinterval(before)
    assert max(most) == 1
    assert len(most) == 8 * 300
    assert not locks.is_locked("key")


def test_the_holder_may_ask_again_and_others_wait():
    locks, copy = ProcessLocks(), pickle.loads(pickle.dumps(ProcessLocks()))
    assert isinstance(locks, LockManager)
    assert locks.acquire_lock("a", "me")
    assert locks.acquire_lock("a", "me", 0)
    assert not copy.acquire_lock("a", "you", 0.01)
    assert not copy.wait_for_lock("a", 0.01)
    assert copy.is_locked("a")
    assert copy.is_lock_holder("a", "me")
    assert not copy.is_lock_holder("a", "you")
    assert locks.acquire_lock("b", "you", 0)
    with pytest.raises(ValueError, match="you does not hold"):
        locks.release_lock("a", "you")
    threading.Thread(target=lambda: (time.sleep(0.05), locks.release_lock("a", "me"))).start()
    assert locks.wait_for_lock("a", 10)
    locks.release_lock("b", "you")
    with pytest.raises(ValueError, match="until they are released"):
        locks.acquire_lock("a", "me", hold_timeout=1)


def test_coroutines_wait_beside_others():
    async def together() -> list[bool]:
        locks = ProcessLocks()
        assert await locks.aacquire_lock("c", "first")
        waiting = asyncio.create_task(locks.aacquire_lock("c", "second"))
        free = asyncio.create_task(locks.await_for_lock("c"))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        locks.release_lock("c", "first")
        taken = await waiting
        locks.release_lock("c", "second")
        return [taken, await free]

    assert asyncio.run(together()) == [True, True]
