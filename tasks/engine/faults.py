"""How a process ends when the user can mend what is wrong: one sentence, and an exit code that says so."""

from __future__ import annotations

import re
import sys

from attrec.addresses import SECRET_OPTION
from attrec.errors import AttrecError
from tasks.engine import environment

EXIT_BAD_INPUT = 2


_USER = re.compile(r"(?<=://)(?:[^/\s:@]*:\S*|[^/\s]*)@")
_OPTION = re.compile(rf"(?i)\b({SECRET_OPTION}=)[^&;\s]*")


def without_secrets(text: str) -> str:
    """A text with the user and password of each address in it left out, and options that are named like one."""
    return _OPTION.sub(r"\1", _USER.sub("", text))


def tell_fault(error: AttrecError) -> None:
    """Print it, and leave the file by which it is known, under DVC, that the input was at fault."""
    print(f"Error: {error}", file=sys.stderr, flush=True)
    environment.BAD_INPUT.touch()
