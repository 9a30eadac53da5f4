"""Which runs of MLflow and Prefect this checkout has under way, so that those of killed processes can be closed.

A server may be shared with other machines, whose processes cannot be seen from here: only what was noted is closed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel

from tasks.engine import environment
from tasks.engine.processes import PROCESS_TAG, is_alive, process_tag
from tasks.engine.state import read_state, write_state


class _Carrier(RootModel[Annotated[str, Field(pattern=f"^{PROCESS_TAG}")]]):
    """Tag of the process that carries a run."""


@contextmanager
def under_way(server: str, run_id: str) -> Iterator[None]:
    """Note that this process carries a run, until the block ends well.

    One that raises leaves the note: the server may have been away and not know that the run has ended.

    Args:
        server: Address of what keeps the run.
    """
    note = _folder(server) / run_id
    write_state(note, _Carrier(process_tag()))
    yield
    note.unlink(missing_ok=True)


def left_behind(server: str) -> Iterator[str]:
    """Ids of the runs whose process is gone; each is forgotten when the next one is asked for, or at the end."""
    for note in sorted(_folder(server).glob("[!.]*")):
        carrier = read_state(note, _Carrier)
        if carrier is not None and not is_alive(carrier.root):
            yield note.name
            note.unlink(missing_ok=True)


def _folder(server: str) -> Path:
    return environment.STATE / "running" / hashlib.sha256(server.encode()).hexdigest()[:16]
