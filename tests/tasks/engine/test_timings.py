"""Times of artefacts: what was measured, and no figure where something was not."""

from __future__ import annotations

import time

import pytest

from tasks.engine import environment
from tasks.engine.artifacts import Artifact
from tasks.engine.timings import Timing, remember, timed, total

FIRST, SECOND = Artifact(kind="model", sha256="a" * 64), Artifact(kind="head", sha256="b" * 64)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "TIMINGS", tmp_path)


def test_sleep_takes_time_but_no_processor():
    with timed() as timing:
        time.sleep(0.05)
    assert timing.seconds >= 0.05
    assert timing.cpu_seconds < timing.seconds


def test_times_add_up_and_a_missing_one_leaves_no_sum():
    remember(FIRST, Timing(seconds=3.0, cpu_seconds=2.0))
    assert total([FIRST, SECOND]) is None
    remember(SECOND, Timing(seconds=1.5, cpu_seconds=1.0))
    assert total([FIRST, SECOND]) == Timing(seconds=4.5, cpu_seconds=3.0)


def test_a_later_run_replaces_the_time():
    remember(FIRST, Timing(seconds=3.0, cpu_seconds=2.0))
    remember(FIRST, Timing(seconds=1.0, cpu_seconds=0.5))
    assert total([FIRST]) == Timing(seconds=1.0, cpu_seconds=0.5)
