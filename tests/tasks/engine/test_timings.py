"""Times of artefacts: what was measured, and no figure where something was not."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tasks.engine import environment
from tasks.engine.artifacts import Artifact
from tasks.engine.timings import Timing, mean, remember, timed, total

FIRST, SECOND = Artifact(kind="model", sha256="a" * 64), Artifact(kind="head", sha256="b" * 64)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "TIMINGS", tmp_path)


def test_sleep_takes_time_but_no_processor():
    with timed() as timing:
        time.sleep(0.05)
    assert timing.seconds >= 0.05
    assert timing.cpu_seconds < timing.seconds


def test_memory_that_was_held_for_a_while_counts():
    with timed() as idle:
        pass
    with timed() as busy:
        held = np.ones(40_000_000)
        time.sleep(0.3)
        del held
    assert busy.peak_megabytes - idle.peak_megabytes == pytest.approx(320, rel=0.2)


def test_times_add_up_and_a_missing_one_leaves_no_sum():
    remember(FIRST, Timing(seconds=3.0, cpu_seconds=2.0))
    assert total([FIRST, SECOND]) is None
    remember(SECOND, Timing(seconds=1.5, cpu_seconds=1.0))
    assert total([FIRST, SECOND]) == Timing(seconds=4.5, cpu_seconds=3.0)


def test_means_over_seeds_and_the_most_memory():
    remember(FIRST, Timing(seconds=3.0, cpu_seconds=2.0, peak_megabytes=500.0))
    remember(SECOND, Timing(seconds=1.0, cpu_seconds=1.0, peak_megabytes=700.0))
    expected = Timing(seconds=3.5, cpu_seconds=2.5, peak_megabytes=700.0)
    assert mean([[FIRST], [FIRST, SECOND]]) == expected
    assert mean([]) is None
    assert mean([[FIRST], [Artifact(kind="head", sha256="c" * 64)]]) is None


def test_a_later_run_replaces_the_time():
    remember(FIRST, Timing(seconds=3.0, cpu_seconds=2.0))
    remember(FIRST, Timing(seconds=1.0, cpu_seconds=0.5))
    assert total([FIRST]) == Timing(seconds=1.0, cpu_seconds=0.5)
