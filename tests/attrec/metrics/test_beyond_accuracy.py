"""Coverage and popularity by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attrec.metrics.beyond_accuracy import coverage_at, popularity_at, popularity_lift_at

LISTS = np.array([[0, 1, 2], [0, 2, 3], [4, -1, -1], [-1, -1, -1]])
COUNTS = np.array([10, 6, 4, 2, 1, 0])


def test_coverage_by_hand() -> None:
    assert coverage_at(LISTS, 6, 1) == pytest.approx(2 / 6)
    assert coverage_at(LISTS, 6, 3) == pytest.approx(5 / 6)


@pytest.mark.filterwarnings("error")
def test_popularity_by_hand() -> None:
    assert popularity_at(LISTS, COUNTS, 1) == pytest.approx((10 + 10 + 1) / 3)
    # Means of 10 and 6, 10 and 4, 1 alone; whoever gets nothing does not count.
    assert popularity_at(LISTS, COUNTS, 2) == pytest.approx((8 + 7 + 1) / 3)
    assert np.isnan(popularity_at(LISTS[3:], COUNTS, 2))


def test_lift_by_hand() -> None:
    # Targets of counts 4, 2, 0 (unknown) and 2 have a mean of 2.
    targets = np.array([2, 3, -1, 3])
    assert popularity_lift_at(LISTS, targets, COUNTS, 1) == pytest.approx(7 / 2 - 1)
    assert popularity_lift_at(targets[[0, 1, 3], None], targets[[0, 1, 3]], COUNTS, 1) == pytest.approx(0)
    # The commonest item and the next have a mean of 8.
    assert popularity_lift_at(LISTS, np.array([0, 1]), COUNTS, 1) == pytest.approx(7 / 8 - 1)
    assert np.isnan(popularity_lift_at(LISTS, np.full(4, 5), COUNTS, 1))
