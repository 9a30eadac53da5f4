"""k nearest neighbours as scikit-surprise defines them, predicted some users at a time by matrix products.

Hug, "Surprise: A Python library for recommender systems", JOSS 5(52), 2020: KNNBasic, KNNWithMeans, KNNWithZScore,
KNNBaseline. The library takes a heap through a Python loop for each pair and keeps similarities of n² numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field, field_validator

from attrec.models.base import Config
from attrec.ratings.catalogue import EncodedRatings

Similarity = Literal["msd", "cosine", "pearson", "pearson_baseline"]
SIMILARITIES_AT_ONCE = 2**23


class SimilarityOptions(Config):
    """The library's `sim_options`."""

    model_config = ConfigDict(strict=True)

    name: Similarity = "msd"
    """In capitals or not."""
    user_based: bool = True
    """Neighbours are users, or else items."""
    min_support: int = Field(default=1, ge=1)
    """Two rows with fewer columns in common have similarity 0."""
    shrinkage: float = Field(default=100, ge=0, allow_inf_nan=False)
    """Of pearson_baseline, in columns."""

    @field_validator("name", mode="before")
    @classmethod
    def _small_letters(cls, name: object) -> object:
        return name.lower() if isinstance(name, str) else name


class BaselineOptions(Config):
    """The library's `bsl_options`; what is not given has the default of the method."""

    model_config = ConfigDict(strict=True)

    method: Literal["als", "sgd"] = "als"
    n_epochs: int | None = Field(default=None, ge=1, le=10**6)
    reg_u: float | None = Field(default=None, ge=0)
    """Of als, as reg_i."""
    reg_i: float | None = Field(default=None, ge=0)
    reg: float | None = Field(default=None, ge=0)
    """Of sgd, as learning_rate."""
    learning_rate: float | None = Field(default=None, gt=0)


class NeighbourOptions(Config):
    """Which neighbours count; names and defaults are the library's."""

    model_config = ConfigDict(strict=True)

    k: int = Field(default=40, ge=1)
    """How many at most."""
    min_k: int = Field(default=1, ge=1)
    """With fewer than these, none count."""
    sim_options: SimilarityOptions = SimilarityOptions()
    bsl_options: BaselineOptions = BaselineOptions()
    """Of the biases in KNNBaseline and pearson_baseline."""


