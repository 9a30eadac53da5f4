"""A neighbourhood model without a k: biases, and what they leave unexplained among all similar items and users.

Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering" (2010), eq. 3, with two kinds of
similarity from either side, whose shares are fitted.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrec.models.base import Parameters, Saved
from attrec.ratings.baselines import Biases
from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.folds import fold_of_rows
from attrec.ratings.model import RatingConfig, RatingData, RatingModel
from attrec.ratings.neighbourhoods.residuals import (
    REGULARIZATION,
    mean_residual,
    neighbour_residuals,
    neighbour_weights,
    residual_matrices,
)

BIAS_REGULARIZATION = 5.0
SHARES_RIDGE = 5.0
"""Strength of the shares of the configuration, in squared rating units."""
HELD_OUT = 10
"""One rating in so many is held out to fit the shares."""


class ResidualNeighboursConfig(RatingConfig):
    """What the parts of a prediction count; with `fit_shares`, where least squares on held-out ratings start from."""

    fit_shares: bool = True
    """Hold a tenth of the training ratings out, fit the shares on it, and compare all with all once more."""
    intercept: float = 0.0
    bias: float = 1.0
    """Share of b_u + b_i."""
    correlated_items: float = 0.7
    corated_items: float = 1.0
    correlated_users: float = 0.65
    corated_users: float = 2.5

    @property
    def shares(self) -> np.ndarray:
        """As `ResidualNeighbours._parts` orders them, and the intercept last."""
        return np.array(
            [
                self.bias,
                self.correlated_items,
                self.corated_items,
                self.correlated_users,
                self.corated_users,
                self.intercept,
            ]
        )


class ResidualNeighbours(RatingModel):
    """μ + b_u + b_i and four mean residuals of neighbours, each with its share.

    Somebody new with a history has biases and similar items, but no similar users. Holds matrices of n_users x n_items
    and n_items² numbers; fitting also takes some of n_users².

    >>> import pandas as pd
    >>> from attrec.ratings import ResidualNeighbours
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> model = ResidualNeighbours().fit(ratings)
    >>> sorted(model.recommend(0, k=2)["item_id"])
    [0, 10]
    """

    config_class = ResidualNeighboursConfig
    seeded = False

    config: ResidualNeighboursConfig

    def _fit(self, data: RatingData) -> None:
        """The features serve only to name users and items, and validation is not looked at.

        Raises:
            DataError: there are too many users or items to compare all with all.
        """
        encoded = data.encoded
        self.shares = self.config.shares
        held_out = fold_of_rows(data.ratings, HELD_OUT, 0, 0) == 0
        if self.config.fit_shares and 0 < held_out.sum() < len(encoded):
            matrices = self._compare(encoded.where(~held_out))
            self.shares = self._fitted_shares(matrices, encoded.where(held_out))
        matrices = self._compare(encoded)
        self.unexplained = np.zeros_like(matrices[0])
        for share, matrix in zip(self.shares[1:-1], matrices, strict=True):
            self.unexplained += np.float32(share) * matrix

    def chosen_config(self) -> ResidualNeighboursConfig:
        names = (
            "bias",
            "correlated_items",
            "corated_items",
            "correlated_users",
            "corated_users",
            "intercept",
        )
        shares = dict(zip(names, self.shares.tolist(), strict=True))
        return ResidualNeighboursConfig(fit_shares=False, **shares)

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        users, items = self.catalogue.encode(pairs)
        levels = self._level(self.biases.predict(users, items))
        known = (users >= 0) & (items >= 0)
        levels[known] += self.unexplained[users[known], items[known]]
        if history is not None and len(history):
            new_users, level, unexplained = self._of_new_users(history)
            codes = new_users.get_indexer(pd.Index(pairs["user_id"]))
            new = (users < 0) & (codes >= 0)
            rated = new & (items >= 0)
            item_bias = np.where(items >= 0, self.biases.item[items], 0.0)
            levels[new] = self._level(self.biases.mean + level[codes[new]] + item_bias[new])
            levels[rated] += unexplained[codes[rated], items[rated]]
        return np.clip(levels, *self.rating_range)

    def score_known(self, users: np.ndarray) -> np.ndarray:
        items = np.arange(len(self.catalogue.items))
        levels = self._level(self.biases.predict(users[:, None], items))
        return np.clip(levels + self.unexplained[users], *self.rating_range)

    def _level(self, biased: np.ndarray) -> np.ndarray:
        level: np.ndarray = self.biases.mean + self.shares[-1] + self.shares[0] * (biased - self.biases.mean)
        return level

    def _compare(self, ratings: EncodedRatings) -> list[np.ndarray]:
        """Biases and item weights of `ratings`, and their four matrices of neighbours' residuals."""
        self.biases = Biases.fit(ratings, BIAS_REGULARIZATION, BIAS_REGULARIZATION)
        residuals = ratings.values - self.biases.predict(ratings.users, ratings.items)
        matrices = neighbour_residuals(ratings, residuals)
        self.item_weights = neighbour_weights(*residual_matrices(ratings, residuals))
        return list(matrices.values())

    def _fitted_shares(self, matrices: list[np.ndarray], held_out: EncodedRatings) -> np.ndarray:
        """Least squares on ratings that neither biases nor matrices know, ridged towards the configuration."""
        users, items = held_out.users, held_out.items
        biased = self.biases.predict(users, items) - self.biases.mean
        parts = [matrix[users, items] for matrix in matrices]
        inputs = np.column_stack([biased, *parts, np.ones(len(held_out))]).astype("float64")
        start = self.config.shares
        left = held_out.values - self.biases.mean - inputs @ start
        gram = inputs.T @ inputs + SHARES_RIDGE * np.eye(len(start))
        fitted: np.ndarray = start + np.linalg.solve(gram, inputs.T @ left)
        return fitted

    def _of_new_users(self, history: pd.DataFrame) -> tuple[pd.Index, np.ndarray, np.ndarray]:
        """Who rated a known item in `history`, b_u [n], and what is left unexplained of all items [n, n_items]."""
        newcomers = self.catalogue.newcomers(history)
        people, rows, items = newcomers.ids, newcomers.users, newcomers.items
        left = newcomers.ratings - self.biases.mean - self.biases.item[items]
        counts = np.bincount(rows, minlength=len(people))
        level = np.bincount(rows, left, minlength=len(people)) / (counts + BIAS_REGULARIZATION)
        errors, observed = np.zeros((2, len(people), len(self.catalogue.items)), dtype="float32")
        errors[rows, items] = left - level[rows]
        observed[rows, items] = 1.0
        unexplained = np.zeros_like(errors)
        for share, (kind, weights) in zip(self.shares[1:3], self.item_weights.items(), strict=True):
            mean = mean_residual(errors, observed, weights, REGULARIZATION[kind])
            unexplained += np.float32(share) * mean
        return people, level, unexplained

    def parameters(self) -> Parameters:
        arrays = {"unexplained": self.unexplained, "shares": self.shares}
        arrays |= {"bias.user": self.biases.user, "bias.item": self.biases.item}
        arrays |= {f"weights.{kind}": weights for kind, weights in self.item_weights.items()}
        return Parameters(arrays, {"mean": self.biases.mean})

    def take(self, saved: Saved) -> None:
        arrays = saved.arrays
        self.biases = Biases(saved.values["mean"], arrays["bias.user"], arrays["bias.item"])
        self.unexplained, self.shares = arrays["unexplained"], arrays["shares"]
        self.item_weights = {kind: arrays[f"weights.{kind}"] for kind in REGULARIZATION}
