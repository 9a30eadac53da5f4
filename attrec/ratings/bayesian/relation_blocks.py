"""The columns of a factorisation machine, in blocks of rows that many ratings share.

Blocks: Rendle, "Scaling Factorization Machines to Relational Data" (2013). Columns for what a user has rated and
who has rated an item: Rendle, Zhang & Koren, "On the Difficulty of Evaluating Baselines" (2019), Section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse


@dataclass(frozen=True)
class Block:
    """Rows, and which of them each training rating has."""

    codes: np.ndarray
    """[ratings] the row of each training rating."""
    rows: sparse.csr_matrix
    """[rows, columns] float64."""
    groups: tuple[int, ...]
    """Widths of consecutive groups of columns; those of one group share a prior."""

    @property
    def seen(self) -> np.ndarray:
        """[columns] whether any training rating has the column."""
        counts = np.bincount(self.codes, minlength=self.rows.shape[0])
        return np.asarray(abs(self.rows).T @ counts > 0)


def rated_together(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """`shape`: 1 / √n where a row has rated a column, n being all that it has rated.

    The ratings themselves are not in it, so a training rating's own block does not tell it.
    """
    counts = np.bincount(rows, minlength=shape[0])
    return sparse.csr_matrix((counts[rows] ** -0.5, (rows, columns)), shape=shape)


def entity_block(
    codes: np.ndarray, size: int, rated: sparse.csr_matrix | None, features: pd.DataFrame | None
) -> Block:
    """Block of `size` users or items: id, what it has rated or who has rated it, features.

    One more row, the last, is of somebody unknown: an id column that occurs in no rating, and mean features.
    """
    parts = [sparse.identity(size + 1, format="csr")]
    if rated is not None:
        parts.append(sparse.vstack([rated, sparse.csr_matrix((1, rated.shape[1]))]))
    if features is not None:
        values = features.to_numpy("float64")
        parts.append(sparse.csr_matrix(np.vstack([values, values.mean(axis=0)])))
    return Block(codes, sparse.hstack(parts, format="csr"), tuple(part.shape[1] for part in parts))


@dataclass(frozen=True)
class Timeline:
    """Moments as places among a user's ratings in order of time, for effects that last a few ratings.

    A user's n ratings have knots at 0, `spacing`, 2 `spacing`, … ratings; a moment weighs the knots on both sides
    of it, 1 in all, by how near they are. Users without ratings have knots that occur in no rating.
    """

    moments: np.ndarray
    """Timestamps that occur in training, ascending."""
    keys: np.ndarray
    """[ratings] user code and position of the timestamp in `moments` as one number, ascending."""
    counts: np.ndarray
    """[n_users + 1] ratings of each user; the last is of somebody unknown, with none."""
    spacing: int
    """Ratings from knot to knot."""

    @classmethod
    def of(cls, users: np.ndarray, timestamps: np.ndarray, n_users: int, spacing: int) -> Self:
        """The timeline of the training ratings."""
        moments, position = np.unique(timestamps, return_inverse=True)
        keys = np.sort(users.astype("int64") * (len(moments) + 1) + position)
        return cls(moments, keys, np.bincount(users, minlength=n_users + 1), spacing)

    @property
    def knots(self) -> np.ndarray:
        """[n_users + 1] how many knots each user has."""
        return self.counts // self.spacing + 2

    def weights(self, users: np.ndarray, timestamps: np.ndarray) -> sparse.csr_matrix:
        """[pairs, knots of all users]; users by code, the last being somebody unknown."""
        first = users.astype("int64") * (len(self.moments) + 1)
        before = np.searchsorted(self.keys, first + np.searchsorted(self.moments, timestamps, "left"))
        until = np.searchsorted(self.keys, first + np.searchsorted(self.moments, timestamps, "right"))
        start = np.cumsum(self.counts) - self.counts
        place = ((before + until) / 2 - start[users]) / self.spacing
        left = np.floor(place).astype("int64")
        first_knot = np.cumsum(self.knots) - self.knots
        column = first_knot[users] + left
        rows = np.arange(len(users))
        return sparse.csr_matrix(
            (
                np.concatenate([1 - (place - left), place - left]),
                (np.concatenate([rows, rows]), np.concatenate([column, column + 1])),
            ),
            shape=(len(users), int(self.knots.sum())),
        )

    def mean_weights(self, users: np.ndarray) -> sparse.csr_matrix:
        """As `weights`, at no moment: the mean over a user's ratings."""
        raters, position = np.divmod(self.keys, len(self.moments) + 1)
        own = self.weights(raters, self.moments[position])
        shape = len(self.counts), len(raters)
        mean = sparse.csr_matrix((1 / self.counts[raters], (raters, np.arange(len(raters)))), shape=shape)
        nobody = np.flatnonzero(self.counts == 0)
        none = self.weights(nobody, np.full(len(nobody), self.moments[0]))
        placed = sparse.csr_matrix(
            (np.ones(len(nobody)), (nobody, np.arange(len(nobody)))), shape=(shape[0], len(nobody))
        )
        return (mean @ own + placed @ none)[users]
