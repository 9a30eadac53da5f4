"""Bayesian factorisation machines: users, items, what they have rated, their features, and when.

ŷ(x) = w_0 + Σ_j w_j x_j + Σ_{j<l} <v_j, v_l> x_j x_l (Rendle, "Factorization Machines", 2010, eq. 1), averaged over a
Gibbs sample of its posterior (Freudenthaler et al., "Bayesian Factorization Machines", 2011); with ordered probit the
rating is the class between whose cutpoints ŷ + N(0, 1) falls.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import sparse

from attrec.errors import DataError
from attrec.models.baselines import Biases
from attrec.models.catalogue import Catalogue, EncodedRatings
from attrec.models.fm_posterior import Posterior
from attrec.models.gibbs import Parameters, gibbs
from attrec.models.moments import whole_seconds
from attrec.models.ordered_probit import expected_rating, rating_values
from attrec.models.rating_model import RatingModel
from attrec.models.relation_blocks import Block, Timeline, entity_block, rated_together
from attrec.models.storage import read_arrays, read_json, write_arrays, write_json

NEW_USER_REGULARIZATION = 5.0

Progress = Callable[[int, int], None]
"""Called after every iteration with how many are done and how many there are."""


class BayesianFMConfig(BaseModel):
    """Which columns the machine has, and how its posterior is sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=10, ge=1)
    """Size of the factors v."""
    iterations: int = Field(default=300, ge=1)
    """Gibbs iterations of a chain."""
    burn_in: int = Field(default=20, ge=0)
    """First iterations of a chain that are dropped."""
    chains: int = Field(default=1, ge=1)
    """Independent chains whose samples are pooled: one chain alone visits a part of the posterior."""
    kept_samples: int = Field(default=100, ge=1)
    """Samples kept of all chains, evenly spaced, or all if there are fewer; size and prediction time grow with it."""
    ordered: bool = False
    """Ordered probit over the rating values; else Gaussian."""
    implicit_users: bool = True
    """A user has columns for the items they rated in training, 1 / √n each."""
    implicit_items: bool = True
    """An item has columns for the users who rated it in training, 1 / √n each."""
    side_features: bool = True
    """The columns of the feature tables."""
    time: bool = False
    """Effects that last a few ratings of a user; ratings need a timestamp."""
    ratings_per_knot: int = Field(default=8, ge=1)
    """Distance of the knots between which such an effect changes linearly, in ratings of the user."""

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


class BayesianFM(RatingModel):
    """A factorisation machine over the ratings of one catalogue.

    Somebody new with a history is the mean user who has rated those items, moved to the level of their ratings;
    nothing is retrained. Unknown items, and unknown users without history, are predicted by the biases.
    """

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

            # Seeds of chains are far apart, so that models of neighbouring seeds share none.
            gibbs(
                blocks,
                targets,
                len(self.values) if config.ordered else None,
                config.rank,
                config.iterations,
                self.seed + 10_007 * chain,
                visit,
            )
        self.posterior = Posterior.pooled(kept)
        return self

    def chosen_config(self) -> BayesianFMConfig:
        """The configuration that a fit on training + validation rows shall have: the same, nothing is chosen."""
        return self.config

    def predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> np.ndarray:
        """As `RatingModel.predict`; with `time`, of the column `timestamp`, or at no moment if there is none."""
        users, items = self.catalogue.encode(pairs)
        predicted = self.biases.predict(users, items)
        known = (users >= 0) & (items >= 0)
        predicted[known] = self._expected(users[known], items[known], self._moments(pairs[known]))
        if history is not None and len(history):
            new_users, rated, levels = self._new_users(history)
            codes = new_users.get_indexer(pd.Index(pairs["user_id"]))
            new = (users < 0) & (codes >= 0) & (items >= 0)
            predicted[new] = self._expected(codes[new], items[new], None, rated) + levels[codes[new]]
        return np.clip(predicted, *self.rating_range)

    def probabilities(self, pairs: pd.DataFrame) -> np.ndarray:
        """Probability of each of `self.values` [n, classes] of pairs of known ids; ordered probit only.

        Raises:
            DataError: the machine is Gaussian, or an id is unknown.
        """
        if not self.config.ordered:
            raise DataError("a Gaussian machine has no class probabilities; fit one with ordered: true.")
        users, items = self.catalogue.encode(pairs)
        if (users < 0).any() or (items < 0).any():
            raise DataError("class probabilities are for known users and items; leave the other pairs out.")
        above = self._averaged(users, items, self._moments(pairs))
        return -np.diff(above, axis=1, prepend=1.0, append=0.0)

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

    def _moments(self, pairs: pd.DataFrame) -> np.ndarray | None:
        if not self.config.time or "timestamp" not in pairs:
            return None
        return whole_seconds(pairs["timestamp"].to_numpy())

    def _new_users(self, history: pd.DataFrame) -> tuple[pd.Index, sparse.csr_matrix, np.ndarray]:
        """Users of `history` unknown to training, what they rated (as in training), and by how much they rate higher
        than the mean user who has rated that, by the ridge formula of the biases."""
        users, items = self.catalogue.encode(history)
        mine = (users < 0) & (items >= 0)
        new_users = pd.Index(history["user_id"][mine].unique())
        rows = history[mine].drop_duplicates(["user_id", "item_id"], keep="last")
        codes = new_users.get_indexer(pd.Index(rows["user_id"]))
        items = self.catalogue.items.get_indexer(pd.Index(rows["item_id"]))
        shape = len(new_users), len(self.catalogue.items)
        rated = rated_together(codes, items, shape)[:, : self.posterior.rated_weights.shape[1]]
        residuals = rows["rating"].to_numpy("float64") - self._expected(codes, items, None, rated)
        counts = np.bincount(codes, minlength=shape[0])
        levels = np.bincount(codes, residuals, minlength=shape[0]) / (counts + NEW_USER_REGULARIZATION)
        return new_users, rated, levels

    def _expected(
        self,
        users: np.ndarray,
        items: np.ndarray,
        moments: np.ndarray | None,
        rated: sparse.csr_matrix | None = None,
    ) -> np.ndarray:
        """Expected rating [n]."""
        averaged = self._averaged(users, items, moments, rated)
        if not self.config.ordered:
            return averaged[:, 0]
        return expected_rating(averaged, self.values)

    def _averaged(
        self,
        users: np.ndarray,
        items: np.ndarray,
        moments: np.ndarray | None,
        rated: sparse.csr_matrix | None = None,
    ) -> np.ndarray:
        """As `Posterior.averaged`, of users by code, or with `rated` [new users, n_items] by row of it."""
        knots = None
        if self.timeline is not None and rated is not None:
            knots = self.timeline.mean_weights(np.full(len(users), len(self.catalogue.users)))
        elif self.timeline is not None and moments is None:
            knots = self.timeline.mean_weights(users)
        elif self.timeline is not None and moments is not None:
            knots = self.timeline.weights(users, moments)
        return self.posterior.averaged(users, items, knots, rated)
