"""RSAttAE + XGBoost: boosted trees over what attention autoencoders of users and of items have learned.

Dadashzadeh Taromi et al., "RSAttAE: An Information-Aware Attention-based Autoencoder Recommender System"; the
steps and the cross-fitting added to it are in `attrec.ratings.rsattae.cross_fitting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import numpy as np
import pandas as pd

from attrec.models.base import Component, Parameters, Saved
from attrec.ratings.bayesian.factorization_machine import BayesianFM
from attrec.ratings.boosting import BoostedTrees, mean_importance
from attrec.ratings.model import RatingData, RatingModel
from attrec.ratings.rsattae.affinities import mean_residuals
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from attrec.ratings.rsattae.cross_fitting import (
    AutoencoderJob,
    RSAttAEXGBoostConfig,
    autoencoder_jobs,
    machine_jobs,
    run_autoencoder_job,
    run_machine_job,
)
from attrec.ratings.rsattae.pair_features import ServingTables
from attrec.ratings.rsattae.profiles import Profiles
from attrec.ratings.rsattae.tables import PairTables, RatingStatistics
from attrec.ratings.rsattae.training_tables import TrainingTables, fit_head, training_tables


class RSAttAEXGBoost(RatingModel):
    """The whole model, fitted in one call.

    An unknown user without history or an unknown item is predicted by the user/item biases alone. A new user
    with history is encoded by the user autoencoders and attends to the training users; nothing else of the members
    has an output for such a user, so the user side's reconstruction stands in for the other predictions.

    >>> import pandas as pd
    >>> from attrec.ratings import RSAttAEXGBoost
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> brief = [{"training": {"epochs": 10}}]
    >>> model = RSAttAEXGBoost(user_autoencoders=brief, item_autoencoders=brief, head={"trees": (20,)}).fit(ratings)
    >>> model.importance().columns.tolist()
    ['feature', 'importance']
    """

    config_class = RSAttAEXGBoostConfig

    config: RSAttAEXGBoostConfig

    @classmethod
    def check_ratings(cls, config: RSAttAEXGBoostConfig, values: np.ndarray) -> None:
        if config.machine is not None:
            BayesianFM.check_ratings(config.machine, values)

    def _fit(self, data: RatingData) -> None:
        """The steps one after the other.

        Raises:
            DataError: moments are asked for, and there are no timestamps.
        """
        config, seed = self.config, self.seed
        tables = data.ratings, data.user_features, data.item_features
        autoencoders = {
            job.name: run_autoencoder_job(job, *tables, config, seed, data.validation)
            for job in autoencoder_jobs(config, seed)
        }
        machines = {
            job.name: run_machine_job(job, *tables, config, seed) for job in machine_jobs(config, seed)
        }
        features = training_tables(*tables, config, seed, autoencoders, machines)
        heads = [
            fit_head(features, data.ratings, config, seed + number, data.validation)
            for number in range(config.head_seeds)
        ]
        self.assemble(data.ratings, features, heads, autoencoders)

    def assemble(
        self,
        ratings: pd.DataFrame,
        tables: TrainingTables,
        heads: Sequence[BoostedTrees],
        autoencoders: Mapping[str, PretrainedAutoencoder],
    ) -> Self:
        """Step 4: make the results of the other steps this model."""
        self.remember(tables.catalogue, tables.catalogue.encode_ratings(ratings))
        self.serving = tables.serving
        self.statistics = tables.statistics
        self.profiles = tables.profiles
        self.heads = list(heads)
        self.user_autoencoders = {job: autoencoders[job.name] for job in self._user_jobs()}
        return self

    def _user_jobs(self) -> list[AutoencoderJob]:
        return [job for job in autoencoder_jobs(self.config, self.seed) if job.side == "user"]

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        """As `RatingModel._predict`; with moments, at `timestamp`, or at the user's last rating without it."""
        times = pairs["timestamp"].to_numpy() if "timestamp" in pairs else None
        users, items = self.catalogue.encode(pairs)
        predicted = self.statistics.biases.predict(users, items)
        known = (users >= 0) & (items >= 0)
        if known.any():
            of_known = None if times is None else times[known]
            predicted[known] = self._boosted(self.serving.features(users[known], items[known], of_known))
        if history is not None and len(history):
            new_users, members = self._new_user_tables(history)
            codes = new_users.get_indexer(pd.Index(pairs["user_id"]))
            new = (users < 0) & (codes >= 0) & (items >= 0)
            if new.any():
                of_new = None if times is None else times[new]
                predicted[new] = self._boosted(
                    self.serving.of_member(number, tables, codes[new], items[new], users[new], of_new)
                    for number, tables in enumerate(members)
                )
        return np.clip(predicted, *self.rating_range)

    def importance(self) -> pd.DataFrame:
        return mean_importance(self.heads)

    def _boosted(self, versions: Iterable[pd.DataFrame]) -> np.ndarray:
        """Mean [n] over the members' versions of the features and over the boosters."""
        return np.mean(
            [[head.predict(features) for head in self.heads] for features in versions], axis=(0, 1)
        )

    def _new_user_tables(self, history: pd.DataFrame) -> tuple[pd.Index, list[PairTables]]:
        """The users of `history`, and each member's tables with them in place of the training users."""
        history = history[self.catalogue.items.get_indexer(pd.Index(history["item_id"])) >= 0]
        new_users = pd.Index(history["user_id"].unique())
        rows, columns = (
            new_users.get_indexer(pd.Index(history["user_id"])),
            self.catalogue.items.get_indexer(pd.Index(history["item_id"])),
        )
        ratings = np.zeros((len(new_users), len(self.catalogue.items)), dtype="float32")
        observed = np.zeros_like(ratings)
        ratings[rows, columns] = history["rating"].to_numpy("float32")
        observed[rows, columns] = 1.0

        values = history["rating"].to_numpy("float32")
        described: list[pd.DataFrame] = []
        if self.config.statistics:
            described.append(self.statistics.of_new_users(rows, columns, values, len(new_users)))
        if self.profiles is not None:
            described.append(self.profiles.of_new_users(rows, columns, values, len(new_users)))
        affinities = self._new_user_affinities(rows, columns, values, len(new_users))
        members = []
        for number, trained in enumerate(self.serving.members):
            partition, fold = divmod(number, self.config.folds)
            user = pd.DataFrame(
                0.0, index=range(len(new_users)), columns=trained.user.columns, dtype="float32"
            )
            reconstructions = []
            for job, autoencoder in self.user_autoencoders.items():
                if (job.partition, job.fold) != (partition, fold):
                    continue
                unknown = np.zeros((len(new_users), autoencoder.memory.features.shape[1]))
                encoded, attended, reconstruction = autoencoder.encode_new_users(ratings, observed, unknown)
                reconstructions.append(reconstruction)
                if self.config.embeddings != "none":
                    embedding = pd.DataFrame(encoded if self.config.embeddings == "encoded" else attended)
                    embedding = embedding.add_prefix(f"{job.label} embedding ")
                    user[embedding.columns] = embedding
            for table in described:
                user[table.columns] = table
            reconstruction = np.mean(reconstructions, axis=0)
            unexplained = np.zeros_like(reconstruction)
            pair = {n: unexplained if n.endswith("residual") else reconstruction for n in trained.pair}
            product = {name: (tastes, trained.product[name][1]) for name, tastes in affinities.items()}
            members.append(PairTables(user, trained.item, pair, product))
        return new_users, members

    def _new_user_affinities(
        self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, n_users: int
    ) -> dict[str, np.ndarray]:
        """As fitted, but users' tastes [n_users, g] come from their ratings and their own features are unknown."""
        bias = self.statistics.new_user_biases(rows, columns, values, n_users)
        residuals = values - self.statistics.biases.mean - bias[rows] - self.statistics.biases.item[columns]
        affinities = {}
        for name, (_, item_factors) in self.serving.members[0].product.items():
            if name.startswith("affinity to item"):
                flags = (item_factors[columns] > 0).astype("float64")
                affinities[name] = mean_residuals(rows, flags, residuals, n_users, 5.0)
            else:
                affinities[name] = np.zeros((n_users, item_factors.shape[1]), dtype="float32")
        return affinities

    def parameters(self) -> Parameters:
        parts: dict[str, Component] = {"serving": self.serving, "statistics": self.statistics}
        if self.profiles is not None:
            parts["profiles"] = self.profiles
        parts |= {f"heads/{number}": head for number, head in enumerate(self.heads)}
        parts |= {f"user_autoencoders/{job.name}": own for job, own in self.user_autoencoders.items()}
        return Parameters(values={"heads": len(self.heads)}, parts=parts)

    def take(self, saved: Saved) -> None:
        folder = saved.folder
        self.serving = ServingTables.load(folder / "serving")
        self.statistics = RatingStatistics.load(folder / "statistics")
        self.profiles = Profiles.load(folder / "profiles") if self.config.profiles else None
        self.heads = [BoostedTrees.load(folder / "heads" / str(n)) for n in range(saved.values["heads"])]
        self.user_autoencoders = {
            job: PretrainedAutoencoder.load(folder / "user_autoencoders" / job.name)
            for job in self._user_jobs()
        }
