from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from attrec.errors import DataError
from attrec.metrics.top_lists import TopLists, block_size, check_k

SCORES = arrays.arrays(
    "float32", st.tuples(st.integers(1, 9), st.integers(1, 12)), elements=st.integers(-2, 2)
)


@given(scores=SCORES, k=st.integers(1, 15), size=st.integers(1, 9), data=st.data())
def test_blocks_give_what_sorting_each_row_gives(
    scores: np.ndarray, k: int, size: int, data: st.DataObject
) -> None:
    seen = data.draw(arrays.arrays(bool, scores.shape))
    order = np.array(data.draw(st.permutations(range(len(scores)))))
    blocks = [order[start : start + size] for start in range(0, len(order), size)]
    items = pd.Index([f"i{code}" for code in range(scores.shape[1])])
    users = pd.Index(range(100, 100 + len(scores)))
    lists = TopLists.in_blocks(blocks, lambda rows: TopLists.best(scores[rows], k, seen[rows]))
    expected = [
        (users[row], items[code], rank, scores[row, code])
        for row in range(len(scores))
        for rank, code in enumerate(
            [code for code in np.argsort(-scores[row], kind="stable") if not seen[row, code]][:k], start=1
        )
    ]
    found = lists.frame(items, users)
    assert found.columns.tolist() == ["user_id", "item_id", "rank", "score"]
    assert list(found.itertuples(index=False, name=None)) == expected
    assert lists.frame(items, None).columns.tolist() == ["item_id", "rank", "score"]


def test_no_list_is_an_empty_frame() -> None:
    empty = TopLists.in_blocks([], lambda rows: TopLists.best(np.empty((0, 3)), 2, None))
    assert empty.codes.shape == empty.scores.shape == (0, 0)
    assert empty.frame(pd.Index(["a"]), pd.Index([])).empty


def test_memory_of_a_block_is_bounded() -> None:
    assert [block_size(items) for items in (0, 10, 27_000, 10**6, 10**9)] == [256, 256, 256, 8, 1]
    assert isinstance(block_size(10**6), int)
    check_k(1)
    with pytest.raises(DataError, match="k is 0: ask for one item"):
        check_k(0)
