"""What an artefact took to compute; kept beside the artefacts, since times differ between runs and those must not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import psutil
from pydantic import BaseModel

from tasks.engine import environment
from tasks.engine.artifacts import Artifact
from tasks.engine.state import read_state, write_state

MEMORY_INTERVAL = 0.1  # seconds


class Timing(BaseModel):
    """Of the task that wrote an artefact."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of the task's own thread, so that it hardly hangs on what else the machine does; helper threads not counted."""
    peak_megabytes: float = 0.0
    """The most memory that the process held meanwhile, with what ran in it side by side; 0 if it was not looked at."""

    def add(self, other: Timing) -> None:
        """Count `other` too."""
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.peak_megabytes = max(self.peak_megabytes, other.peak_megabytes)


class Stopwatch:
    """Runs from where it is made, in the thread that makes it."""

    def __init__(self) -> None:
        self._clock, self._processor = time.perf_counter(), time.thread_time()

    def read(self) -> Timing:
        """What has passed."""
        return Timing(
            seconds=time.perf_counter() - self._clock, cpu_seconds=time.thread_time() - self._processor
        )


_measured: ContextVar[tuple[Timing, Stopwatch]] = ContextVar("measured")


@contextmanager
def timed() -> Iterator[Timing]:
    """Measure the block, with what `count_earlier` is told in it; the figures are there when it has ended."""
    timing, watch = Timing(), Stopwatch()
    token = _measured.set((timing, watch))
    try:
        with _watched_memory(timing):
            yield timing
    finally:
        _measured.reset(token)
    timing.add(watch.read())


@contextmanager
def _watched_memory(timing: Timing) -> Iterator[None]:
    """Look at the memory of the process now and then, and note the most."""
    process, ended = psutil.Process(), threading.Event()

    def look() -> None:
        timing.peak_megabytes = max(timing.peak_megabytes, process.memory_info().rss / 1e6)

    def watch() -> None:
        while not ended.wait(MEMORY_INTERVAL):
            look()

    look()
    watcher = threading.Thread(target=watch, name="memory-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        look()


def count_earlier(earlier: Timing) -> None:
    """Let the block that is being measured, if one is, count what it took before it was killed."""
    if (measured := _measured.get(None)) is not None:
        measured[0].add(earlier)


def taken_so_far() -> Timing:
    """What the block that is being measured, if one is, has taken until now, with what it took before it was killed."""
    taken = Timing()
    if (measured := _measured.get(None)) is not None:
        for part in (measured[0], measured[1].read()):
            taken.add(part)
    return taken


def remember(artifact: Artifact, timing: Timing) -> None:
    """Keep the timing of an artefact, in place of that of an earlier run."""
    write_state(_file(artifact), timing)


def total(artifacts: Sequence[Artifact]) -> Timing | None:
    """The sum over artefacts; None if one of them has no timing."""
    summed = Timing()
    for artifact in artifacts:
        timing = read_state(_file(artifact), Timing)
        if timing is None:
            return None
        summed.add(timing)
    return summed


def mean(groups: Sequence[Sequence[Artifact]]) -> Timing | None:
    """The mean over groups of their sums, of memory the most; None if an artefact has no timing."""
    totals = [timing for artifacts in groups if (timing := total(artifacts)) is not None]
    if not totals or len(totals) < len(groups):
        return None
    return Timing(
        seconds=sum(timing.seconds for timing in totals) / len(totals),
        cpu_seconds=sum(timing.cpu_seconds for timing in totals) / len(totals),
        peak_megabytes=max(timing.peak_megabytes for timing in totals),
    )


def _file(artifact: Artifact) -> Path:
    return environment.TIMINGS / artifact.kind / f"{artifact.sha256}.json"
