"""Times of the simulated world: in order, within the period, in sittings like those of MovieLens 100K."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrec.datasets.simulated_times import DAY, draw_times


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.integers(1, 400), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_times_are_strictly_in_order_and_within_the_period(counts: list[int], days: int, seed: int) -> None:
    times = draw_times(np.array(counts), days, np.random.default_rng(seed))
    assert times.seconds.min() >= 0
    assert times.seconds.max() < days * DAY
    owner = np.repeat(np.arange(len(counts)), counts)
    later = np.diff(times.seconds)[owner[1:] == owner[:-1]]
    assert (later >= 1).all()
    assert times.begins[np.r_[True, owner[1:] != owner[:-1]]].all()
    assert (np.abs(times.own_time) <= 1).all()
    assert (np.abs(times.progress) < 1).all()


def test_one_day_holds_a_third_of_its_seconds() -> None:
    times = draw_times(np.array([DAY // 3]), 1, np.random.default_rng(0))
    assert (np.diff(times.seconds) >= 1).all()
    assert times.seconds[-1] < DAY


def test_sittings_are_like_those_of_movielens() -> None:
    """Of ML-100K 61 % of users have one sitting (an hour without a rating ends it), and there are 2.85 of a user."""
    rng = np.random.default_rng(1)
    counts = 20 + np.minimum(rng.lognormal(4.0, 1.1, 4000), 700).astype(np.int64)
    times = draw_times(counts, 215, rng)
    sittings = np.add.reduceat(times.begins.astype(int), np.cumsum(counts) - counts)
    assert (sittings == 1).mean() == pytest.approx(0.61, abs=0.06)
    assert sittings.mean() == pytest.approx(2.85, abs=0.6)
