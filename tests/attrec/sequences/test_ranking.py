"""A model at the catalogue: users keep their places, and a target that cannot be ranked is a miss."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.histories import Histories
from attrec.metrics.ranking import MISS
from attrec.sequences.ranking import rank_users


class Favourites:
    """Scores an item by how often it is in the history, then by its code; counts how many users it is asked for."""

    def __init__(self, n_items: int) -> None:
        self.items = pd.RangeIndex(n_items)
        self.asked: list[int] = []

    def score(self, histories: Histories) -> np.ndarray:
        self.asked.append(len(histories))
        scores = np.tile(np.arange(len(self.items), dtype="float32"), (len(histories), 1))
        np.add.at(scores, (histories.users, histories.items), 1000)
        return scores


def test_users_keep_their_places_whatever_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = Histories.of_lists([[4, 4, 1], [], [3], [0, 1, 2]])
    targets = np.array([3, 4, 3, -1])
    ranked = rank_users(Favourites(5), histories, targets, k=2)
    assert ranked.ranks.tolist() == [1, 1, MISS, MISS]
    assert ranked.lists.tolist() == [[3, 2], [4, 3], [4, 2], [4, 3]]
    assert ranked.sampled is None
    with_seen = rank_users(Favourites(5), histories, targets, exclude_seen=False, k=2)
    assert with_seen.ranks.tolist() == [3, 1, 1, MISS]
    assert with_seen.lists.tolist() == [[4, 1], [4, 3], [3, 4], [2, 1]]
    monkeypatch.setattr("attrec.sequences.ranking._CELLS_AT_ONCE", 10)
    small = Favourites(5)
    again = rank_users(small, histories, targets, k=2)
    assert small.asked == [2, 2]
    assert again.ranks.tolist() == ranked.ranks.tolist()
    assert again.lists.tolist() == ranked.lists.tolist()


def test_users_among_negatives() -> None:
    histories = Histories.of_lists([[4], [], [3], [0]])
    targets = np.array([3, 1, 3, -1])
    negatives = np.array([[1, 2], [4, -1], [0, 1], [1, 2]])
    ranked = rank_users(Favourites(5), histories, targets, k=1, negatives=negatives)
    # A target that the user had seen is a miss here, as it is in the whole catalogue.
    assert ranked.sampled is not None
    assert ranked.sampled.tolist() == [1, 2, MISS, MISS]


def test_one_target_a_user() -> None:
    with pytest.raises(ValueError, match="one target a user"):
        rank_users(Favourites(5), Histories.of_lists([[1]]), np.array([1, 2]))
