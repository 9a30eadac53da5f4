"""How a process ends when the user can mend what is wrong: one sentence, and an exit code that says so."""

from __future__ import annotations

import re
import sys

from attrec.errors import AttrecError
from tasks.engine import environment

EXIT_BAD_INPUT = 2


def without_secrets(text: str) -> str:
    """A text with the user and password of each address in it left out."""
    return re.sub(r"(?<=://)[^/\s]*@|(?<=password=)[^&\s]*", "", text)


def tell_fault(error: AttrecError) -> None:
    """Print it, and leave the file by which it is known, under DVC, that the input was at fault."""
    print(f"Error: {error}", file=sys.stderr, flush=True)
    environment.BAD_INPUT.touch()
