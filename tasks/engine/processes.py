"""How a run names the process that carries it, so that a later one can tell whether it was killed."""

from __future__ import annotations

import re

import psutil

PROCESS_TAG = "process:"
_TAG = re.compile(rf"{PROCESS_TAG}([0-9]{{1,9}})@([0-9]{{1,20}}(?:[.][0-9]{{1,20}})?)", re.ASCII)


def process_tag(process: psutil.Process | None = None) -> str:
    """Tag that names a process, this one by default, even when its process id is used again later."""
    process = process or psutil.Process()
    return f"{PROCESS_TAG}{process.pid}@{process.create_time()}"


def process_id(tag: str) -> int:
    """The process id in a tag."""
    return int(tag.removeprefix(PROCESS_TAG).split("@")[0])


def is_alive(tag: str) -> bool:
    """Whether the process that `process_tag` named still runs; what is no tag names none."""
    parts = _TAG.fullmatch(tag)
    if parts is None:
        return False
    try:
        process = psutil.Process(int(parts[1]))
        return process.create_time() == float(parts[2]) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
