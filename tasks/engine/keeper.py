"""What this project starts beside itself ends with it, with all that it has started in turn, also on SIGKILL.

Each command has a keeper, a process of its own that watches who wanted the command: one process, or as many as stand in
a file of owners, which others may join while one of them lives.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from attrec.files import remove, write_text
from tasks.engine import environment
from tasks.engine.processes import PROCESS_TAG, is_alive, process_id, process_tag

POLL_SECONDS = 0.5
GRACE_SECONDS = 10.0
# Of Linux's prctl.h: who is orphaned below this process becomes its child, where it can be found.
PR_SET_CHILD_SUBREAPER = 36


def start(
    words: Sequence[str], owner: psutil.Process | Path | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a command in the project's folder, under a keeper.

    Args:
        owner: With whom it ends; this process by default. Or a file of owners that `found` has begun.
        options: Further options of `subprocess.Popen`.

    Returns:
        The keeper. SIGTERM to it ends the command; its exit code is the command's.
    """
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tasks.engine.keeper"),
            str(owner) if isinstance(owner, Path) else process_tag(owner),
            *words,
        ],
        stdin=subprocess.DEVNULL,
        # A session of its own keeps Ctrl-C from the command: who wanted it decides when it ends.
        start_new_session=True,
        cwd=Path(__file__).resolve().parents[2],
        **options,
    )


def found(owners: Path, first: psutil.Process) -> None:
    """Begin a file of owners."""
    write_text(owners, f"{process_tag(first)}\n")


def join(owners: Path, process: psutil.Process) -> bool:
    """Add a process to those that want a command; False if that is about to end."""
    with _lock(owners):
        if not owners.exists():
            return False
        there = _listed(owners)
        if process_tag(process) not in there:
            write_text(owners, "".join(f"{tag}\n" for tag in (*there, process_tag(process))))
        return True


def end(kept_by: str) -> None:
    """Tell a keeper, by its tag, to end its command."""
    if is_alive(kept_by):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(process_id(kept_by)).terminate()


def is_wanted(owner: str) -> bool:
    """Whether an owner lives: the process of a tag, or one of a file, which is gone when nobody is left."""
    if owner.startswith(PROCESS_TAG):
        return is_alive(owner)
    owners = Path(owner)
    if _one_lives(owners):
        return True
    if not owners.exists():
        # With all its folder, perhaps, as that of an experiment; a lock would make it anew.
        return False
    with _lock(owners):
        # One may have joined in between; who comes later sees that there is nothing to join.
        wanted = _one_lives(owners)
        if not wanted:
            remove(owners)
        return wanted


def _one_lives(owners: Path) -> bool:
    return any(map(is_alive, _listed(owners)))


def _listed(owners: Path) -> list[str]:
    """The tags in a file of owners; none if it is not what was written there."""
    with suppress(OSError, ValueError):
        if owners.is_file():
            return owners.read_text().splitlines()
    return []


def _lock(owners: Path) -> FileLock:
    return FileLock(owners.with_name("owners.lock"))


def keep(owner: str, words: Sequence[str]) -> int:
    """Run a command until it ends or nobody wants it, or this process is told to; return its exit code.

    Args:
        owner: Tag of the process that wants it, or the path of a file of owners.
    """
    told = threading.Event()
    # What a script starts with `&` ignores SIGINT, and so would the command.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: told.set())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    # MLflow starts `uvicorn` by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    command = subprocess.Popen(words, cwd=environment.ROOT, env={**os.environ, "PATH": path})
    try:
        while command.poll() is None and is_wanted(owner) and not told.is_set():
            told.wait(POLL_SECONDS)
    finally:
        _end_children()
    return command.wait()


def _end_children() -> None:
    """End all processes below this one, the ones that it has started first."""
    below = psutil.Process()
    for attempt in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        # SIGINT goes to the command alone, which then ends what it has started itself.
        for each in below.children(recursive=attempt != signal.SIGINT):
            with suppress(psutil.NoSuchProcess):
                each.send_signal(attempt)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(map(_runs, below.children(recursive=True))) and time.monotonic() < deadline:
            time.sleep(0.1)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1], sys.argv[2:]))
