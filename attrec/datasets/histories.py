"""What users did, in order, as one run of item codes after the other: what a sequence model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.frames import check_ids


@dataclass(frozen=True)
class Histories:
    """The actions of n users, the oldest of each first."""

    start: np.ndarray
    """[n + 1] where each user's actions begin."""
    items: np.ndarray
    """[actions] item codes (int64)."""
    ids: pd.Index | None = None
    """[n] external ids of the users, where they are known."""

    @classmethod
    def of(cls, actions: pd.DataFrame, users: pd.Index, items: pd.Index) -> Self:
        """Group `actions` (user_id, item_id; in order within each user) by user, in the order of `users`.

        Every user has an entry, perhaps an empty one; items that are not in the vocabulary `items` are left out.
        """
        user = users.get_indexer(pd.Index(actions["user_id"]))
        item = items.get_indexer(pd.Index(actions["item_id"]))
        known = (user >= 0) & (item >= 0)
        user, item = user[known], item[known].astype(np.int64)
        counts = np.bincount(user, minlength=len(users))
        return cls(np.concatenate([[0], np.cumsum(counts)]), item[np.argsort(user, kind="stable")], users)

    @classmethod
    def of_lists(cls, histories: Sequence[Sequence[int]]) -> Self:
        """The same from lists of item codes."""
        counts = [len(history) for history in histories]
        items = np.fromiter((code for history in histories for code in history), np.int64, sum(counts))
        return cls(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), items)

    @classmethod
    def asked(cls, histories: Sequence[int | str] | pd.DataFrame, items: pd.Index) -> Self:
        """One history, as a list of item ids, which has no name; or those of a frame (user_id, item_id; in order within
        each user), in the order in which users first occur. Items that are not in the vocabulary `items` are left out.

        Raises:
            DataError: ids are of another type than those of the vocabulary, or a column or an id is missing.
        """
        if isinstance(histories, pd.DataFrame):
            check_ids(histories, "histories")
            users = histories["user_id"].to_numpy()
            actions = pd.DataFrame({"user_id": users, "item_id": _like(items, histories["item_id"].tolist())})
            return cls.of(actions, pd.Index(pd.unique(users), name="user_id"), items)
        codes = items.get_indexer(_like(items, list(histories)))
        return cls.of_lists([codes[codes >= 0].tolist()])

    def require_known(self, item: str, history: str) -> None:
        """See that every history has an item.

        Raises:
            DataError: of one or more none is known; in the words for an item and for a history.
        """
        empty = self.counts == 0
        if not empty.any():
            return
        if self.ids is None:
            raise DataError(f"No {item} of this {history} is known to the model; give others.")
        others = f", nor of {more:,} more" if (more := int(empty.sum()) - 1) else ""
        raise DataError(
            f"No {item} of the {history} of {self.ids[empty][0]} is known to the model{others}: leave them out."
        )

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> np.ndarray:
        """[n] actions of each user."""
        return np.diff(self.start)

    @property
    def users(self) -> np.ndarray:
        """[actions] the position of the user of each action."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, users: np.ndarray) -> Self:
        """The users at these positions [m], in this order; a user may occur more than once."""
        counts = self.counts[users]
        start = np.concatenate([[0], np.cumsum(counts)])
        offset = np.repeat(self.start[users] - start[:-1], counts)
        ids = None if self.ids is None else self.ids[users]
        return type(self)(start, self.items[np.arange(start[-1]) + offset], ids)

    def last(self, length: int) -> Self:
        """The `length` newest actions of each user, fewer where there are fewer."""
        kept = np.minimum(self.counts, length)
        start = np.concatenate([[0], np.cumsum(kept)])
        offset = np.repeat(self.start[1:] - kept - start[:-1], kept)
        return type(self)(start, self.items[np.arange(start[-1]) + offset], self.ids)

    def batches(self, users: int) -> Iterator[np.ndarray]:
        """Positions of users in groups of `users`, those of like length together."""
        order = np.argsort(self.counts, kind="stable")
        return (order[first : first + users] for first in range(0, len(order), users))

    def seen(self, n_items: int) -> np.ndarray:
        """[n, n_items] bool: which items occur in each user's history; for some users at a time."""
        seen = np.zeros((len(self), n_items), dtype=bool)
        seen[self.users, self.items] = True
        return seen


def _like(items: pd.Index, ids: list[int | str]) -> pd.Index:
    """Ids in the type that they have in a vocabulary."""
    try:
        return pd.Index(ids, dtype=items.dtype)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{ids[:3]} are no item ids of this model: they are like {', '.join(map(str, items[:3]))}."
        ) from error