@dataclass(frozen=True)
class Neighbours:
    """Weighted mean of what the k most similar rows say of a column; rows are users, or items if not `user_based`.

    prediction = level + row_centre + column_centre + row_scale · Σ s·z / Σ s over the neighbours with s > 0, where z
    is a neighbour's own rating with its centre taken off and its scale divided out.

    Memory: three dense float64 matrices [rows, columns] (240 MB for 10,000 × 1,000) and five or so of
    `SIMILARITIES_AT_ONCE` numbers (64 MB each).
    """

    rows: np.ndarray
    """[ratings] row codes, in the order of the training table: among equal similarities the first ones count."""
    columns: np.ndarray
    """[ratings] column codes."""
    values: np.ndarray
    """[ratings] rating units."""
    compared: np.ndarray
    """[ratings] what similarities compare: the ratings, or their distance from the baseline in pearson_baseline."""
    level: float
    """Centre that all share, in rating units."""
    row_centre: np.ndarray
    """[rows] rating units."""
    column_centre: np.ndarray
    """[columns] rating units."""
    row_scale: np.ndarray
    """[rows] rating units."""
    fallback: float | None
    """Prediction where there are fewer than `min_k` neighbours; None: the centre."""
    user_based: bool
    k: int
    min_k: int
    similarity: Similarity
    min_support: int
    """Two rows with fewer columns in common have similarity 0."""
    shrinkage: float
    """Of pearson_baseline, in columns."""

    @classmethod
    def of(
        cls,
        algorithm: str,
        ratings: EncodedRatings,
        user_bias: np.ndarray,
        item_bias: np.ndarray,
        options: NeighbourOptions,
    ) -> Neighbours:
        """Centres and scales of one of the four algorithms; the biases [n_users], [n_items] are BaselineOnly's."""
        similar = options.sim_options
        rows, columns, bias, column_bias = ratings.users, ratings.items, user_bias, item_bias
        if not similar.user_based:
            rows, columns, bias, column_bias = columns, rows, column_bias, bias
        values = ratings.values.astype("float64")
        mean = float(values.mean())
        n_rows, n_columns = len(bias), len(column_bias)
        level, row_centre, column_centre, row_scale = (
            0.0,
            np.zeros(n_rows),
            np.zeros(n_columns),
            np.ones(n_rows),
        )
        if algorithm in ("KNNWithMeans", "KNNWithZScore"):
            counts = np.maximum(np.bincount(rows, minlength=n_rows), 1)
            row_centre = np.bincount(rows, values, n_rows) / counts
            if algorithm == "KNNWithZScore":
                squares = np.bincount(rows, (values - row_centre[rows]) ** 2, n_rows)
                row_scale = np.sqrt(squares / counts)
                # Where all ratings are alike there is nothing to scale.
                row_scale[row_scale == 0] = values.std() or 1.0
        elif algorithm == "KNNBaseline":
            level, row_centre, column_centre = mean, bias, column_bias
        compared = values
        if similar.name == "pearson_baseline":
            compared = values - (mean + column_bias[columns] + bias[rows])
        return cls(
            rows.astype("int32"),
            columns.astype("int32"),
            values,
            compared,
            float(level),
            row_centre,
            column_centre,
            row_scale,
            float(mean) if algorithm == "KNNBasic" else None,
            similar.user_based,
            options.k,
            options.min_k,
            similar.name,
            similar.min_support,
            similar.shrinkage,
        )

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictions [n] of coded pairs whose user and item both have training ratings; not clipped."""
        rows, columns = (users, items) if self.user_based else (items, users)
        order = np.lexsort((columns, rows))
        predicted = np.empty(len(rows))
        ordered, asked = rows[order], np.unique(rows)
        size = max(1, SIMILARITIES_AT_ONCE // len(self.row_centre))
        for start in range(0, len(asked), size):
            group = asked[start : start + size]
            similarities = self.similarities(group)
            low, high = np.searchsorted(ordered, [group[0], group[-1] + 1])
            for pairs in _by_value(order[low:high], columns):
                column = int(columns[pairs[0]])
                raters = self._by_column[self._starts[column] : self._starts[column + 1]]
                near = similarities[np.searchsorted(group, rows[pairs])][:, self.rows[raters]]
                predicted[pairs] = self._weighted_mean(near, raters, rows[pairs], column)
        return predicted

    def similarities(self, group: np.ndarray) -> np.ndarray:
        """Similarity [g, rows] of some rows with all."""
        x, rated = self._compared, self._rated
        common = rated[group] @ rated.T
        products = x[group] @ x.T
        left = self._squares[group] @ rated.T
        right = rated[group] @ self._squares.T
        supported = common >= max(self.min_support, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.similarity == "msd":
                similar = 1 / ((left + right - 2 * products) / common + 1)
            elif self.similarity == "pearson":
                left_sum, right_sum = x[group] @ rated.T, rated[group] @ x.T
                spread = np.sqrt((common * left - left_sum**2) * (common * right - right_sum**2))
                similar = (common * products - left_sum * right_sum) / spread
            else:
                similar = products / np.sqrt(left * right)
            if self.similarity == "pearson_baseline":
                similar *= (common - 1) / (common - 1 + self.shrinkage)
                supported &= common >= 2
        similar[~supported | ~np.isfinite(similar)] = 0
        similar[np.arange(len(group)), group] = 1
        return similar

    def _weighted_mean(
        self, near: np.ndarray, raters: np.ndarray, rows: np.ndarray, column: int
    ) -> np.ndarray:
        """Predictions [p] of `rows` for one column from similarities [p, r] with those who rated it."""
        weights = _largest(near, self.k)
        centre = self.level + self.column_centre[column]
        who = self.rows[raters]
        standing = (self.values[raters] - centre - self.row_centre[who]) / self.row_scale[who]
        total, counted = weights.sum(axis=1), (weights > 0).sum(axis=1)
        enough = (counted >= self.min_k) & (total > 0)
        mean = np.where(enough, (weights * standing).sum(axis=1) / np.where(enough, total, 1), 0.0)
        predicted = centre + self.row_centre[rows] + self.row_scale[rows] * mean
        return predicted if self.fallback is None else np.where(enough, predicted, self.fallback)

    @cached_property
    def _rated(self) -> np.ndarray:
        return self._matrix(np.ones(len(self.rows)))

    @cached_property
    def _compared(self) -> np.ndarray:
        return self._matrix(self.compared)

    @cached_property
    def _squares(self) -> np.ndarray:
        return self._matrix(self.compared**2)

    @cached_property
    def _by_column(self) -> np.ndarray:
        return np.argsort(self.columns, kind="stable")

    @cached_property
    def _starts(self) -> np.ndarray:
        counts = np.bincount(self.columns, minlength=len(self.column_centre))
        return np.concatenate([[0], np.cumsum(counts)])

    def _matrix(self, values: np.ndarray) -> np.ndarray:
        dense = np.zeros((len(self.row_centre), len(self.column_centre)))
        dense[self.rows, self.columns] = values
        return dense


def _largest(near: np.ndarray, k: int) -> np.ndarray:
    """`near` [p, r] with 0 for all but the k largest of each row, among equals the first, and for what is negative."""
    if near.shape[1] > k:
        threshold = np.partition(near, -k, axis=1)[:, -k, None]
        above, equal = near > threshold, near == threshold
        places = k - above.sum(axis=1, keepdims=True)
        near = np.where(above | (equal & (np.cumsum(equal, axis=1) <= places)), near, 0.0)
    return np.maximum(near, 0.0)


def _by_value(positions: np.ndarray, values: np.ndarray) -> Iterator[np.ndarray]:
    """`positions` in groups of equal `values`."""
    order = positions[np.argsort(values[positions], kind="stable")]
    yield from np.split(order, np.flatnonzero(np.diff(values[order])) + 1)
