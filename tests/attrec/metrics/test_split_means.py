"""The mean over splits: by hand, and not the error of all ratings together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attrec.metrics.intervals import FEWEST_USERS, bootstrap_interval
from attrec.metrics.split_means import Scored, mean_over_splits

FIRST = Scored(["a", "a", "b"], [1.0, 2.0, 3.0], [[2.0, 2.0, 3.0], [1.0, 2.0, 6.0]])
SECOND = Scored(["b"], [4.0], [2.0])


def test_by_hand():
    # First split: seeds √(1/3) and √(9/3); second: 2.
    expected = ((math.sqrt(1 / 3) + math.sqrt(3)) / 2 + 2) / 2
    assert mean_over_splits([FIRST, SECOND]).value == pytest.approx(expected)
    assert mean_over_splits([FIRST, SECOND], "mae").value == pytest.approx(((1 / 3 + 1) / 2 + 2) / 2)
    together = bootstrap_interval(["a", "a", "b", "b"], [1.0, 2, 3, 4], [2.0, 2, 3, 2], resamples=1).value
    one_seed = Scored(["a", "a", "b"], [1.0, 2.0, 3.0], [2.0, 2.0, 3.0])
    assert mean_over_splits([one_seed, SECOND]).value != pytest.approx(together)


def test_interval_is_that_of_the_three_ways_to_draw_two_users(monkeypatch):
    monkeypatch.setattr("attrec.metrics.intervals.FEWEST_USERS", 2)
    # "a" alone: the second split has nobody; seeds √(1/2), 0. "b" alone: seeds 0, 3 and 2. Both: as observed.
    alone_a, alone_b = math.sqrt(1 / 2) / 2, (1.5 + 2) / 2
    interval = mean_over_splits([FIRST, SECOND])
    assert interval.low == pytest.approx(alone_a)
    assert interval.high == pytest.approx(alone_b)
    # Half of the resamples draw both, so between a quarter and three there is nothing else; below, "a" alone. For two
    # users a level of 0.2 is widened to 0.35, one of 0.4 to 0.70.
    middle = mean_over_splits([FIRST, SECOND], level=0.2)
    assert middle.low == middle.high == middle.value
    assert mean_over_splits([FIRST, SECOND], level=0.4).low == pytest.approx(alone_a)


def test_splits_may_lack_any_user():
    assert mean_over_splits([SECOND, FIRST]).value == mean_over_splits([FIRST, SECOND]).value


def test_one_split_has_the_interval_of_the_plain_bootstrap():
    rng = np.random.default_rng(0)
    users, truth = rng.integers(40, size=800), rng.normal(3, 1, 800)
    predicted = truth + rng.normal(0, 1, (2, 800))
    plain = bootstrap_interval(users, truth, predicted)
    mean = mean_over_splits([Scored(users, truth, predicted)])
    assert mean.value == pytest.approx(plain.value)
    assert (mean.low, mean.high) == pytest.approx((plain.low, plain.high), abs=0.005)
    assert mean == mean_over_splits([Scored(users, truth, predicted)])


def test_options_reach_the_draws():
    rng = np.random.default_rng(0)
    split = Scored(rng.integers(40, size=400), np.zeros(400), rng.normal(size=400))
    assert mean_over_splits([split]) == mean_over_splits([split], seed=0)
    usual = mean_over_splits([split], resamples=50, level=0.5, seed=1)
    assert (usual.level, usual.value) == (0.5, mean_over_splits([split]).value)
    for options in ({"resamples": 200}, {"level": 0.6}, {"seed": 2}):
        other = mean_over_splits([split], **{"resamples": 50, "level": 0.5, "seed": 1, **options})
        assert (other.low, other.high) != (usual.low, usual.high)


def test_errors_of_single_precision_are_summed_in_double():
    users, truth = np.arange(30), np.full(30, 0.1, dtype="float32")
    rows = np.random.default_rng(0).random(30, dtype="float32")
    doubles = Scored(users, truth.astype("float64"), rows.astype("float64"))
    assert mean_over_splits([Scored(users, truth, rows)]) == mean_over_splits([doubles])


@pytest.mark.parametrize(("users", "told"), [(1, False), (FEWEST_USERS - 1, False), (FEWEST_USERS, True)])
def test_few_users_have_no_interval(users, told):
    # In two splits: what counts is how many there are in both together.
    splits = [Scored(np.arange(users), np.zeros(users), np.ones(users)), Scored([0], [4.0], [2.0])]
    interval = mean_over_splits(splits, level=0.9)
    assert (interval.value, interval.level) == (1.5, 0.9)
    assert math.isfinite(interval.low) == math.isfinite(interval.high) == told


@pytest.mark.parametrize(
    "splits",
    [
        [],
        [Scored(["a"], [1.0, 2.0], [1.0])],
        [Scored(["a", "b"], [1.0], [1.0, 2.0])],
        [Scored(["a", "b"], [1.0, 2.0], [1.0])],
        [Scored([], [], [])],
        [Scored(["a"], [float("nan")], [1.0])],
    ],
)
def test_what_cannot_be_scored(splits):
    with pytest.raises(ValueError):
        mean_over_splits(splits)
