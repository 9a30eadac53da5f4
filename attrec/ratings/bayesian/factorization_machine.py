"""Bayesian factorisation machines: users, items, what they have rated, their features, and when.

ŷ(x) = w_0 + Σ_j w_j x_j + Σ_{j<l} <v_j, v_l> x_j x_l (Rendle, "Factorization Machines", 2010, eq. 1), averaged over a
Gibbs sample of its posterior (Freudenthaler et al., "Bayesian Factorization Machines", 2011); with ordered probit the
rating is the class between whose cutpoints ŷ + N(0, 1) falls.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field
from scipy import sparse

from attrec.errors import DataError
from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.ratings.baselines import Biases
from attrec.ratings.bayesian.fm_gibbs import Parameters, gibbs
from attrec.ratings.bayesian.fm_posterior import Posterior
from attrec.ratings.bayesian.ordered_probit import rating_values
from attrec.ratings.bayesian.relation_blocks import Block, Timeline, entity_block, rated_together
from attrec.ratings.bayesian.sampled_model import Progress, SampledModel, SamplingConfig, chain_seed
from attrec.ratings.catalogue import Catalogue, EncodedRatings, Newcomers
from attrec.ratings.moments import whole_seconds

NEW_USER_REGULARIZATION = 5.0


class BayesianFMConfig(SamplingConfig):
    """Which columns the machine has, and how its posterior is sampled."""

    time: bool = False
    """Effects that last a few ratings of a user; ratings need a timestamp."""
    ratings_per_knot: int = Field(default=8, ge=1)
    """Distance of the knots between which such an effect changes linearly, in ratings of the user."""


class BayesianFM(SampledModel):
    """A factorisation machine over the ratings of one catalogue.

    Somebody new with a history is the mean user who has rated those items, moved to the level of their ratings;
    nothing is retrained. Unknown items, and unknown users without history, are predicted by the biases.
    """

    config: BayesianFMConfig

    def __init__(self, config: BayesianFMConfig | None = None, seed: int = 0) -> None:
        self.config = config or BayesianFMConfig()
        self.seed = seed

    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
        validation: pd.DataFrame | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """As `RatingModel.fit`; with `time`, ratings have a timestamp too. There is nothing to choose on validation.

        Raises:
            DataError: see `RatingModel.fit`; or timestamps are missing; or ordered probit is asked for and the ratings
                have one value alone or more than 20.
        """
        config = self.config
        self.catalogue = Catalogue.of(user_features, item_features)
        encoded = self.catalogue.encode_ratings(ratings)
        self.remember_seen(encoded)
        self.biases = Biases.fit(encoded, 5.0, 5.0)
        self.values = rating_values(encoded.values) if config.ordered else []
        self.timeline = self._timeline(encoded, ratings)
        blocks = self._blocks(encoded, ratings, user_features, item_features)
        targets = np.searchsorted(self.values, encoded.values) if config.ordered else encoded.values

        kept: list[Posterior] = []
        wanted = set(config.kept.tolist())
        for chain in range(config.chains):

            def visit(iteration: int, parameters: Parameters, done: int = chain * config.iterations) -> None:
                if iteration in wanted:
                    rated = len(self.catalogue.items) if config.implicit_users else 0
                    kept.append(Posterior.of_sample(parameters, blocks, rated))
                if progress is not None:
                    progress(done + iteration + 1, config.chains * config.iterations)

            gibbs(
                blocks,
                targets,
                len(self.values) if config.ordered else None,
                config.rank,
                config.iterations,
                chain_seed(self.seed, chain),
                visit,
            )
        self.posterior = Posterior.pooled(kept)
        return self

    def chosen_config(self) -> BayesianFMConfig:
        """The configuration that a fit on training + validation rows shall have: the same, nothing is chosen."""
        return self.config

    def save(self, directory: Path) -> None:
        self.save_base(directory)
        arrays = {f"posterior.{name}": array for name, array in vars(self.posterior).items()}
        arrays |= {"biases.user": self.biases.user, "biases.item": self.biases.item}
        if self.timeline is not None:
            for name in ("moments", "keys", "counts"):
                arrays[f"timeline.{name}"] = getattr(self.timeline, name)
        write_arrays(directory / "bayesian_fm.safetensors", arrays)
        content = {
            "config": self.config.model_dump(),
            "seed": self.seed,
            "values": self.values,
            "mean": self.biases.mean,
        }
        write_json(directory / "bayesian_fm.json", content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        content = read_json(directory / "bayesian_fm.json")
        model = cls(BayesianFMConfig(**content["config"]), content["seed"])
        model.load_base(directory)
        arrays = read_arrays(directory / "bayesian_fm.safetensors")
        model.values = content["values"]
        model.biases = Biases(content["mean"], arrays["biases.user"], arrays["biases.item"])
        model.posterior = Posterior(
            **{name: arrays[f"posterior.{name}"] for name in Posterior.__dataclass_fields__}
        )
        model.timeline = None
        if model.config.time:
            moments, keys, counts = (arrays[f"timeline.{name}"] for name in ("moments", "keys", "counts"))
            model.timeline = Timeline(moments, keys, counts, model.config.ratings_per_knot)
        return model

    def _timeline(self, encoded: EncodedRatings, ratings: pd.DataFrame) -> Timeline | None:
        if not self.config.time:
            return None
        if "timestamp" not in ratings or ratings["timestamp"].isna().any():
            raise DataError("a machine with time needs a timestamp of every rating; set time: false without.")
        timestamps = ratings["timestamp"].to_numpy("int64")
        return Timeline.of(encoded.users, timestamps, encoded.n_users, self.config.ratings_per_knot)

    def _blocks(
        self,
        encoded: EncodedRatings,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
    ) -> list[Block]:
        config = self.config
        users, items, shape = encoded.users, encoded.items, (encoded.n_users, encoded.n_items)
        rated = rated_together(users, items, shape) if config.implicit_users else None
        raters = rated_together(items, users, shape[::-1]) if config.implicit_items else None
        blocks = [
            entity_block(users, shape[0], rated, user_features if config.side_features else None),
            entity_block(items, shape[1], raters, item_features if config.side_features else None),
        ]
        if self.timeline is not None:
            knots = self.timeline.weights(users, ratings["timestamp"].to_numpy("int64"))
            blocks.append(Block(np.arange(len(encoded)), knots, (knots.shape[1],)))
        return blocks

    def _averaged(self, users: np.ndarray, items: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
        """At the moments of the column `timestamp` of `pairs`, or at none if there is no such column."""
        knots = None
        if self.timeline is not None and "timestamp" in pairs:
            knots = self.timeline.weights(users, whole_seconds(pairs["timestamp"].to_numpy()))
        elif self.timeline is not None:
            knots = self.timeline.mean_weights(users)
        return self.posterior.averaged(users, items, knots, None)

    def _predict_new(self, newcomers: Newcomers, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """As the mean user who has rated the same items, moved by how much higher they rate (a ridge, as of biases)."""
        shape = len(newcomers.ids), len(self.catalogue.items)
        rated = rated_together(newcomers.users, newcomers.items, shape)
        rated = rated[:, : self.posterior.rated_weights.shape[1]]
        residuals = newcomers.ratings - self._expected_of(newcomers.users, newcomers.items, rated)
        counts = np.bincount(newcomers.users, minlength=shape[0])
        levels = np.bincount(newcomers.users, residuals, minlength=shape[0])
        return self._expected_of(users, items, rated) + (levels / (counts + NEW_USER_REGULARIZATION))[users]

    def _expected_of(self, users: np.ndarray, items: np.ndarray, rated: sparse.csr_matrix) -> np.ndarray:
        """Expected rating [n], at no moment, of users by their row in `rated` [new users, n_items]."""
        knots = None
        if self.timeline is not None:
            knots = self.timeline.mean_weights(np.full(len(users), len(self.catalogue.users)))
        return self._expected(self.posterior.averaged(users, items, knots, rated))
