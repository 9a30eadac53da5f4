"""How a process ends when the user can mend what is wrong: one sentence, and an exit code that says so."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrec.addresses import SECRET_OPTION
from attrec.errors import AttrecError, ParamsError, ServiceError
from attrec.files import StrPath
from tasks.engine import environment

EXIT_BAD_INPUT = 2
_FULL, _RIGHTS = "free some space and run again", "see that you may read and write there, and run again"
_ODD = "see what stands there, move it away, and run again"
DISK_FAULTS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _RIGHTS),
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY), _ODD),
    errno.ENAMETOOLONG: "give a shorter path",
    errno.EIO: "see whether the disk is sound",
}
"""What a user can do about faults of the operating system, by number; another one is a defect."""
# Libraries raise errors of their own, and tell of the system's in their text alone.
_TOLD = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

# Torch and XGBoost have no class of their own for it on a processor.
_MEMORY = re.compile(
    r"(?i)out of memory|not enough memory|bad_alloc|(can'?t|cannot|unable to|failed to) allocate"
)

_USER = re.compile(r"(?<=://)(?:[^/\s:@]*:\S*|[^/\s]*)@")
_OPTION = re.compile(rf"(?i)\b({SECRET_OPTION}=)[^&;\s]*")


def without_secrets(text: str) -> str:
    """A text with the user and password of each address in it left out, and options that are named like one."""
    return _OPTION.sub(r"\1", _USER.sub("", text))


def mendable(error: BaseException) -> AttrecError | None:
    """A fault that the user can mend, in one sentence: of the input, or of the disk; None of a defect."""
    return error if isinstance(error, AttrecError) else disk_fault(error)


def disk_fault(error: BaseException, place: StrPath | None = None) -> ServiceError | None:
    """What a full disk, a missing right or an odd file means, in one sentence; None of another error.

    Args:
        place: What could not be used, where the error names no file.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number not in DISK_FAULTS:
        number = next((each for each in _TOLD if os.strerror(each) in str(error)), None)
    if number is None:
        return None
    # Of a renaming the target is what matters.
    names = (getattr(error, "filename2", None), getattr(error, "filename", None), place)
    named = next((_short(os.fspath(name)) for name in names if isinstance(name, str | os.PathLike)), None)
    if DISK_FAULTS[number] == _FULL:
        return ServiceError(f"The disk is full{f' at {named}' if named else ''}: {_FULL}.")
    return ServiceError(f"{named or 'A file'} cannot be used ({os.strerror(number)}): {DISK_FAULTS[number]}.")


@contextmanager
def disk_faults(place: StrPath) -> Iterator[None]:
    """Name the place in faults of the disk that would not say where.

    Raises:
        ServiceError: in their place.
    """
    try:
        yield
    except Exception as error:
        fault = None if isinstance(error, AttrecError) else disk_fault(error, place)
        if fault is None:
            raise
        raise fault from error


@contextmanager
def memory_faults(whose: str) -> Iterator[None]:
    """Say whose memory it was that could not be had.

    Args:
        whose: As a run of a task is called: `sasrec seed 0: fit select`.

    Raises:
        ParamsError: in place of what libraries raise.
    """
    try:
        yield
    except Exception as error:
        # XGBoost's is a ValueError.
        told = isinstance(error, OSError | RuntimeError | ValueError) and _MEMORY.search(str(error))
        if isinstance(error, AttrecError) or not (isinstance(error, MemoryError) or told):
            raise
        raise ParamsError(
            f"{whose}: there is not enough memory: make the model smaller (its dimension, rank, length or batch, say),"
            " or let fewer tasks run at once (runner.workers)."
        ) from error


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def tell_fault(error: AttrecError) -> None:
    """Print it, and leave the file by which it is known, under DVC, that the input was at fault."""
    print(f"Error: {error}", file=sys.stderr, flush=True)
    with suppress(OSError):  # of which the sentence may be
        environment.BAD_INPUT.touch()
