"""`attrec push` and `attrec pull`: whatever a remote has against it is one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.engine import environment
from tasks.engine.dvc import run_dvc
from tests.cli.conftest import Ended
from tests.servers import Remote, free_port


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attrec: Callable[..., Ended]) -> Path:
    """A repository of DVC that has something to push."""
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    monkeypatch.setattr(environment, "ROOT", folder)
    monkeypatch.chdir(folder)
    assert run_dvc("init", "--quiet") == 0
    (folder / "kept").mkdir()
    for name in "ab":
        (folder / "kept" / name).write_bytes(os.urandom(300_000))
    assert run_dvc("add", "--quiet", "kept") == 0
    return folder


def name_remote(url: str, **options: str) -> None:
    name = url.partition(":")[0].replace("/", "")
    assert run_dvc("remote", "add", "--quiet", "--default", name, url) == 0
    for option, value in options.items():
        assert run_dvc("remote", "modify", "--local", name, option, value) == 0


def test_no_remote_and_an_unknown_one(repository, attrec):
    assert attrec("push").sentence.startswith("No DVC remote is named: `dvc remote add --default NAME URL`")
    assert "remote 'mine' doesn't exist" in attrec("pull", "--remote", "mine").sentence


def test_a_folder_that_is_no_repository(tmp_path, monkeypatch, attrec):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert "is no DVC repository" in attrec("push").sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    "url", ["ssh://127.0.0.1:{port}/store", "webdav://127.0.0.1:{port}/store", "s3://attrec/store"]
)
def test_nobody_listens(repository, attrec, url):
    port = free_port()
    own = {"endpointurl": f"http://127.0.0.1:{port}", "access_key_id": "a", "secret_access_key": "b"}
    name_remote(url.format(port=port), **(own if url.startswith("s3") else {}))
    said = attrec("push").sentence
    assert said.startswith("The remote cannot be used (")
    assert any(word in said for word in ("Connect call failed", "Connection refused", "Could not connect"))


def test_a_plugin_that_is_not_installed(repository, attrec):
    name_remote("gs://attrec/store")
    said = attrec("push").sentence
    assert "'dvc-gs'" in said
    assert "pip install 'attrec[servers]'" in said


@pytest.mark.slow
def test_a_remote_that_refuses(
    repository, attrec, ssh_remote: Remote, webdav_remote: Remote, s3_remote: Remote
):
    name_remote(webdav_remote.url, **{**webdav_remote.options, "password": "wrong"})
    assert "401" in attrec("push").sentence
    key = repository / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    name_remote(ssh_remote.url, **{**ssh_remote.options, "keyfile": str(key)})
    assert "Permission denied" in attrec("push").sentence
    name_remote("s3://of-nobody/store", **s3_remote.options)
    assert "bucket" in attrec("push").sentence.lower()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 200 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can make a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_remote(repository, attrec, small_disk):
    name_remote(str(small_disk))
    assert "No space left on device" in attrec("push").sentence


def test_what_is_not_there_and_what_was_changed_here(repository, attrec, tmp_path):
    name_remote(str(tmp_path / "store"))
    shutil.rmtree(repository / ".dvc" / "cache")
    shutil.rmtree(repository / "kept")
    assert "Neither this clone nor its remote has what dvc.lock names (kept)" in attrec("push").sentence
    assert "lacks what dvc.lock names (kept): run `attrec push`" in attrec("pull").sentence
    (repository / "kept").mkdir()
    (repository / "kept" / "a").write_text("a")
    assert run_dvc("add", "--quiet", "kept") == 0
    assert "2 files sent" in attrec("push").out
    assert "has everything" in attrec("push").out
    (repository / "kept" / "a").write_text("b")
    assert "--force" in attrec("pull").sentence
    printed = attrec("pull", "--force")
    assert printed.code == 0
    assert "names no model yet" in printed.out
    assert (repository / "kept" / "a").read_text() == "a"


def test_traceback_for_whoever_debugs(repository, project):
    words = [sys.executable, "-m", "cli.app", "--debug", "push"]
    surroundings = {**os.environ, "ATTREC_ROOT": str(repository)}
    done = subprocess.run(words, cwd=project, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 1
    assert "NoRemoteError" in done.stderr
