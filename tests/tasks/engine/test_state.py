"""A file of the state that is not what was written there is taken for none, whoever reads it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tasks.engine import environment, keeper, server, timings
from tasks.engine.artifacts import Artifact
from tasks.engine.processes import process_tag
from tasks.engine.progress import resumable_training
from tasks.engine.running import left_behind, under_way
from tasks.engine.state import read_state
from tasks.engine.timings import Timing, timed

# What opens a pipe that stands there does not come back.
pytestmark = pytest.mark.timeout(120)
TIMING = Timing(seconds=3.0, cpu_seconds=2.0, peak_megabytes=1.0)
ODD: dict[str, Callable[[Path], object]] = {
    **{
        name: lambda file, content=content: file.write_bytes(content)
        for name, content in {
            "empty": b"",
            "null": b"null",
            "list": b"[]",
            "map": b"{}",
            "number": b"7",
            "text": b'"a"',
            "half": b'{"seconds": 3.0, "cpu_',
            "zeros": bytes(64),
            "bytes": bytes(range(256)),
            "deep": b"[" * 99_999,
        }.items()
    },
    "folder": lambda file: (file / "inside").mkdir(parents=True),
    "link to nowhere": lambda file: file.symlink_to("nowhere"),
    "loop": lambda file: file.symlink_to(file.name),
    "pipe": os.mkfifo,
}


@pytest.fixture(params=ODD)
def spoil(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Put something else in the place of a file."""

    def spoiled(file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        ODD[request.param](file)

    return spoiled


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "STATE", tmp_path)
    monkeypatch.setattr(environment, "TIMINGS", tmp_path / "timings")
    monkeypatch.setattr(environment, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return tmp_path


def test_time_of_an_artifact(state, spoil) -> None:
    artifact = Artifact(kind="trial", sha256="0" * 64)
    spoil(state / "timings" / "trial" / f"{artifact.sha256}.json")
    assert timings.total([artifact]) is None
    timings.remember(artifact, TIMING)
    assert timings.total([artifact]) == TIMING


def test_time_is_written_over_what_stands_there(state, spoil) -> None:
    artifact = Artifact(kind="trial", sha256="0" * 64)
    spoil(state / "timings" / "trial" / f"{artifact.sha256}.json")
    timings.remember(artifact, TIMING)
    assert timings.total([artifact]) == TIMING


def test_time_of_a_killed_training(state, spoil) -> None:
    def train(dies: bool) -> None:
        with timed(), resumable_training("some task", 1, "tasks.fit_ars") as (checkpoint, show):
            checkpoint.write_text("after one epoch")
            show(1, 0.5, None)
            if dies:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dies=True)
    [taken] = (state / "checkpoints").glob("*.json")
    spoil(taken)
    train(dies=False)
    assert not list((state / "checkpoints").iterdir())


@pytest.mark.parametrize("odd", ["folder", "pipe"])
def test_what_is_no_file_in_the_place_of_a_checkpoint(state, odd) -> None:
    with resumable_training("some task", 1, "tasks.fit_ars") as (checkpoint, _):
        pass
    ODD[odd](checkpoint)
    with resumable_training("some task", 1, "tasks.fit_ars") as (checkpoint, _):
        assert not os.path.lexists(checkpoint)


def test_record_of_the_server(state, spoil) -> None:
    record = state / "prefect" / "server.json"
    spoil(record)
    assert server._recorded(record) is None


def test_note_of_a_run(state, spoil) -> None:
    with under_way("http://h/api", "a-run"):
        [note] = (state / "running").glob("*/*")
        spoil(note)
        assert list(left_behind("http://h/api")) == []
        assert not os.path.lexists(note)
    with under_way("http://h/api", "a-run"):
        assert list(left_behind("http://h/api")) == []
    (note.parent / f".{note.name}.1-2.tmp").touch()  # another one that is being written
    note.write_text('"process:1@0.0"')
    assert list(left_behind("http://h/api")) == ["a-run"]


def test_owners_of_a_server(state, spoil) -> None:
    owners = state / "4200.owners"
    spoil(owners)
    assert not keeper.is_wanted(str(owners))
    keeper.found(owners, psutil.Process())
    assert keeper.is_wanted(str(owners))
    assert owners.read_text() == f"{process_tag()}\n"


def test_what_is_swept_is_told(state, caplog) -> None:
    file = state / "a.json"
    assert read_state(file, Timing) is None
    assert not caplog.records
    file.write_text("null")
    caplog.set_level(logging.WARNING)
    assert read_state(file, Timing) is None
    assert f"{file} is not what was written there" in caplog.text
