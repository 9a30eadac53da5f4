"""Every way in which an archive can be unsafe or unsound ends in one clear sentence."""

from __future__ import annotations

import stat
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from attrec.datasets.archive import ArchiveLimits, open_archive
from attrec.errors import ArchiveError, DataError


def make_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def open_only(path: Path, limits: ArchiveLimits | None = None) -> None:
    with open_archive(path, limits):
        pass


def test_reads_a_member(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a/x.txt": b"one\n", "a/y.txt": b"two\n"})
    with open_archive(path) as archive:
        assert archive.members == ("a/x.txt", "a/y.txt")
        assert archive.read("a/y.txt") == b"two\n"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_digest_ignores_the_kind_of_line_end(tmp_path: Path, line_end: bytes) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": b"one" + line_end + b"two" + line_end})
    with open_archive(path) as archive:
        assert archive.read("x", sha256(b"one\ntwo\n").hexdigest()).startswith(b"one")


def test_altered_member_is_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"folder/u.data": b"1\t2\t3\t4\n"})
    with (
        open_archive(path) as archive,
        pytest.raises(ArchiveError, match=r"folder/u\.data .*sha256 differs"),
    ):
        archive.read("folder/u.data", sha256(b"1\t2\t5\t4\n").hexdigest())


def test_missing_member_is_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": b""})
    with open_archive(path) as archive, pytest.raises(ArchiveError, match="no member y"):
        archive.read("y")


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/passwd", "C:/evil", "..\\evil", "C:\\evil", "a\\..\\..\\evil"]
)
def test_path_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": b"fine", name: b"evil"})
    with pytest.raises(ArchiveError, match="unsafe path"):
        open_only(path)


def test_symbolic_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveError, match="symbolic link"):
        open_only(tmp_path / "a.zip")


def test_absurd_expansion_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"bomb": bytes(5_000_000)})
    assert path.stat().st_size < 10_000
    with pytest.raises(ArchiveError, match=r"bomb .* would expand [\d,]+ times"):
        open_only(path)


def test_total_size_is_limited(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": b"abc" * 10, "y": b"abc" * 10})
    open_only(path, ArchiveLimits(total_bytes=60))
    with pytest.raises(ArchiveError, match="would expand to 60 bytes"):
        open_only(path, ArchiveLimits(total_bytes=59))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "one")
        archive.writestr("x", "two")
    with pytest.raises(ArchiveError, match="twice"):
        open_only(tmp_path / "a.zip")


def test_truncated_archive(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": bytes(range(256)) * 40})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ArchiveError, match="not a complete zip"):
        open_only(path)


def test_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<html>404</html>")
    with pytest.raises(ArchiveError, match="not a complete zip"):
        open_only(tmp_path / "a.zip")


def test_damaged_member_fails_its_checksum(tmp_path: Path) -> None:
    content = b"0123456789" * 20
    path = make_zip(tmp_path / "a.zip", {"x": content}, zipfile.ZIP_STORED)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(content, b"X" + content[1:], 1))
    with open_archive(path) as archive, pytest.raises(ArchiveError, match=r"Member x .* cannot be read"):
        archive.read("x")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        open_only(tmp_path / "none.zip")
