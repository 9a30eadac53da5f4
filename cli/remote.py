"""`attrec push` and `attrec pull`: what a rebuild left, to the team's DVC remote and from there."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from attrec.errors import AttrecError, ServiceError
from cli.tables import say
from tasks.engine import environment

if TYPE_CHECKING:
    from dvc.repo import Repo

T = TypeVar("T")

RemoteOption = Annotated[
    str | None, typer.Option("--remote", "-r", help="A name of `dvc remote list`; left out: the default one.")
]
PLUGINS = ("dvc-s3", "dvc-ssh", "dvc-webdav")
"""Those that the lock file has."""
ASKED = {
    "rating": "attrec predict --user … --item …, attrec recommend --user …",
    "sequence": "attrec recommend --titles …",
    "playlist": "attrec recommend --playlist …",
}
"""By family, how its models are asked."""


def push(remote: RemoteOption = None) -> None:
    """Send the data, figures and models that dvc.lock names to the DVC remote.

    Commit dvc.lock and push with Git too: a clone then has them by `attrec pull`.

    Example: `attrec push`
    """
    sent = _with_remote(remote, lambda repo: _send(repo, remote))
    say(f"{sent} files sent." if sent else "The remote has everything already.")


def pull(
    remote: RemoteOption = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace what was changed here since it was rebuilt.")
    ] = False,
) -> None:
    """Fetch the data, figures and models that dvc.lock names, and say what can be asked then.

    Example: `attrec pull`
    """
    from tasks.comparison.left import kept_models

    fetched = _with_remote(remote, lambda repo: repo.pull(remote=remote, force=force)["stats"]["fetched"])
    say(f"{fetched} files fetched." if fetched else "Everything was here already.")
    kept = {family: sorted(file.name for file in kept_models(family).glob("*")) for family in ASKED}
    if not any(kept.values()):
        say("dvc.lock names no model yet: run `attrec reproduce`.")
        return
    say("This clone answers now:")
    for family, names in kept.items():
        if names:
            say(f"  {ASKED[family]}  ({family}: {', '.join(names)})")
    say(f"Report: {environment.ROOT / 'reports' / 'index.html'}")


def _send(repo: Repo, remote: str | None) -> int:
    """Push, and return how many files were sent.

    Raises:
        ServiceError: something is neither here nor there, which to DVC is no fault.
    """
    not_here = [out for out in repo.index.outs if out.use_cache and out.hash_info and out.changed_cache()]
    if not_here:
        there = repo.cloud.get_remote_odb(remote)
        lost = [str(out) for out in not_here if not there.exists(out.hash_info.value)]
        if lost:
            raise ServiceError(
                f"Neither this clone nor its remote has what dvc.lock names ({_first_of(lost)}): run"
                " `attrec reproduce` first."
            )
    sent: int = repo.push(remote=remote)
    return sent


def _with_remote(remote: str | None, work: Callable[[Repo], T]) -> T:
    """Do something with this checkout and its remote.

    Raises:
        ServiceError: it does not work, whatever library has found that.
    """
    from dvc.config import NoRemoteError
    from dvc.exceptions import CheckoutError, DvcException, FileTransferError, NotDvcRepoError
    from dvc.fs import RemoteMissingDepsError
    from dvc.repo import Repo

    try:
        with _quiet() as faults, Repo(str(environment.ROOT)) as repo:
            return work(repo)
    except AttrecError:
        raise
    except NotDvcRepoError as error:
        raise ServiceError(
            f"{environment.ROOT} is no DVC repository: run in a clone of the project."
        ) from error
    except NoRemoteError as error:
        raise ServiceError(
            "No DVC remote is named: `dvc remote add --default NAME URL` names one (docs/dvc.md)."
        ) from error
    except CheckoutError as error:
        missing = _first_of([str(target) for target in error.target_infos])
        raise ServiceError(
            f"{_named(remote)} lacks what dvc.lock names ({missing}): run `attrec push` where it was rebuilt."
        ) from error
    except (ImportError, RemoteMissingDepsError) as error:
        raise ServiceError(
            f"{_named(remote)} needs what is not installed ({_said(error)}); `make env`, or pip install"
            f" 'attrec[servers]', brings {', '.join(PLUGINS)}."
        ) from error
    except Exception as error:
        if isinstance(error, DvcException) and not isinstance(error, FileTransferError):
            raise ServiceError(f"DVC stops: {_said(error)}.") from error
        # A library for each kind of remote, each with exceptions of its own.
        reason = _said(faults[0] if faults else error)
        raise ServiceError(f"{_named(remote)} cannot be used ({reason}): see docs/dvc.md.") from error


class _Faults(logging.Handler):
    """Keeps what went wrong with single files: DVC's own exception counts them only."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.found.append(record.exc_info[1])


@contextmanager
def _quiet() -> Iterator[list[BaseException]]:
    """Keep DVC's account of single files off the terminal; the faults are in the list."""
    # At the end, of connections that were never made.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    faults, loggers = _Faults(), [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [faults], False
    try:
        yield faults.found
    finally:
        for logger, settings in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = settings


def _named(remote: str | None) -> str:
    return f"The remote {remote}" if remote else "The remote"


def _first_of(paths: Sequence[str]) -> str:
    first, *more = sorted(paths)
    return f"{first} and {len(more)} more" if more else first


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removesuffix(".")
