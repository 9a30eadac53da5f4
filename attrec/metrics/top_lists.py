"""The best items of many at once: scores in blocks of bounded size in, one long frame of ids, ranks and scores out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.metrics.ranking import top_items

_CELLS = 2**23  # scores of one block: 32 MB in single precision


def block_size(n_items: int) -> int:
    """Lists whose scores are held at a time."""
    return max(1, min(256, _CELLS // max(1, n_items)))


def check_k(k: int) -> None:
    """Raises: DataError if no item is asked for."""
    if not isinstance(k, int | np.integer) or k < 1:
        raise DataError(f"k is {k}: ask for one item at least, or another whole number of them.")


@dataclass(frozen=True)
class TopLists:
    """The best items of n lists, best first, equal ones in code order."""

    codes: np.ndarray
    """[n, k] item codes; -1 where nothing is left."""
    scores: np.ndarray
    """[n, k]"""

    @classmethod
    def best(cls, scores: np.ndarray, k: int, seen: np.ndarray | None) -> Self:
        """Of a block of scores [b, items], without what is `seen` [b, items]."""
        codes = top_items(scores, min(k, scores.shape[1]), seen)
        return cls(codes, np.take_along_axis(scores, codes, axis=1))

    @classmethod
    def in_blocks(cls, blocks: Iterable[np.ndarray], best: Callable[[np.ndarray], TopLists]) -> TopLists:
        """Of blocks of lists, each named by its positions [b] in the whole; together they have every position once."""
        places = list(blocks)
        if not places:
            return cls(np.empty((0, 0), dtype=np.int64), np.empty((0, 0)))
        parts = [best(block) for block in places]
        order = np.argsort(np.concatenate(places))
        codes = np.concatenate([part.codes for part in parts])
        return cls(codes[order], np.concatenate([part.scores for part in parts])[order])

    def frame(self, items: pd.Index, users: pd.Index | None) -> pd.DataFrame:
        """user_id, item_id, rank (from 1), score, one list below the other; no user_id where lists have no names."""
        there = self.codes >= 0
        lists, places = np.nonzero(there)
        named = {} if users is None else {"user_id": users[lists]}
        return pd.DataFrame(
            {**named, "item_id": items[self.codes[there]], "rank": places + 1, "score": self.scores[there]}
        )
