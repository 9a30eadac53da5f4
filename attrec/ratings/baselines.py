"""Global mean and user/item bias: the figures that every other rating model has to beat.

Koren & Bell, "Advances in Collaborative Filtering", eq. 5.1: b_ui = μ + b_u + b_i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from attrec.models.base import Parameters, Saved
from attrec.models.tunable import Range
from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.model import RatingConfig, RatingData, RatingModel


@dataclass(frozen=True)
class Biases:
    """μ, b_u [n_users] and b_i [n_items], in rating units."""

    mean: float
    user: np.ndarray
    item: np.ndarray

    @classmethod
    def fit(
        cls, ratings: EncodedRatings, user_regularization: float, item_regularization: float, sweeps: int = 10
    ) -> Biases:
        """Minimise Σ(r - b_ui)² + λ_u Σb_u² + λ_i Σb_i² by alternating exact solutions."""
        mean = float(ratings.values.mean(dtype="float64"))
        centred = ratings.values.astype("float64") - mean
        user_counts = np.bincount(ratings.users, minlength=ratings.n_users)
        item_counts = np.bincount(ratings.items, minlength=ratings.n_items)
        user = np.zeros(ratings.n_users)
        for _ in range(sweeps):
            item_sums = np.bincount(ratings.items, centred - user[ratings.users], minlength=ratings.n_items)
            item = item_sums / np.maximum(item_counts + item_regularization, 1e-9)
            user_sums = np.bincount(ratings.users, centred - item[ratings.items], minlength=ratings.n_users)
            user = user_sums / np.maximum(user_counts + user_regularization, 1e-9)
        return cls(mean, user, item)

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """b_ui of coded pairs, whose shapes may be broadcast; an unknown user or item (-1) has bias 0."""
        user = np.where(users >= 0, self.user[users], 0.0)
        item = np.where(items >= 0, self.item[items], 0.0)
        return self.mean + user + item


class GlobalMean(RatingModel):
    """Predicts the mean training rating for every pair.

    >>> import pandas as pd
    >>> from attrec.ratings import GlobalMean
    >>> ratings = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7], "rating": [5, 3, 4]})
    >>> GlobalMean().fit(ratings).predict(pd.DataFrame({"user_id": [2], "item_id": [8]})).tolist()
    [4.0]
    """

    seeded = False
    chooses = False

    def _fit(self, data: RatingData) -> None:
        self.mean = float(data.encoded.values.mean(dtype="float64"))

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        return np.full(len(pairs), self.mean)

    def score_known(self, users: np.ndarray) -> np.ndarray:
        return np.full((len(users), len(self.catalogue.items)), self.mean)

    @property
    def trained(self) -> int:
        return 1

    def parameters(self) -> Parameters:
        return Parameters(values={"mean": self.mean})

    def take(self, saved: Saved) -> None:
        self.mean = float(saved.values["mean"])


class UserItemBiasConfig(RatingConfig):
    """Candidates for the two ridge strengths; the pair with the lowest validation RMSE is used."""

    user_regularizations: Annotated[tuple[float, ...], Range(0.1, 100.0, log=True)] = Field(
        default=(1.0, 2.0, 5.0, 10.0, 20.0), min_length=1
    )
    """λ_u, in ratings: a bias seen in λ ratings is halved. Without validation the middle candidate serves."""
    item_regularizations: Annotated[tuple[float, ...], Range(0.1, 100.0, log=True)] = Field(
        default=(1.0, 2.0, 5.0, 10.0, 20.0), min_length=1
    )
    """λ_i, likewise."""


class UserItemBias(RatingModel):
    """μ + b_u + b_i; validation chooses the regularisation and is not fitted on.

    >>> import pandas as pd
    >>> from attrec.ratings import UserItemBias
    >>> ratings = pd.DataFrame({"user_id": [1, 1, 2, 3], "item_id": [7, 8, 7, 8], "rating": [5, 3, 4, 1]})
    >>> model = UserItemBias(user_regularizations=(1.0,), item_regularizations=(1.0,)).fit(ratings)
    >>> model.predict(pd.DataFrame({"user_id": [2, 3], "item_id": [8, 7]})).round(1).tolist()
    [2.5, 3.1]
    """

    config_class = UserItemBiasConfig
    seeded = False

    config: UserItemBiasConfig

    def _fit(self, data: RatingData) -> None:
        users, items = self.config.user_regularizations, self.config.item_regularizations
        chosen = users[len(users) // 2], items[len(items) // 2]
        if data.held_out is not None:
            losses = {}
            for pair in ((u, i) for u in users for i in items):
                biases = Biases.fit(data.encoded, *pair)
                errors = biases.predict(data.held_out.users, data.held_out.items) - data.held_out.values
                losses[pair] = float(np.mean(errors**2))
            chosen = min(losses, key=losses.__getitem__)
        self.regularizations = chosen
        self.biases = Biases.fit(data.encoded, *chosen)

    def chosen_config(self) -> UserItemBiasConfig:
        user, item = self.regularizations
        return UserItemBiasConfig(user_regularizations=(user,), item_regularizations=(item,))

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        users, items = self.catalogue.encode(pairs)
        predicted = self.biases.predict(users, items)
        if history is not None and len(history):
            predicted += pairs["user_id"].map(self._new_user_biases(history)).fillna(0.0).to_numpy()
        return np.clip(predicted, *self.rating_range)

    def score_known(self, users: np.ndarray) -> np.ndarray:
        items = np.arange(len(self.catalogue.items))
        return np.clip(self.biases.predict(users[:, None], items), *self.rating_range)

    def _new_user_biases(self, history: pd.DataFrame) -> pd.Series:
        """b_u of the users in `history` that training did not know, by the same ridge formula."""
        new = history[self.catalogue.users.get_indexer(pd.Index(history["user_id"])) < 0]
        users, items = self.catalogue.encode(new)
        residual = pd.Series(new["rating"].to_numpy() - self.biases.predict(users, items))
        grouped = residual.groupby(new["user_id"].to_numpy())
        return grouped.sum() / (grouped.size() + self.regularizations[0])

    @property
    def trained(self) -> int:
        return 1 + self.biases.user.size + self.biases.item.size

    def parameters(self) -> Parameters:
        return Parameters(
            {"user": self.biases.user, "item": self.biases.item},
            {"mean": self.biases.mean, "regularizations": self.regularizations},
        )

    def take(self, saved: Saved) -> None:
        user, item = saved.values["regularizations"]
        self.regularizations = user, item
        self.biases = Biases(saved.values["mean"], saved.arrays["user"], saved.arrays["item"])
