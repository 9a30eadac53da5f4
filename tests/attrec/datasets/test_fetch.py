"""The downloader against a real HTTP server on this machine."""

from __future__ import annotations

import errno
import fcntl
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from attrec.datasets.fetch import fetch, locate
from attrec.errors import DatasetUnavailable, ServiceError


def zip_bytes(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a/data", np.random.default_rng(seed).bytes(400_000))
    return buffer.getvalue()


WHOLE = zip_bytes()
CUT_AT = 150_000


class Handler(BaseHTTPRequestHandler):
    """``/good`` honours ranges, ``/plain`` does not, ``/cut`` breaks off, the rest fails in its own way."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        asked = self.headers.get("Range")
        server.requests.append((self.path, asked))
        kind = self.path.split("/")[1]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if kind == "missing":
            self.send_error(404)
            return
        if kind == "page":
            self._send(200, b"<html>log in first</html>", None)
            return
        if start >= len(WHOLE):
            self.send_error(416)
        elif asked and kind != "plain":
            body = WHOLE[start:]
            self._send(206, body, f"bytes {start}-{len(WHOLE) - 1}/{len(WHOLE)}")
        elif kind == "cut":
            self._send(200, WHOLE, None, cut=CUT_AT)
        else:
            self._send(200, WHOLE, None)

    def _send(self, status: int, body: bytes, content_range: str | None, cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body[:cut])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""


class Server(ThreadingHTTPServer):
    """Remembers (path, Range header) of every request."""

    requests: list[tuple[str, str | None]]

    def url(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{kind}/data.zip"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def download(urls: list[str], folder: Path) -> Path:
    return fetch("data.zip", urls, folder, progress=False, timeout=(5, 5))


def test_downloads_and_leaves_nothing_else(server: Server, tmp_path: Path) -> None:
    path = download([server.url("good")], tmp_path / "cache")
    assert path == tmp_path / "cache" / "data.zip"
    assert path.read_bytes() == WHOLE
    assert [entry.name for entry in path.parent.iterdir()] == ["data.zip"]


def test_resumes_after_a_cut_connection(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable, match="the connection was cut"):
        download([server.url("cut")], tmp_path)
    assert not (tmp_path / "data.zip").exists()
    part = (tmp_path / "data.zip.part").read_bytes()
    assert CUT_AT - 70_000 < len(part) <= CUT_AT
    assert part == WHOLE[: len(part)]

    assert download([server.url("good")], tmp_path).read_bytes() == WHOLE
    assert server.requests[-1][1] == f"bytes={len(part)}-"


def test_mirror_continues_what_the_publisher_began(server: Server, tmp_path: Path) -> None:
    path = download([server.url("cut"), server.url("good")], tmp_path)
    assert path.read_bytes() == WHOLE
    (first, _), (second, asked) = server.requests
    assert (first, second) == ("/cut/data.zip", "/good/data.zip")
    assert asked is not None


def test_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(WHOLE[:1000])
    assert download([server.url("plain")], tmp_path).read_bytes() == WHOLE


def test_part_of_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(zip_bytes(seed=1)[:CUT_AT])
    assert download([server.url("good")], tmp_path).read_bytes() == WHOLE
    assert [asked for _, asked in server.requests] == [f"bytes={CUT_AT}-", None]


def test_complete_part_is_only_renamed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(WHOLE)
    assert download([server.url("good")], tmp_path).read_bytes() == WHOLE


def test_dead_publisher_then_mirror(server: Server, tmp_path: Path) -> None:
    dead = "http://127.0.0.1:9/data.zip"
    assert download([dead, server.url("missing"), server.url("good")], tmp_path).read_bytes() == WHOLE


def test_one_sentence_names_every_attempt(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable) as caught:
        download(["http://127.0.0.1:9/data.zip", server.url("missing"), server.url("page")], tmp_path)
    message = str(caught.value)
    assert "127.0.0.1:9/data.zip: could not be reached" in message
    assert "missing/data.zip: answered 404 Not Found" in message
    assert "page/data.zip: what it sent is not a complete zip archive" in message
    assert "ATTREC_DATA_DIR" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable, match="could not be reached"):
        download(["http://no-such-host.invalid/data.zip"], tmp_path)


def test_full_disk_leaves_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(io.FileIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode: FullDisk(self, mode))
    with pytest.raises(ServiceError, match=r"disk is full: data\.zip"):
        download([server.url("good")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot be written"):
        download(["http://127.0.0.1:9/data.zip"], tmp_path / "file" / "cache")


def test_two_downloads_of_one_file_do_not_mix(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "data.zip.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DatasetUnavailable, match="another process"):
            download([server.url("good")], tmp_path)


def test_locate_prefers_the_local_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, cache = tmp_path / "local", tmp_path / "cache"
    for folder in (local, cache):
        folder.mkdir()
    monkeypatch.delenv("ATTREC_DATA_DIR", raising=False)
    assert locate("data.zip", None, cache) is None
    (cache / "data.zip").write_bytes(WHOLE)
    assert locate("data.zip", local, cache) == cache / "data.zip"
    (local / "data.zip").write_bytes(WHOLE)
    assert locate("data.zip", local, cache) == local / "data.zip"
    monkeypatch.setenv("ATTREC_DATA_DIR", str(local))
    assert locate("data.zip", None, cache) == local / "data.zip"
