"""Residuals of neighbours, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.neighbourhoods.residuals import neighbour_residuals


def encoded(users: list[int], items: list[int]) -> EncodedRatings:
    return EncodedRatings(np.array(users), np.array(items), np.ones(len(users), "float32"), 3, 3)


def test_two_co_rated_items_by_hand() -> None:
    # Users 0 and 1 rated items 0 and 1, user 2 rated item 0 alone.
    ratings = encoded([0, 0, 1, 1, 2], [0, 1, 0, 1, 0])
    residuals = np.array([1.0, 0.5, -1.0, -0.25, 0.8])
    entries = neighbour_residuals(ratings, residuals)
    # Item 1 seen by user 2: item 0 is the one neighbour. Jaccard: 2 together of 3 + 2 - 2, and 5 more.
    weight = (2 / (3 + 2 - 2 + 5)) ** 1.5
    assert entries["co-rated items' residual"][2, 1] == pytest.approx(
        0.8 * weight / (weight + 0.06), rel=1e-5
    )
    # Over users 0 and 1: 1 · 0.5 + 1 · 0.25 over √(2 · 0.3125), shrunk by 2 / 32.
    weight = (0.75 / np.sqrt(2 * 0.3125) * 2 / 32) ** 1.5
    assert entries["correlated items' residual"][2, 1] == pytest.approx(
        0.8 * weight / (weight + 0.3), rel=1e-5
    )
    # Item 1 for user 2, by the users: 0 and 1 have each 1 item together with user 2, of 2 + 1 - 1, and 5 more.
    weight = (1 / 7) ** 1.5
    expected = (0.5 - 0.25) * weight / (2 * weight + 0.06)
    assert entries["co-rated users' residual"][2, 1] == pytest.approx(expected, rel=1e-5)


def test_nobody_to_compare_with_is_zero() -> None:
    entries = neighbour_residuals(encoded([0], [0]), np.array([1.0]))
    assert all(np.array_equal(matrix, np.zeros((3, 3))) for matrix in entries.values())


@given(st.integers(0, 10_000), st.floats(-2, 2))
def test_a_pair_does_not_see_its_own_residual(seed: int, other: float) -> None:
    generator = np.random.default_rng(seed)
    users, items = np.divmod(generator.choice(30, 14, replace=False), 6)
    ratings = EncodedRatings(users, items, np.ones(14, "float32"), 5, 6)
    residuals = generator.normal(size=14)
    changed = residuals.copy()
    changed[0] = other
    before, after = neighbour_residuals(ratings, residuals), neighbour_residuals(ratings, changed)
    overlap = [name for name in before if name.startswith("co-")]
    assert len(overlap) == 2
    for name in overlap:
        assert before[name][users[0], items[0]] == pytest.approx(after[name][users[0], items[0]], abs=1e-6)
