"""How a run names the process that carries it, so that a later one can tell whether it was killed."""

from __future__ import annotations

import psutil

PROCESS_TAG = "process:"


def process_tag(process: psutil.Process | None = None) -> str:
    """Tag that names a process, this one by default, even when its process id is used again later."""
    process = process or psutil.Process()
    return f"{PROCESS_TAG}{process.pid}@{process.create_time()}"


def process_id(tag: str) -> int:
    """The process id in a tag."""
    return int(tag.removeprefix(PROCESS_TAG).split("@")[0])


def is_alive(tag: str) -> bool:
    """Whether the process that `process_tag` named still runs."""
    started = tag.split("@")[1]
    try:
        process = psutil.Process(process_id(tag))
        return process.create_time() == float(started) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
