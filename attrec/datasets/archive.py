"""Zip archives read member by member, with every check that a file from elsewhere needs.

Members are read straight from the archive; nothing is unpacked to disk.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from attrec.errors import ArchiveError, DataError


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may expand to before it is refused."""

    total_bytes: int = 8 * 1024**3
    ratio: float = 200.0
    """Uncompressed over compressed size of one member; text compresses about 5 times, at most."""
    ratio_free_bytes: int = 1024**2
    """A member smaller than this is harmless at any ratio."""


class Archive:
    """An open zip whose table of contents has passed every check."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path = path
        self._file = file
        self.members = tuple(info.filename for info in file.infolist() if not info.is_dir())

    def read(self, member: str, sha256: str | None = None) -> bytes:
        """The bytes of ``member``; with ``sha256`` its text must have that digest.

        The digest is taken over the text with line ends normalised to LF, because re-packed copies differ
        there.

        Raises:
            ArchiveError: the member is missing, damaged or altered.
        """
        if member not in self.members:
            raise ArchiveError(
                f"{self.path} has no member {member}; get the archive anew from its publisher."
            )
        try:
            content = self._file.read(member)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
        ) as error:
            raise ArchiveError(
                f"Member {member} of {self.path} cannot be read ({error}); get the archive anew."
            ) from error
        if sha256 is not None and text_sha256(content) != sha256:
            raise ArchiveError(
                f"Member {member} of {self.path} is not what its publisher released (sha256 differs);"
                " replace the archive with the original."
            )
        return content


def text_sha256(content: bytes) -> str:
    """SHA-256 of ``content`` with CRLF line ends turned into LF."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


@contextmanager
def open_archive(path: Path, limits: ArchiveLimits | None = None) -> Iterator[Archive]:
    """Open a zip after checking its table of contents.

    Raises:
        ArchiveError: not a zip, truncated, or with a member that points outside, is a link, is encrypted or
            expands absurdly.
        DataError: the file cannot be read at all.
    """
    limits = limits or ArchiveLimits()
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ArchiveError(
            f"{path} is not a complete zip archive ({error}); delete it and get it anew."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    with file:
        _check_contents(path, file.infolist(), limits)
        yield Archive(path, file)


def _check_contents(path: Path, infos: list[zipfile.ZipInfo], limits: ArchiveLimits) -> None:
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        # orig_filename, too: zipfile cuts names at a NUL and turns backslashes on Windows only.
        for spelling in (name, info.orig_filename):
            pure = PurePosixPath(spelling.replace("\\", "/"))
            has_drive = bool(pure.parts) and pure.parts[0][1:2] == ":"
            if pure.is_absolute() or ".." in pure.parts or has_drive or "\0" in spelling:
                raise ArchiveError(
                    f"{path} holds a member with an unsafe path ({spelling!r}); do not use it."
                )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ArchiveError(f"{path} holds a symbolic link ({name!r}); do not use it.")
        if info.flag_bits & 0x1:
            raise ArchiveError(f"Member {name} of {path} is encrypted; get the archive from its publisher.")
        if name in seen:
            raise ArchiveError(f"{path} holds the member {name} twice; get the archive from its publisher.")
        seen.add(name)
        if info.file_size > max(limits.ratio_free_bytes, limits.ratio * info.compress_size):
            ratio = info.file_size / max(info.compress_size, 1)
            raise ArchiveError(
                f"Member {name} of {path} would expand {ratio:,.0f} times (the limit is {limits.ratio:,.0f});"
                " do not use it."
            )
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        raise ArchiveError(
            f"{path} would expand to {total:,} bytes (the limit is {limits.total_bytes:,}); do not use it."
        )
