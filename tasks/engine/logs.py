"""What a run says of itself: in its log, where Prefect shows it, and some of it on the terminal too."""

from __future__ import annotations

import logging
import time

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from attrec.shown import one_line

SECONDS_BETWEEN = 5.0


def tell(text: str) -> None:
    """Print a line, and write it into the log of the run under way, if there is one."""
    print(one_line(text), flush=True)
    note(text)


def note(text: str) -> None:
    """Write a line into the log of the run under way, if there is one."""
    logger = _logger()
    if logger is not None:
        logger.info(one_line(text))


class ThrottledNotes:
    """Notes that come fast: one in some seconds, and the last one.

    Args:
        about: What they are about: several trainings write into one log.
    """

    def __init__(self, about: str) -> None:
        self._about = about
        # Of the task that made this: what tells of progress may run in a thread without its context.
        self._logger = _logger()
        self._noted = -SECONDS_BETWEEN
        self._held = ""

    def note(self, text: str) -> None:
        """Write the line, or hold it until the next one or `close`."""
        self._held = one_line(f"{self._about}: {text}")
        if time.monotonic() - self._noted >= SECONDS_BETWEEN:
            self.close()

    def close(self) -> None:
        """Write the line that is held."""
        if self._held and self._logger is not None:
            self._logger.info(self._held)
        self._held, self._noted = "", time.monotonic()


def _logger() -> logging.Logger | logging.LoggerAdapter[logging.Logger] | None:
    try:
        return get_run_logger()
    except MissingContextError:
        return None
