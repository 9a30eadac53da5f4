"""Find an archive on this machine, or download it: resumed where it was cut, one mirror after the other."""

from __future__ import annotations

import errno
import fcntl
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import requests
from tqdm import tqdm

from attrec.errors import DatasetUnavailable, ServiceError
from attrec.files import StrPath

DATA_DIR_VARIABLE = "ATTREC_DATA_DIR"
_CHUNK_BYTES = 1 << 16  # the most that a cut connection loses


class _AttemptFailedError(Exception):
    """Why one address did not give the file."""


def locate(
    file_name: str, data_dir: StrPath | None = None, download_dir: StrPath | None = None
) -> Path | None:
    """Where the file lies already: ``data_dir`` (or $ATTREC_DATA_DIR), then ``download_dir``; else None."""
    if data_dir is None and os.environ.get(DATA_DIR_VARIABLE):
        data_dir = os.environ[DATA_DIR_VARIABLE]
    for folder in (data_dir, download_dir):
        if folder is not None and (file := Path(folder) / file_name).is_file():
            return file
    return None


def fetch(
    file_name: str,
    urls: Sequence[str],
    download_dir: Path,
    *,
    progress: bool = True,
    timeout: tuple[float, float] = (10.0, 60.0),
) -> Path:
    """Download a zip archive into ``download_dir`` and return its path.

    Addresses are tried in order, once each; retrying is the caller's business. Bytes are kept in
    ``<file_name>.part`` and the next attempt, here or in a later call, asks for the rest of it. The file gets
    its name only when it is a whole zip.

    Args:
        timeout: seconds to connect, and seconds to wait for the next bytes.

    Raises:
        DatasetUnavailable: no address gave the file; the sentence says what each one answered.
        ServiceError: the disk is full or ``download_dir`` cannot be written.
    """
    target = download_dir / file_name
    part = download_dir / f"{file_name}.part"
    failures: list[str] = []
    try:
        download_dir.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as handle:
            _lock(handle, file_name)
            for url in urls:
                try:
                    _obtain(url, part, handle, progress, timeout)
                except _AttemptFailedError as failure:
                    failures.append(f"{url}: {failure}")
                    continue
                part.replace(target)
                return target
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
            raise ServiceError(
                f"The disk is full: {file_name} does not fit into {download_dir}; free some space and"
                " run again."
            ) from error
        raise ServiceError(f"{download_dir} cannot be written: {error.strerror or error}.") from error
    if part.exists() and part.stat().st_size == 0:
        part.unlink()
    raise DatasetUnavailable(
        f"{file_name} could not be downloaded ({'; '.join(failures) or 'no address is known'});"
        f" put the file into a folder and name that folder in {DATA_DIR_VARIABLE}."
    )


def _lock(handle: IO[bytes], file_name: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DatasetUnavailable(
            f"{file_name} is being downloaded by another process; wait for it and run again."
        ) from error


def _obtain(url: str, part: Path, handle: IO[bytes], progress: bool, timeout: tuple[float, float]) -> None:
    """Download the rest of ``url``; an unsound whole may be the old part's fault: start anew once."""
    resumed = handle.seek(0, os.SEEK_END) > 0
    _download(url, handle, progress, timeout)
    try:
        _check_whole(part, handle)
    except _AttemptFailedError:
        if not resumed:
            raise
        _download(url, handle, progress, timeout)
        _check_whole(part, handle)


def _download(url: str, handle: IO[bytes], progress: bool, timeout: tuple[float, float]) -> None:
    """Append what ``handle`` still lacks of ``url``."""
    have = handle.seek(0, os.SEEK_END)
    # Without "identity" a server may compress on the way, and offsets would count other bytes than ours.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                # The part is complete already, or is not this file: the check of the whole decides.
                return
            if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
                raise _AttemptFailedError(f"answered {response.status_code} {response.reason}".rstrip())
            resumed = response.status_code == requests.codes.partial_content
            if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise _AttemptFailedError("answered with another range than the one asked for")
            if not resumed:
                handle.truncate(0)
                have = handle.seek(0)
            length = response.headers.get("Content-Length")
            total = have + int(length) if length and length.isdigit() else None
            _append(response, handle, have, total, progress)
    except requests.exceptions.RequestException as error:
        raise _AttemptFailedError(_reason(error)) from error


def _append(
    response: requests.Response, handle: IO[bytes], have: int, total: int | None, progress: bool
) -> None:
    name = response.url.rsplit("/", 1)[-1]
    bar = tqdm(initial=have, total=total, unit="B", unit_scale=True, desc=name, disable=not progress)
    with bar:
        try:
            for chunk in response.iter_content(_CHUNK_BYTES):
                handle.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
        finally:
            handle.flush()
    if total is not None and have != total:
        raise _AttemptFailedError(f"ended after {have:,} of {total:,} bytes")


def _check_whole(part: Path, handle: IO[bytes]) -> None:
    """A part that is no sound zip is thrown away, so that the next attempt starts from nothing."""
    try:
        with zipfile.ZipFile(part) as archive:
            damaged = archive.testzip()
    except Exception as error:  # zipfile raises many kinds on hostile input
        handle.truncate(0)
        raise _AttemptFailedError("what it sent is not a complete zip archive") from error
    if damaged is not None:
        handle.truncate(0)
        raise _AttemptFailedError(f"member {damaged} of what it sent is damaged")


def _reason(error: requests.exceptions.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate was refused"
    if isinstance(error, requests.exceptions.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "could not be reached"
    return f"failed ({type(error).__name__})"
