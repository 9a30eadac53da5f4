"""A training that was killed goes on from its checkpoint, and the time up to there counts."""

from __future__ import annotations

import io
import itertools
import sys
import time
from pathlib import Path

import pytest

from tasks.engine import environment
from tasks.engine import progress as training_progress
from tasks.engine.progress import resumable_training
from tasks.engine.timings import timed


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
    monkeypatch.setattr("tasks.engine.timings.time", clock)
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
    assert (timing.seconds, timing.cpu_seconds) == (13, 6.5)
    assert not list(checkpoints.iterdir())


def test_killed_while_its_time_is_written_it_can_be_resumed(checkpoints, clock, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed), timed():
            train(clock, dies=False)
    assert len(list(checkpoints.glob("*.safetensors"))) == 1
    with timed() as timing:
        train(clock, dies=False)
    assert (timing.seconds, timing.cpu_seconds) == (5, 2.5)


def test_another_training_counts_nothing_of_it(checkpoints, clock):
    with pytest.raises(Killed), timed():
        train(clock, dies=True)
    with timed() as timing:
        train(clock, dies=False, identity=1)
    assert (timing.seconds, timing.cpu_seconds) == (13, 6.5)
    assert len(list(checkpoints.glob("*.safetensors"))) == 1


def test_nobody_need_measure(checkpoints, clock):
    with pytest.raises(Killed):
        train(clock, dies=True)
    train(clock, dies=False)
    assert not list(checkpoints.iterdir())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("unit", "speed"), [("targets", "1,000 targets/s"), (None, "2 steps/s")], ids=["rows", "steps"]
)
def test_within_an_epoch_the_bar_says_how_fast_steps_go(checkpoints, monkeypatch, unit, speed):
    terminal, clock = Terminal(), itertools.count(100.0, 0.5)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(training_progress.time, "monotonic", lambda: next(clock))
    with resumable_training("some task", 2, "tasks.fit_ars", unit=unit) as (_, show):
        for losses in ((1, 0.5, 0.7), (2, 0.4, 0.6)):
            for _ in range(3):
                show.step(500)
            show(*losses)
    shown = terminal.getvalue()
    assert f"step 3, {speed}" in shown
    assert f"step 3 of 3, {speed}, train=0.5000, validation=0.7000" in shown


def test_iterations_without_a_loss_are_counted_by_their_name(checkpoints, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with resumable_training("some task", 2, "tasks.fit_ars", round_name="iteration") as (_, show):
        for iteration in (1, 2):
            time.sleep(0.2)
            show(iteration, None, None)
    shown = terminal.getvalue()
    assert "2/2" in shown
    assert "iteration/s" in shown
    assert "train" not in shown


def test_where_nobody_looks_nothing_is_drawn(checkpoints, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with resumable_training("some task", 1, "tasks.fit_ars") as (_, show):
        show.step(500)
        show(1, 0.5, None)
    assert file.getvalue() == ""
