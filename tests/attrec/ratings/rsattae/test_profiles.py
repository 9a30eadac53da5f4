"""Profiles of users and items, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.rsattae.profiles import Profiles, levels_of

RATINGS = EncodedRatings(
    np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]), np.array([1, 5, 5, 3], "float32"), 3, 3
)


def profiles() -> Profiles:
    return Profiles.fit(RATINGS, levels_of(RATINGS.values))


def test_shares_are_shrunk_to_those_of_all() -> None:
    user = profiles().user
    # Of all ratings a quarter are 1, a quarter 3, half 5; five ratings of that kind are added to user 0's three.
    assert user.loc[0, "user share of 1.0"] == pytest.approx((1 + 5 / 4) / 8)
    assert user.loc[0, "user share of 5.0"] == pytest.approx((2 + 5 / 2) / 8)
    assert user.loc[2, ["user share of 1.0", "user share of 3.0", "user share of 5.0"]].tolist() == [
        0.25,
        0.25,
        0.5,
    ]


def test_activity_of_the_counterparts() -> None:
    fitted = profiles()
    assert fitted.user.loc[1, "user choices"] == pytest.approx(np.log(3))
    assert fitted.item.loc[0, "item audience"] == pytest.approx((np.log(4) + np.log(2)) / 2)
    assert fitted.user.loc[2, "user choices"] == 0


def test_a_new_user_with_a_known_users_ratings_has_their_profile() -> None:
    fitted = profiles()
    own = RATINGS.users == 0
    new = fitted.of_new_users(np.zeros(3, int), RATINGS.items[own], RATINGS.values[own], 1)
    np.testing.assert_array_equal(new.to_numpy()[0], fitted.user.to_numpy()[0])
    assert list(new) == list(fitted.user)


def test_a_scale_of_many_values_has_ten_levels() -> None:
    assert levels_of(np.arange(1000) / 100).tolist() == pytest.approx([0.0, *(np.arange(1, 10) - 0.01)])
    assert levels_of(np.array([2.0, 1.0, 2.0])).tolist() == [1.0, 2.0]


def test_saved_and_loaded_is_the_same(tmp_path) -> None:
    fitted = profiles()
    fitted.save(tmp_path)
    loaded = Profiles.load(tmp_path)
    assert loaded.user.equals(fitted.user)
    assert loaded.item.equals(fitted.item)
