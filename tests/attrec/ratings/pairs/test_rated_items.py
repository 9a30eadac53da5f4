"""The context that the paper draws for a prediction."""

from __future__ import annotations

import numpy as np
import pytest

from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.pairs.rated_items import RatedItems

ITEMS = 40


def rated(*by_user: range) -> RatedItems:
    """Each user's items, all of them rated as they are numbered."""
    users = np.repeat(np.arange(len(by_user)), [len(items) for items in by_user])
    items = np.concatenate([np.array(items, dtype=np.int64) for items in by_user])
    return RatedItems.of(EncodedRatings(users, items, items.astype("float32"), len(by_user), ITEMS))


def items_of(drawn: RatedItems, user: int) -> list[int]:
    own = slice(drawn.start[user], drawn.start[user + 1])
    assert drawn.ratings[own].tolist() == drawn.items[own].tolist()  # each with its own rating
    return drawn.items[own].tolist()


def test_so_many_are_drawn_and_short_histories_stay_whole() -> None:
    drawn = rated(range(30), range(5, 9), range(0), range(10, 40)).sampled(8, seed=0)
    assert drawn.counts.tolist() == [8, 4, 0, 8]
    assert items_of(drawn, 1) == [5, 6, 7, 8]
    assert set(items_of(drawn, 0)) < set(range(30))
    assert len(set(items_of(drawn, 3))) == 8


def test_what_is_drawn_hangs_on_seed_and_own_items_alone() -> None:
    alone = items_of(rated(range(30)).sampled(8, seed=0), 0)
    among_others = rated(range(3, 40), range(30), range(2)).sampled(8, seed=0)
    assert items_of(among_others, 1) == alone
    assert items_of(rated(range(30)).sampled(8, seed=1), 0) != alone


@pytest.mark.parametrize("item", [0, 14, 29])
def test_every_item_is_drawn_about_as_often(item: int) -> None:
    whole = rated(range(30))
    drawn = sum(item in items_of(whole.sampled(8, seed), 0) for seed in range(600))
    assert drawn == pytest.approx(600 * 8 / 30, abs=4 * np.sqrt(600 * 8 / 30))
