"""Ratings grouped by user, cut into padded batches: what an attentive embedding reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from attrec.ratings.catalogue import EncodedRatings

COLUMN_STEP = 16
"""Rows are filled up to a multiple of it: oneDNN compiles a kernel for each shape that it meets, which takes longer
than the product itself, so that few batches shall have a shape of their own."""


class Padded(NamedTuple):
    """The ratings of b users, each row filled up to the longest or beyond."""

    items: Tensor  # [b, c] item codes, 0 where filled up
    ratings: Tensor  # [b, c] rating units
    real: Tensor  # [b, c] bool, False where filled up

    def sampled(self, size: int, generator: torch.Generator) -> Padded:
        """At most `size` random ratings of each user."""
        if self.items.shape[1] <= size:
            return self
        keys = torch.rand(self.items.shape, generator=generator).masked_fill_(~self.real, -1.0)
        chosen = keys.topk(size, dim=1).indices
        return Padded(*(part.gather(1, chosen) for part in self))


@dataclass(frozen=True)
class RatedItems:
    """Ratings of users 0 … n - 1, one user after the other."""

    start: np.ndarray
    """[n + 1] where each user's ratings begin."""
    items: np.ndarray
    """[ratings] item codes, ascending within a user."""
    ratings: np.ndarray
    """[ratings] float32, rating units."""
    rows: np.ndarray
    """[ratings] position of each rating in the table it came from."""

    @classmethod
    def of(cls, ratings: EncodedRatings) -> Self:
        """Group by user; every user has an entry, perhaps an empty one."""
        order = np.lexsort((ratings.items, ratings.users))
        counts = np.bincount(ratings.users, minlength=ratings.n_users)
        start = np.concatenate([[0], np.cumsum(counts)])
        return cls(start, ratings.items[order], ratings.values[order], order)

    @property
    def counts(self) -> np.ndarray:
        """[n] ratings of each user."""
        return np.diff(self.start)

    def sampled(self, size: int, seed: int) -> RatedItems:
        """At most `size` random ratings of each user. Which ones hangs on the seed and the user's own items alone, so
        that nobody's arrival changes what is drawn of others."""
        kept = np.ones(len(self.items), dtype=bool)
        for user in np.flatnonzero(self.counts > size):
            own = slice(self.start[user], self.start[user + 1])
            chance = np.random.default_rng([seed, *self.items[own]]).random(self.counts[user])
            kept[own] = chance.argsort().argsort() < size
        start = np.concatenate([[0], np.cumsum(np.minimum(self.counts, size))])
        return RatedItems(start, self.items[kept], self.ratings[kept], self.rows[kept])

    def positions(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the ratings of `users` [b] stand, [b, c] padded with 0, and which of them are real; c is a multiple of
        `COLUMN_STEP`."""
        counts = self.counts[users]
        columns = np.arange(-(-counts.max(initial=0) // COLUMN_STEP) * COLUMN_STEP)
        real = columns < counts[:, None]
        return np.where(real, self.start[users][:, None] + columns, 0), real

    def padded(self, users: np.ndarray) -> Padded:
        """The ratings of `users` [b] as tensors."""
        positions, real = self.positions(users)
        return Padded(
            torch.from_numpy(self.items[positions].astype("int64")),
            torch.from_numpy(self.ratings[positions]),
            torch.from_numpy(real),
        )

    def batches(self, size: int, noise: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Users with ratings, in groups of about `size` ratings whose users have about equally many.

        `noise` [n] is added to the counts, so that the groups differ from one epoch to the next.
        """
        counts = self.counts
        order = np.argsort(counts if noise is None else counts + noise, kind="stable")
        order = order[counts[order] > 0]
        filled = np.cumsum(counts[order]) // max(1, size)
        return iter(np.split(order, np.flatnonzero(np.diff(filled)) + 1))
