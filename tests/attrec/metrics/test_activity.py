"""Error by activity: groups are decided by training alone and hold every scored rating once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrec.metrics.activity import error_by_activity

ids = st.lists(st.integers(0, 8), min_size=1, max_size=40)


def test_hand_computed_groups_and_errors() -> None:
    # training counts: a 1, b 2, c 5, d 9 → two groups by the median: {a, b} and {c, d}; e is unknown
    train = ["a"] + ["b"] * 2 + ["c"] * 5 + ["d"] * 9
    scored = ["a", "b", "c", "d", "d", "e", "e"]
    errors = np.array([1.0, 3, 0, 2, 2, 4, 4])
    table = error_by_activity(scored, train, [1, 2, 1, 2, 3, 1, 2], np.zeros(7), errors, "mae", groups=2)
    assert table["group"].tolist() == ["none", "1–2", "3–9"]
    assert table["ratings"].tolist() == [2, 2, 3]
    assert table["entities"].tolist() == [1, 2, 2]
    assert table["value"].tolist() == pytest.approx([4, 2, 4 / 3])
    # Of so few users nothing is told.
    assert table[["ci_low", "ci_high"]].isna().all(axis=None)


def test_groups_of_enough_users_have_intervals() -> None:
    users, rng = np.arange(60), np.random.default_rng(0)
    table = error_by_activity(users, users, users, np.zeros(60), rng.normal(size=60), groups=1)
    assert (table["ci_low"] < table["value"]).all()
    assert (table["value"] < table["ci_high"]).all()


def test_equal_counts_stay_together() -> None:
    table = error_by_activity([1, 2, 3], [1, 2, 3], [1, 2, 3], [0, 0, 0], [1, 1, 1], groups=4)
    assert table["group"].tolist() == ["1"]
    assert table["ratings"].tolist() == [3]


def test_nothing_known_in_training() -> None:
    table = error_by_activity([1, 2], [], [1, 2], [0, 0], [1, 1])
    assert table["group"].tolist() == ["none"]


def test_several_seeds_give_their_mean() -> None:
    table = error_by_activity([1, 2], [1, 2], [1, 2], [0, 0], [[1, 1], [3, 3]], "mae")
    assert table["value"].tolist() == [2]


@settings(max_examples=60)
@given(ids, ids, st.integers(1, 5))
def test_every_rating_is_in_the_group_of_its_training_count(scored, train, groups) -> None:  # type: ignore[no-untyped-def]
    truth = np.arange(len(scored)) % 5
    table = error_by_activity(scored, train, np.arange(len(scored)), truth, truth, groups=groups, resamples=5)
    counts = np.array([train.count(entity) for entity in scored])
    for row in table.itertuples():
        assert row.ratings == np.sum((counts >= row.min_count) & (counts <= row.max_count))
    assert table["ratings"].sum() == len(scored)
    assert len(table) <= groups + 1
    assert table["min_count"].is_monotonic_increasing


@settings(max_examples=30)
@given(ids, ids, ids)
def test_bounds_do_not_depend_on_what_is_scored(train, one, other) -> None:  # type: ignore[no-untyped-def]
    def bounds(scored: list[int]) -> dict[int, int]:
        zeros = np.zeros(len(scored))
        table = error_by_activity(scored, train, scored, zeros, zeros, resamples=2)
        return dict(zip(table["min_count"], table["max_count"], strict=True))

    first, second = bounds(one), bounds(other)
    assert all(first[low] == second[low] for low in first.keys() & second.keys())


def test_refuses_no_groups() -> None:
    with pytest.raises(ValueError, match="at least one group"):
        error_by_activity([1], [1], [1], [1], [1], groups=0)
