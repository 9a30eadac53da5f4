"""Of two equal tasks at once in a process, one computes and the other waits for its result."""

from __future__ import annotations

import asyncio
import threading
from typing import ClassVar


class ProcessLocks:
    """A `LockManager` for Prefect's transactions, which keeps its locks in memory: a killed process leaves none.

    All instances share the locks of their process. Prefect's own `MemoryLockManager` forgets a lock when it is released
    and remembers it again when the next one has it: who comes in between makes a second lock for the same key, and what
    holds the first fails when it ends.
    """

    _holders: ClassVar[dict[str, str]] = {}
    _changed: ClassVar[threading.Condition] = threading.Condition()

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Wait until the lock is free or the holder's own, and take it; False if that takes too long.

        Raises:
            ValueError: it is to be held for some time only.
        """
        if hold_timeout is not None:
            raise ValueError("These locks are held until they are released; leave hold_timeout out.")
        with self._changed:
            free = self._changed.wait_for(lambda: self._holders.get(key, holder) == holder, acquire_timeout)
            if free:
                self._holders[key] = holder
            return free

    async def aacquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """`acquire_lock` while other coroutines go on."""
        return await asyncio.to_thread(self.acquire_lock, key, holder, acquire_timeout, hold_timeout)

    def release_lock(self, key: str, holder: str) -> None:
        """Give the lock back.

        Raises:
            ValueError: it is not the holder's.
        """
        with self._changed:
            if self._holders.get(key) != holder:
                raise ValueError(f"{holder} does not hold the lock {key}.")
            del self._holders[key]
            self._changed.notify_all()

    def is_locked(self, key: str) -> bool:
        """Whether somebody holds it."""
        return key in self._holders

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether it is the holder's."""
        return self._holders.get(key) == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds it; False if that takes too long."""
        with self._changed:
            return self._changed.wait_for(lambda: key not in self._holders, timeout)

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """`wait_for_lock` while other coroutines go on."""
        return await asyncio.to_thread(self.wait_for_lock, key, timeout)
