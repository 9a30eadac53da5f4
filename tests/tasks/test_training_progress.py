"""A training that was killed goes on from its checkpoint, and the time up to there counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import environment
from tasks.timings import Timing, timed
from tasks.training_progress import resumable_training


class Killed(Exception):
    pass


class Clock:
    """Stands still but for `work`; half of the time the processor is at it."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.now / 2

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "CHECKPOINTS", tmp_path)
    return tmp_path


@pytest.fixture
def clock(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tasks.timings.time", clock)
    return clock


def train(clock: Clock, *, dies: bool, identity: int = 0) -> None:
    """An epoch of 8 seconds with a checkpoint, unless there is one, and another of 4 that may end in death."""
    clock.work(1)
    with resumable_training("some task", 2, "tasks.fit_ars", identity) as (checkpoint, show):
        if not checkpoint.exists():
            clock.work(8)
            checkpoint.write_text("after one epoch")
            show(1, 0.5, None)
        clock.work(4)
        if dies:
            raise Killed
        show(2, 0.4, 0.6)


@pytest.mark.parametrize("deaths", [0, 1, 2])
def test_time_up_to_the_checkpoint_counts_and_nothing_is_left(checkpoints, clock, deaths):
    for _ in range(deaths):
        with pytest.raises(Killed), timed():
            train(clock, dies=True)
        assert len(list(checkpoints.glob("*.safetensors"))) == 1
    with timed() as timing:
        train(clock, dies=False)
    # What follows the checkpoint is done again, and counts once.
    assert timing == Timing(seconds=13, cpu_seconds=6.5)
    assert not list(checkpoints.iterdir())


def test_killed_while_its_time_is_written_it_can_be_resumed(checkpoints, clock, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed), timed():
            train(clock, dies=False)
    assert len(list(checkpoints.glob("*.safetensors"))) == 1
    with timed() as timing:
        train(clock, dies=False)
    assert timing == Timing(seconds=5, cpu_seconds=2.5)


def test_another_training_counts_nothing_of_it(checkpoints, clock):
    with pytest.raises(Killed), timed():
        train(clock, dies=True)
    with timed() as timing:
        train(clock, dies=False, identity=1)
    assert timing == Timing(seconds=13, cpu_seconds=6.5)
    assert len(list(checkpoints.glob("*.safetensors"))) == 1


def test_nobody_need_measure(checkpoints, clock):
    with pytest.raises(Killed):
        train(clock, dies=True)
    train(clock, dies=False)
    assert not list(checkpoints.iterdir())
