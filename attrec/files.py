"""Files written whole or not at all: who is killed while writing leaves what was there before."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
        temporary.replace(path)
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
