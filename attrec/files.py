"""Files written whole or not at all: who is killed while writing, or loses power, leaves what was there before."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

StrPath = str | os.PathLike[str]
"""A path, as text or not."""


@contextmanager
def whole(path: StrPath) -> Iterator[Path]:
    """A path beside `path` to write to; what stands there when the block ends well takes the place of `path`.

    Folders that are missing are made. Two threads or processes that write the same file do not meet.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: StrPath, text: str) -> None:
    """Write a text file in UTF-8."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_private(path: StrPath, text: str) -> None:
    """Write a text file in UTF-8 that its user alone may read."""
    with whole(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")


def flush(path: StrPath) -> None:
    """Have the disk keep a file, or a folder with all that is in it: a name must not outlive its contents."""
    path = Path(path)
    if not path.is_dir():
        _flush(path, os.O_RDONLY)
        return
    for inner in path.rglob("*"):
        if inner.is_dir():
            flush_folder(inner)
        elif inner.is_file():
            _flush(inner, os.O_RDONLY)
    flush_folder(path)


def flush_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder, where its file system can be asked for that."""
    with suppress(OSError):
        _flush(folder, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; nothing need be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
