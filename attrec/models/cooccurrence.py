"""Which items go together: similarities of items to their nearest neighbours, counted over who has both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from scipy.sparse import csr_array, vstack

from attrec.datasets.histories import Histories

Number = TypeVar("Number", int, float)
_ITEMS_AT_ONCE = 512  # rows of the co-occurrence matrix
_BACK_OFF = 1e-6  # of popularity among similarities: it orders what no neighbour speaks for, and little else


@dataclass(frozen=True)
class ItemNeighbours:
    """Σ over the items j that somebody has of w_j · sim(j, i), sim = n_ij / (sqrt(n_i n_j) + shrinkage).

    Item-based top-N recommendation with the cosine (Deshpande & Karypis 2004, Section 4), counted over histories. What
    no item speaks for is in order of popularity.
    """

    similarities: csr_array
    """[items, items] of each item (row) to its nearest neighbours."""
    popularity: np.ndarray
    """[items] share of all actions (float32)."""

    @classmethod
    def of(
        cls, histories: Histories, n_items: int, shrinkages: Iterable[float], neighbours: int
    ) -> list[Self]:
        """For each shrinkage, those of so many neighbours."""
        popularity = shares(histories)
        return [
            cls(matrix, popularity) for matrix in similarities(histories, n_items, shrinkages, neighbours)
        ]

    def nearest(self, count: int) -> Self:
        """The nearest `count` neighbours of each item alone."""
        return type(self)(largest(self.similarities, count), self.popularity)

    def score(self, histories: Histories, weights: np.ndarray) -> np.ndarray:
        """Scores [n, items] (float32).

        Args:
            weights: [actions] how loudly each action of the histories speaks (float32).
        """
        # Rows as they are: built from coordinates, repeated items would be summed in an order of scipy's own.
        shape = (len(histories), len(self.popularity))
        speaking = csr_array((weights, histories.items, histories.start), shape=shape)
        scores: np.ndarray = (speaking @ self.similarities).toarray()
        return scores + np.float32(_BACK_OFF) * self.popularity

    def arrays(self) -> dict[str, np.ndarray]:
        """What to save."""
        return {"popularity": self.popularity, **arrays_of(self.similarities)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Take back what `arrays` gave."""
        return cls(matrix_of(arrays, len(arrays["popularity"])), arrays["popularity"])


def shares(histories: Histories) -> np.ndarray:
    """[items] share of all actions (float32)."""
    return (np.bincount(histories.items) / len(histories.items)).astype("float32")


def similarities(
    histories: Histories, n_items: int, shrinkages: Iterable[float], neighbours: int
) -> list[csr_array]:
    """For each shrinkage, the similarities [items, items] of each item (row) to its nearest neighbours.

    Computed for some rows at a time, so that all pairs are never in memory together.
    """
    ones = np.ones(len(histories.items), dtype="float32")
    did = csr_array((ones, histories.items, histories.start), shape=(len(histories), n_items), copy=True)
    did.sum_duplicates()
    did.data[:] = 1  # done twice is done
    by_item = did.T.tocsr()
    users = np.diff(by_item.indptr).astype("float32")
    blocks: dict[float, list[csr_array]] = {shrinkage: [] for shrinkage in shrinkages}
    for first in range(0, n_items, _ITEMS_AT_ONCE):
        common = (by_item[first : first + _ITEMS_AT_ONCE] @ did).tocoo()
        others = common.row + first != common.col
        row, column, n_common = common.row[others], common.col[others], common.data[others]
        geometric_mean = np.sqrt(users[row + first] * users[column])
        for shrinkage, rows in blocks.items():
            similar = csr_array((n_common / (geometric_mean + shrinkage), (row, column)), shape=common.shape)
            rows.append(largest(similar, neighbours))
    return [vstack(rows, format="csr") for rows in blocks.values()]


def largest(matrix: csr_array, count: int) -> csr_array:
    """The `count` largest entries of each row; of equal ones those that come first."""
    kept = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(matrix.indptr) > count):
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        values = matrix.data[entries]
        lowest = np.partition(values, len(values) - count)[len(values) - count]
        above = values > lowest
        level = np.flatnonzero(values == lowest)
        above[level[: count - np.count_nonzero(above)]] = True
        kept[entries] = above
    before = np.concatenate([[0], np.cumsum(kept)])
    return csr_array((matrix.data[kept], matrix.indices[kept], before[matrix.indptr]), shape=matrix.shape)


def arrays_of(matrix: csr_array) -> dict[str, np.ndarray]:
    """A square matrix as arrays to save."""
    return {"values": matrix.data, "columns": matrix.indices, "starts": matrix.indptr}


def matrix_of(arrays: Mapping[str, np.ndarray], size: int) -> csr_array:
    """Take back what `arrays_of` gave."""
    return csr_array((arrays["values"], arrays["columns"], arrays["starts"]), shape=(size, size))


def middle(candidates: Sequence[Number]) -> Number:
    """The candidate that serves where nothing says which is best."""
    return candidates[len(candidates) // 2]
