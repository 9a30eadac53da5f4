"""What an artefact took to compute; kept beside the artefacts, since times differ between runs and those must not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from tasks import environment
from tasks.artifacts import Artifact


class Timing(BaseModel):
    """Of the task that wrote an artefact."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of the task's own thread, so that it hardly hangs on what else the machine does; helper threads not counted."""


@contextmanager
def timed() -> Iterator[Timing]:
    """Measure the block; the figures are there when it has ended."""
    timing = Timing()
    clock, processor = time.perf_counter(), time.thread_time()
    yield timing
    timing.seconds = time.perf_counter() - clock
    timing.cpu_seconds = time.thread_time() - processor


def remember(artifact: Artifact, timing: Timing) -> None:
    """Keep the timing of an artefact, in place of that of an earlier run."""
    file = _file(artifact)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.write_text(timing.model_dump_json() + "\n")
    temporary.replace(file)


def total(artifacts: Sequence[Artifact]) -> Timing | None:
    """The sum over artefacts; None if one of them has no timing."""
    files = [_file(artifact) for artifact in artifacts]
    if not all(file.exists() for file in files):
        return None
    timings = [Timing.model_validate_json(file.read_text()) for file in files]
    return Timing(
        seconds=sum(timing.seconds for timing in timings),
        cpu_seconds=sum(timing.cpu_seconds for timing in timings),
    )


def _file(artifact: Artifact) -> Path:
    return environment.TIMINGS / artifact.kind / f"{artifact.sha256}.json"
