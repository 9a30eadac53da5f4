"""A sequence model at the catalogue: where it ranks what users did next, and what it recommends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.metrics.ranking import MISS, ndcg_at, sampled_ranks, target_ranks, top_items

_CELLS_AT_ONCE = 2**23  # scores of one batch: 32 MB


class Ranker(Protocol):
    """What scores items [n, items] as the next ones after histories: a `SequenceModel`, fitted or being fitted."""

    @property
    def items(self) -> pd.Index: ...

    def score(self, histories: Histories) -> np.ndarray: ...


@dataclass(frozen=True)
class RankedUsers:
    """What a model says of n users."""

    ranks: np.ndarray
    """[n] rank of the target in the whole catalogue."""
    lists: np.ndarray
    """[n, k] codes of what it recommends, best first; -1 where nothing is left."""
    sampled: np.ndarray | None = None
    """[n] rank of the target among the drawn negatives, where there are any."""


def rank_users(
    model: Ranker,
    histories: Histories,
    targets: np.ndarray,
    exclude_seen: bool = True,
    k: int = 20,
    negatives: np.ndarray | None = None,
) -> RankedUsers:
    """Rank each user's target and list the k best items, a batch of users at a time.

    A batch holds 8 million scores at most, so memory does not grow with the number of users.

    Args:
        histories: What each of n users did before.
        targets: [n] codes in `model.items` of what they did next, -1 for what is not there.
        negatives: [n, m] of `draw_negatives`, to rank among these too.

    Raises:
        ValueError: the model's scores are not finite, or users and targets differ in number.

    >>> import numpy as np
    >>> import pandas as pd
    >>> from attrec.datasets.histories import Histories
    >>> from attrec.sequences import Popularity, rank_users
    >>> actions = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": ["a", "b", "b", "c"]})
    >>> model = Popularity().fit(actions)
    >>> targets = model.items.get_indexer(["c", "a"])
    >>> rank_users(model, Histories.of(actions, pd.Index([1, 2]), model.items), targets).ranks.tolist()
    [1, 1]
    """
    if len(targets) != len(histories):
        raise ValueError(f"need one target a user, got {len(targets)} for {len(histories)} users")
    n_items = len(model.items)
    ranks = np.empty(len(histories), dtype=np.int64)
    lists = np.empty((len(histories), k), dtype=np.int64)
    sampled = None if negatives is None else np.empty(len(histories), dtype=np.int64)
    for users in histories.batches(max(1, min(256, _CELLS_AT_ONCE // n_items))):
        theirs = histories.take(users)
        scores = model.score(theirs)
        seen = theirs.seen(n_items) if exclude_seen else None
        ranks[users] = target_ranks(scores, targets[users], seen)
        lists[users] = top_items(scores, k, seen)
        if sampled is not None and negatives is not None:
            among = sampled_ranks(scores, targets[users], negatives[users])
            sampled[users] = np.where(ranks[users] == MISS, MISS, among)
    return RankedUsers(ranks, lists, sampled)


class Validation:
    """The validation targets behind the training actions, ranked as the test will be."""

    def __init__(
        self, actions: pd.DataFrame, targets: pd.DataFrame, items: pd.Index, exclude_seen: bool
    ) -> None:
        self.histories = Histories.of(actions, pd.Index(targets["user_id"]), items)
        self.targets = items.get_indexer(pd.Index(targets["item_id"]))
        self.exclude_seen = exclude_seen
        known = self.targets >= 0
        if exclude_seen:
            own = self.histories.items == self.targets[self.histories.users]
            known[self.histories.users[own]] = False
        if not known.any():
            seen = (
                ", or has been done by the user before: then set exclude_seen to false"
                if exclude_seen
                else ""
            )
            raise DataError(
                f"None of the {len(targets):,} validation targets can be ranked: each is an item that nobody has in"
                f" training{seen}."
            )

    def ndcg(self, model: Ranker) -> float:
        """NDCG@10 of a model of these items."""
        ranked = rank_users(model, self.histories, self.targets, self.exclude_seen, k=0)
        return float(ndcg_at(ranked.ranks, 10).mean())
