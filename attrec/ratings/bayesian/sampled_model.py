"""What models that average a Gibbs sample of their posterior have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from attrec.errors import DataError
from attrec.models.tunable import Choice, Range
from attrec.parameters import Rounds, Width
from attrec.ratings.baselines import Biases
from attrec.ratings.bayesian.ordered_probit import expected_rating, rating_values
from attrec.ratings.catalogue import Newcomers
from attrec.ratings.model import RatingConfig, RatingModel


class SamplingConfig(RatingConfig):
    """What the model sees beside the ratings, and how its posterior is sampled."""

    rank: Annotated[Width, Range(4, 64, log=True)] = 10
    """Size of the factors."""
    iterations: Rounds = 300
    """Gibbs iterations of a chain."""
    burn_in: int = Field(default=20, ge=0)
    """First iterations of a chain that are dropped."""
    chains: int = Field(default=1, ge=1, le=1000)
    """Independent chains whose samples are pooled: one chain alone visits a part of the posterior."""
    kept_samples: Rounds = 100
    """Samples kept of all chains, evenly spaced, one a chain at least; size and prediction time grow with it."""
    ordered: Annotated[bool, Choice((True, False))] = False
    """Ordered probit over the rating values; else Gaussian."""
    implicit_users: Annotated[bool, Choice((True, False))] = True
    """Of a user it sees the items they rated in training, 1 / √n each."""
    implicit_items: Annotated[bool, Choice((True, False))] = True
    """Of an item it sees the users who rated it in training, 1 / √n each."""
    side_features: Annotated[bool, Choice((True, False))] = True
    """It sees the columns of the feature tables."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.burn_in >= self.iterations:
            raise ValueError(f"burn_in must be below iterations ({self.iterations}), or no sample is left")
        return self

    @property
    def kept(self) -> np.ndarray:
        """The iterations, from 0, that are kept of each chain."""
        wanted = min(max(1, self.kept_samples // self.chains), self.iterations - self.burn_in)
        return np.linspace(self.iterations - 1, self.burn_in, wanted).round().astype(int)[::-1]


def chain_seed(seed: int, chain: int) -> int:
    """Far apart, so that models of neighbouring seeds share no chain."""
    return seed + 10_007 * chain


class SampledModel(RatingModel):
    """Averages over the samples; unknown items, and unknown users without history, are predicted by the biases."""

    chooses = False
    round_name = "iteration"

    config: SamplingConfig
    values: list[float]
    """The rating values, ascending, of ordered probit."""
    biases: Biases

    @property
    def rounds(self) -> int:
        return self.config.chains * self.config.iterations

    @classmethod
    def check_ratings(cls, config: SamplingConfig, values: np.ndarray) -> None:
        if config.ordered:
            rating_values(values)

    @classmethod
    def has_classes(cls, config: RatingConfig) -> bool:
        return isinstance(config, SamplingConfig) and config.ordered

    @property
    def classes(self) -> list[float] | None:
        return self.values if self.config.ordered else None

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        users, items = self.catalogue.encode(pairs)
        predicted = self.biases.predict(users, items)
        known = (users >= 0) & (items >= 0)
        predicted[known] = self._expected(self._averaged(users[known], items[known], pairs[known]))
        if history is not None and len(history):
            newcomers = self.catalogue.newcomers(history)
            codes = newcomers.ids.get_indexer(pd.Index(pairs["user_id"]))
            new = (users < 0) & (codes >= 0) & (items >= 0)
            if new.any():
                predicted[new] = self._predict_new(newcomers, codes[new], items[new])
        return np.clip(predicted, *self.rating_range)

    def score_known(self, users: np.ndarray) -> np.ndarray:
        return np.clip(self._expected_known(users), *self.rating_range)

    def probabilities(self, pairs: pd.DataFrame) -> np.ndarray:
        """As `RatingModel.probabilities`; ordered probit only."""
        if not self.config.ordered:
            raise DataError("a Gaussian machine has no class probabilities; fit one with ordered: true.")
        users, items = self.catalogue.encode(pairs)
        if (users < 0).any() or (items < 0).any():
            raise DataError("class probabilities are for known users and items; leave the other pairs out.")
        return -np.diff(self._averaged(users, items, pairs), axis=1, prepend=1.0, append=0.0)

    def _expected(self, averaged: np.ndarray) -> np.ndarray:
        """Expected rating [n] of what `_averaged` returns."""
        return expected_rating(averaged, self.values) if self.config.ordered else averaged[:, 0]

    @abstractmethod
    def _averaged(self, users: np.ndarray, items: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
        """Mean over the samples: of the rating [n, 1], or of the probability to be above each cutpoint [n, classes-1].

        Args:
            users: [n] codes.
            items: [n] codes.
            pairs: The rows that they are the codes of, with their timestamps where there are any.
        """

    @abstractmethod
    def _expected_known(self, users: np.ndarray) -> np.ndarray:
        """Expected rating [n, items] of all items by users, by code."""

    @abstractmethod
    def _predict_new(self, newcomers: Newcomers, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Expected rating [n] of `users` [n], by their place among the newcomers, for `items` [n] by code."""
