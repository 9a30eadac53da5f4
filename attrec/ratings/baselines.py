"""Global mean and user/item bias: the figures that every other rating model has to beat.

Koren & Bell, "Advances in Collaborative Filtering", eq. 5.1: b_ui = μ + b_u + b_i.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.ratings.catalogue import Catalogue, EncodedRatings
from attrec.ratings.model import RatingModel


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
        """b_ui of coded pairs; an unknown user or item (-1) has bias 0."""
        user = np.where(users >= 0, self.user[users], 0.0)
        item = np.where(items >= 0, self.item[items], 0.0)
        return self.mean + user + item


class GlobalMean(RatingModel):
    """Predicts the mean training rating for every pair."""

    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
        validation: pd.DataFrame | None = None,
    ) -> Self:
        self.catalogue = Catalogue.of(user_features, item_features)
        encoded = self.catalogue.encode_ratings(ratings)
        self.remember_seen(encoded)
        self.mean = float(encoded.values.mean(dtype="float64"))
        return self

    def predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> np.ndarray:
        return np.full(len(pairs), self.mean)

    def save(self, directory: Path) -> None:
        self.save_base(directory)
        write_json(directory / "global_mean.json", {"mean": self.mean})

    @classmethod
    def load(cls, directory: Path) -> Self:
        model = cls()
        model.load_base(directory)
        model.mean = float(read_json(directory / "global_mean.json")["mean"])
        return model


class UserItemBiasConfig(BaseModel):
    """Candidates for the two ridge strengths; the pair with the lowest validation RMSE is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_regularizations: tuple[float, ...] = Field(default=(1.0, 2.0, 5.0, 10.0, 20.0), min_length=1)
    """λ_u, in ratings: a bias seen in λ ratings is halved. Without validation the middle candidate serves."""
    item_regularizations: tuple[float, ...] = Field(default=(1.0, 2.0, 5.0, 10.0, 20.0), min_length=1)
    """λ_i, likewise."""


class UserItemBias(RatingModel):
    """μ + b_u + b_i; validation chooses the regularisation and is not fitted on."""

    def __init__(self, config: UserItemBiasConfig | None = None) -> None:
        self.config = config or UserItemBiasConfig()

    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
        validation: pd.DataFrame | None = None,
    ) -> Self:
        self.catalogue = Catalogue.of(user_features, item_features)
        encoded = self.catalogue.encode_ratings(ratings)
        users, items = self.config.user_regularizations, self.config.item_regularizations
        chosen = users[len(users) // 2], items[len(items) // 2]
        if validation is not None:
            held_out = self.catalogue.encode_ratings(validation)
            losses = {}
            for pair in ((u, i) for u in users for i in items):
                biases = Biases.fit(encoded, *pair)
                errors = biases.predict(held_out.users, held_out.items) - held_out.values
                losses[pair] = float(np.mean(errors**2))
            chosen = min(losses, key=losses.__getitem__)
        self.regularizations = chosen
        self.biases = Biases.fit(encoded, *chosen)
        self.remember_seen(encoded)
        return self

    def chosen_config(self) -> UserItemBiasConfig:
        """The configuration that a fit on training + validation rows shall have."""
        user, item = self.regularizations
        return UserItemBiasConfig(user_regularizations=(user,), item_regularizations=(item,))

    def predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> np.ndarray:
        users, items = self.catalogue.encode(pairs)
        predicted = self.biases.predict(users, items)
        if history is not None and len(history):
            predicted += pairs["user_id"].map(self._new_user_biases(history)).fillna(0.0).to_numpy()
        return np.clip(predicted, *self.rating_range)

    def _new_user_biases(self, history: pd.DataFrame) -> pd.Series:
        """b_u of the users in `history` that training did not know, by the same ridge formula."""
        new = history[self.catalogue.users.get_indexer(pd.Index(history["user_id"])) < 0]
        users, items = self.catalogue.encode(new)
        residual = pd.Series(new["rating"].to_numpy() - self.biases.predict(users, items))
        grouped = residual.groupby(new["user_id"].to_numpy())
        return grouped.sum() / (grouped.size() + self.regularizations[0])

    def save(self, directory: Path) -> None:
        self.save_base(directory)
        write_arrays(directory / "biases.safetensors", {"user": self.biases.user, "item": self.biases.item})
        content = {
            "config": self.config.model_dump(),
            "mean": self.biases.mean,
            "regularizations": self.regularizations,
        }
        write_json(directory / "user_item_bias.json", content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        content = read_json(directory / "user_item_bias.json")
        model = cls(UserItemBiasConfig(**content["config"]))
        model.load_base(directory)
        arrays = read_arrays(directory / "biases.safetensors")
        model.regularizations = tuple(content["regularizations"])
        model.biases = Biases(content["mean"], arrays["user"], arrays["item"])
        return model
