"""Similarities against a plain sort, whatever is computed at once."""

from __future__ import annotations

import numpy as np
import pytest

from attrec.datasets.histories import Histories
from attrec.models.cooccurrence import largest, similarities


def test_largest_entries_of_rows_against_a_plain_sort() -> None:
    rng = np.random.default_rng(0)
    users = [rng.integers(0, 40, rng.integers(1, 30)).tolist() for _ in range(60)]
    histories = Histories.of_lists(users)
    before = histories.items.copy()
    [whole] = similarities(histories, 40, [3.0], 40)
    assert (histories.items == before).all()
    for count in (1, 5, 39):
        kept, dense = largest(whole, count).toarray(), whole.toarray()
        for row, values in zip(kept, dense, strict=True):
            best = sorted(range(40), key=lambda item: (-values[item], item))[:count]
            assert row.tolist() == [values[item] if item in best else 0 for item in range(40)]
        assert (similarities(histories, 40, [3.0], count)[0].toarray() == kept).all()


def test_blocks_of_items_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = Histories.of_lists([[0, 1, 2], [3, 1], [2, 3, 4], [0, 4]])
    [whole] = similarities(histories, 5, [1.0], 3)
    monkeypatch.setattr("attrec.models.cooccurrence._ITEMS_AT_ONCE", 2)
    [pieces] = similarities(histories, 5, [1.0], 3)
    assert (whole.toarray() == pieces.toarray()).all()
