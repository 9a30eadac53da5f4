"""Bayesian factorisation machines: users, items, what they have rated, their features, and when.

ŷ(x) = w_0 + Σ_j w_j x_j + Σ_{j<l} <v_j, v_l> x_j x_l (Rendle, "Factorization Machines", 2010, eq. 1), averaged over a
Gibbs sample of its posterior (Freudenthaler et al., "Bayesian Factorization Machines", 2011); with ordered probit the
rating is the class between whose cutpoints ŷ + N(0, 1) falls.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import Field
from scipy import sparse

from attrec.errors import DataError
from attrec.models.base import Parameters, Saved
from attrec.ratings.baselines import Biases
from attrec.ratings.bayesian.fm_gibbs import FMSample, gibbs
from attrec.ratings.bayesian.fm_posterior import Posterior
from attrec.ratings.bayesian.ordered_probit import rating_values
from attrec.ratings.bayesian.relation_blocks import Block, Timeline, entity_block, rated_together
from attrec.ratings.bayesian.sampled_model import SampledModel, SamplingConfig, chain_seed
from attrec.ratings.catalogue import EncodedRatings, Newcomers
from attrec.ratings.model import RatingData
from attrec.ratings.moments import whole_seconds

NEW_USER_REGULARIZATION = 5.0


class BayesianFMConfig(SamplingConfig):
    """Which columns the machine has, and how its posterior is sampled."""

    time: bool = False
    """Effects that last a few ratings of a user; ratings need a timestamp."""
    ratings_per_knot: int = Field(default=8, ge=1)
    """Distance of the knots between which such an effect changes linearly, in ratings of the user."""

    @property
    def uses_time(self) -> bool:
        return self.time


class BayesianFM(SampledModel):
    """A factorisation machine over the ratings of one catalogue.

    Somebody new with a history is the mean user who has rated those items, moved to the level of their ratings;
    nothing is retrained. Unknown items, and unknown users without history, are predicted by the biases.

    >>> import pandas as pd
    >>> from attrec.ratings import BayesianFM
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> model = BayesianFM(rank=4, iterations=100).fit(ratings)
    >>> sorted(model.recommend(0, k=2)["item_id"])
    [0, 10]
    """

    config_class = BayesianFMConfig

    config: BayesianFMConfig

    def _fit(self, data: RatingData) -> None:
        """There is nothing to choose on validation.

        Raises:
            DataError: there are no timestamps, and `time` is asked for; or ordered probit is asked for and the ratings
                have one value alone or more than 20.
        """
        config, encoded = self.config, data.encoded
        self.biases = Biases.fit(encoded, 5.0, 5.0)
        self.values = rating_values(encoded.values) if config.ordered else []
        self.timeline = self._timeline(encoded, data.ratings)
        blocks = self._blocks(encoded, data.ratings, data.user_features, data.item_features)
        targets = np.searchsorted(self.values, encoded.values) if config.ordered else encoded.values

        kept: list[Posterior] = []
        wanted = set(config.kept.tolist())
        for chain in range(config.chains):

            def visit(iteration: int, sample: FMSample, done: int = chain * config.iterations) -> None:
                if iteration in wanted:
                    rated = len(self.catalogue.items) if config.implicit_users else 0
                    kept.append(Posterior.of_sample(sample, blocks, rated))
                if data.progress is not None:
                    data.progress(done + iteration + 1, None, None)

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

    def parameters(self) -> Parameters:
        arrays = {f"posterior.{name}": array for name, array in vars(self.posterior).items()}
        arrays |= {"biases.user": self.biases.user, "biases.item": self.biases.item}
        if self.timeline is not None:
            for name in ("moments", "keys", "counts"):
                arrays[f"timeline.{name}"] = getattr(self.timeline, name)
        return Parameters(arrays, {"values": self.values, "mean": self.biases.mean})

    def take(self, saved: Saved) -> None:
        arrays = saved.arrays
        self.values = saved.values["values"]
        self.biases = Biases(saved.values["mean"], arrays["biases.user"], arrays["biases.item"])
        self.posterior = Posterior(
            **{name: arrays[f"posterior.{name}"] for name in Posterior.__dataclass_fields__}
        )
        self.timeline = None
        if self.config.time:
            moments, keys, counts = (arrays[f"timeline.{name}"] for name in ("moments", "keys", "counts"))
            self.timeline = Timeline(moments, keys, counts, self.config.ratings_per_knot)

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

    def _expected_known(self, users: np.ndarray) -> np.ndarray:
        knots = None if self.timeline is None else self.timeline.mean_weights(users)
        return self.posterior.expected(users, knots, self.values)

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
