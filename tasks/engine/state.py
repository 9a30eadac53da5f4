"""The small files of the state: what is not what was written there is taken for none, and swept."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from attrec.files import remove, write_private

S = TypeVar("S", bound=BaseModel)
_log = logging.getLogger(__name__)


def read_state(file: Path, form: type[S]) -> S | None:
    """What `write_state` has put into a file; None if there is nothing, or something else: that is removed."""
    if not os.path.lexists(file):
        return None
    with suppress(OSError, ValidationError):
        # Who opens a pipe waits for one that writes into it.
        if file.is_file():
            found = form.model_validate_json(file.read_bytes())
            # A field that is missing would be of some default value, which nobody has written.
            if found.model_fields_set == set(form.model_fields):
                return found
    _log.warning("%s is not what was written there, and is taken for none.", file)
    remove(file)
    return None


def write_state(file: Path, content: BaseModel) -> None:
    """Write a file of the state, which its user alone may read, whatever stands in its place."""
    if file.is_dir():
        remove(file)
    write_private(file, content.model_dump_json() + "\n")
