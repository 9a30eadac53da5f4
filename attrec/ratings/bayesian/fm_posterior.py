"""Samples of a factorisation machine, summed over the columns of every user and item, and what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse
from scipy.special import ndtr

from attrec.ratings.bayesian.fm_gibbs import FMSample
from attrec.ratings.bayesian.relation_blocks import Block

BATCH = 32_768

RowSums = tuple[np.ndarray, np.ndarray]
"""`linear` [rows], Σ w_j x_j + Σ_{j<l} <v_j, v_l> x_j x_l within a row; `total` [rows, rank], Σ v_j x_j.

The score of rows a and b side by side is w_0 + linear_a + linear_b + <total_a, total_b>.
"""


def row_sums(rows: sparse.csr_matrix, weights: np.ndarray, factors: np.ndarray) -> RowSums:
    """Sums of `rows` [rows, columns] under w [columns] and V [columns, rank]."""
    total = rows @ factors
    squares = rows.multiply(rows) @ np.square(factors).sum(axis=1)
    return rows @ weights + (np.square(total).sum(axis=1) - squares) / 2, total


def joined(one: RowSums, other: RowSums) -> RowSums:
    """Sums of rows that are two rows side by side."""
    return one[0] + other[0] + (one[1] * other[1]).sum(axis=1), one[1] + other[1]


@dataclass(frozen=True)
class Posterior:
    """S samples, float32; sums where the rows are fixed at training, columns where they are not."""

    intercept: np.ndarray
    """[S]"""
    cutpoints: np.ndarray
    """[S, classes - 1] of ordered probit; [S, 0] of a Gaussian."""
    user_linear: np.ndarray
    """[S, n_users + 1]; the last is somebody unknown, before any rating."""
    user_total: np.ndarray
    """[S, n_users + 1, rank]"""
    item_linear: np.ndarray
    """[S, n_items + 1]"""
    item_total: np.ndarray
    """[S, n_items + 1, rank]"""
    rated_weights: np.ndarray
    """[S, n_items] of the columns for what a user has rated, [S, 0] without them."""
    rated_factors: np.ndarray
    """[S, n_items, rank]"""
    knot_weights: np.ndarray
    """[S, knots] of the timeline, [S, 0] without it."""
    knot_factors: np.ndarray
    """[S, knots, rank]"""

    @classmethod
    def of_sample(cls, sample: FMSample, blocks: Sequence[Block], rated: int) -> Self:
        """One sample.

        Args:
            blocks: users, items and, with a timeline, knots.
            rated: how many of the user columns, after those of the ids, are for what a user has rated.
        """
        sums = [
            row_sums(block.rows, weights, factors)
            for block, weights, factors in zip(
                blocks[:2], sample.weights[:2], sample.factors[:2], strict=True
            )
        ]
        first = blocks[0].rows.shape[0]
        columns = slice(first, first + rated)
        knots = (sample.weights[2], sample.factors[2]) if len(blocks) > 2 else (np.empty(0), np.empty((0, 0)))
        arrays = (
            np.array(sample.intercept),
            sample.cutpoints,
            *sums[0],
            *sums[1],
            sample.weights[0][columns],
            sample.factors[0][columns],
            *knots,
        )
        return cls(*(array[None].astype("float32") for array in arrays))

    @classmethod
    def pooled(cls, parts: Sequence[Self]) -> Self:
        """All samples of `parts`."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__)
        )

    def averaged(
        self,
        users: np.ndarray,
        items: np.ndarray,
        knots: sparse.csr_matrix | None,
        rated: sparse.csr_matrix | None,
    ) -> np.ndarray:
        """Mean over the samples: of the score [n, 1], or of the probability to be above each cutpoint [n, classes - 1].

        Args:
            users: [n] codes, or with `rated` its rows.
            items: [n] codes.
            knots: [n, knots] with a timeline.
            rated: [new users, n_items] what unknown users have rated.
        """
        averaged = np.zeros((len(users), max(1, self.cutpoints.shape[1])))
        knots = None if knots is None else knots.astype("float32")
        rated = None if rated is None else rated.astype("float32")
        for s, intercept in enumerate(self.intercept):
            user = self.user_linear[s], self.user_total[s]
            if rated is not None:
                unknown = user[0][-1:], user[1][-1:]
                user = joined(unknown, row_sums(rated, self.rated_weights[s], self.rated_factors[s]))
            for start in range(0, len(users), BATCH):
                batch = slice(start, start + BATCH)
                of_user = user[0][users[batch]], user[1][users[batch]]
                if knots is not None:
                    moment = row_sums(knots[batch], self.knot_weights[s], self.knot_factors[s])
                    of_user = joined(of_user, moment)
                of_item = self.item_linear[s, items[batch]], self.item_total[s, items[batch]]
                score = intercept + joined(of_user, of_item)[0]
                if self.cutpoints.shape[1]:
                    averaged[batch] += ndtr(score[:, None] - self.cutpoints[s])
                else:
                    averaged[batch, 0] += score
        return averaged / len(self.intercept)

    def expected(
        self, users: np.ndarray, knots: sparse.csr_matrix | None, values: Sequence[float]
    ) -> np.ndarray:
        """Mean rating [n, items] over the samples of all items by `users` [n], as of `averaged` pair by pair.

        Args:
            knots: [n, knots] with a timeline.
            values: The rating values, ascending, of ordered probit.
        """
        knots = None if knots is None else knots.astype("float32")
        n_items = self.item_linear.shape[1] - 1
        expected = np.full((len(users), n_items), values[0] if values else 0.0)
        for s, intercept in enumerate(self.intercept):
            of_user = self.user_linear[s, users], self.user_total[s, users]
            if knots is not None:
                of_user = joined(of_user, row_sums(knots, self.knot_weights[s], self.knot_factors[s]))
            linear, total = of_user
            score = total @ self.item_total[s, :n_items].T
            score += intercept + linear[:, None] + self.item_linear[s, :n_items]
            if values:
                for step, cutpoint in zip(np.diff(values), self.cutpoints[s], strict=True):
                    expected += step / len(self.intercept) * ndtr(score - cutpoint)
            else:
                expected += score / len(self.intercept)
        return expected
