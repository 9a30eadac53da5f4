"""What is said of a moment, by hand and against a loop over all ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrec.errors import DataError
from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.moments import Moments, seconds

USERS = np.array([0, 0, 0, 0, 1])
ITEMS = np.array([0, 1, 2, 3, 0])
TIMES = np.array([100, 130, 130, 5_000, 130])
RESIDUALS = np.array([[1.0, -1.0, 0.5, 2.0, -3.0]], "float32")


def moments(residuals: np.ndarray = RESIDUALS) -> Moments:
    ratings = EncodedRatings(USERS, ITEMS, np.ones(5, "float32"), 3, 5)
    return Moments.of(ratings, TIMES, residuals)


def at(time: int, user: int = 0, item: int = 4) -> pd.Series:
    return moments().of_member(0, np.array([user]), np.array([item]), np.array([time])).iloc[0]


def test_a_moment_between_ratings() -> None:
    row = at(140)
    assert row["same moment count"] == 0
    # One rating before (at 130, the later in the file) and one after (at 5,000).
    assert row["nearest 1 residual"] == pytest.approx((0.5 + 2.0) / (2 + 2))
    assert row["last 2 residual"] == pytest.approx((-1.0 + 0.5) / (2 + 1))
    assert row["next 2 residual"] == pytest.approx(2.0 / (1 + 1))
    assert row["within 60 s residual"] == pytest.approx((1.0 - 1.0 + 0.5) / (3 + 2))
    assert row["within 60 s log count"] == pytest.approx(np.log(4))
    assert row["gap before"] == pytest.approx(np.log(11))
    assert row["gap after"] == pytest.approx(np.log(4_861))
    assert row["user's share of ratings before"] == 0.75
    assert row["user's log age"] == pytest.approx(np.log(41))


def test_ratings_of_the_same_second() -> None:
    row = at(130)
    assert row["same moment count"] == 2
    assert row["same moment residual"] == pytest.approx((-1.0 + 0.5) / (2 + 2))
    assert row["last 2 residual"] == pytest.approx(1.0 / (1 + 1))
    assert row["user's share of ratings before"] == 0.5


def test_seasons_of_an_item_and_a_user_without_ratings() -> None:
    row = at(150, user=2, item=0)
    assert row["item's season residual"] == pytest.approx((1.0 - 3.0) / (2 + 5))
    assert row["nearest 5 residual"] == 0
    assert row["gap before"] == row["gap after"] == -1
    assert at(150, user=-1, item=-1).drop("day").isin([0, -1]).all()


def test_the_last_moment_of_users_and_of_anybody() -> None:
    assert moments().last(np.array([0, 1, 2, -1])).tolist() == [5_000, 130, 5_000, 5_000]


def test_a_member_sees_its_own_ratings_alone() -> None:
    without_last = np.array([[1.0, -1.0, 0.5, np.nan, -3.0]], "float32")
    both = moments(np.concatenate([RESIDUALS, without_last]))
    asked = np.array([0]), np.array([4]), np.array([140])
    pd.testing.assert_frame_equal(both.of_member(0, *asked), moments().of_member(0, *asked))
    assert both.of_member(1, *asked)["gap after"].item() == -1
    pd.testing.assert_frame_equal(both.of_member(1, *asked), moments(without_last).of_member(0, *asked))


def test_a_missing_timestamp_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="no timestamp"):
        seconds(np.array([1.0, np.nan]))


@given(st.integers(0, 10_000))
def test_as_a_loop_over_all_ratings_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    users, items = generator.integers(0, 4, 40), generator.integers(0, 5, 40)
    times, residuals = generator.integers(0, 2_000, 40), generator.normal(size=40).astype("float32")
    fitted = Moments.of(EncodedRatings(users, items, residuals, 4, 5), times, residuals[None])
    asked = generator.integers(0, 2_000, 10)
    who, what = generator.integers(0, 4, 10), generator.integers(0, 5, 10)
    features = fitted.of_member(0, who, what, asked)
    for row, (user, time) in enumerate(zip(who, asked, strict=True)):
        near = (users == user) & (np.abs(times - time) <= 600)
        expected = residuals[near].sum() / (near.sum() + 2)
        assert features["within 600 s residual"][row] == pytest.approx(expected, abs=1e-5)
        before = np.sort(times[(users == user) & (times < time)])
        gap = np.log1p(time - before[-1]) if len(before) else -1
        assert features["gap before"][row] == pytest.approx(gap, abs=1e-5)


def test_saved_and_loaded_is_the_same(tmp_path) -> None:
    moments().save(tmp_path)
    pairs = np.array([0, 1]), np.array([4, 1]), np.array([140, 200])
    pd.testing.assert_frame_equal(Moments.load(tmp_path).of_member(0, *pairs), moments().of_member(0, *pairs))
