"""RSAttAE + XGBoost: boosted trees over what attention autoencoders of users and of items have learned.

Dadashzadeh Taromi et al., "RSAttAE: An Information-Aware Attention-based Autoencoder Recommender System"; the
steps and the cross-fitting added to it are in `attrec.ratings.rsattae.cross_fitting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from attrec.models.storage import read_json, write_json
from attrec.ratings.boosting import BoostedTrees
from attrec.ratings.model import RatingModel
from attrec.ratings.rsattae.affinities import mean_residuals
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from attrec.ratings.rsattae.cross_fitting import (
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
    """

    def __init__(self, config: RSAttAEXGBoostConfig | None = None, seed: int = 0) -> None:
        self.config = config or RSAttAEXGBoostConfig()
        self.seed = seed

    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
        validation: pd.DataFrame | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Self:
        """As `RatingModel.fit`; `progress(step, done, of)` is called after each autoencoder, machine and booster.

        Raises:
            DataError: see `RatingModel.fit`; or moments are asked for, and there are no timestamps.
        """
        jobs, samplings = autoencoder_jobs(self.config, self.seed), machine_jobs(self.config, self.seed)
        steps = len(jobs) + len(samplings) + self.config.head_seeds
        autoencoders = {}
        for done, job in enumerate(jobs, start=1):
            autoencoders[job.name] = run_autoencoder_job(
                job, ratings, user_features, item_features, self.config, self.seed, validation
            )
            if progress is not None:
                progress(job.name, done, steps)
        machines = {}
        for done, sampling in enumerate(samplings, start=len(jobs) + 1):
            machines[sampling.name] = run_machine_job(
                sampling, ratings, user_features, item_features, self.config, self.seed
            )
            if progress is not None:
                progress(sampling.name, done, steps)
        tables = training_tables(
            ratings, user_features, item_features, self.config, self.seed, autoencoders, machines
        )
        heads = []
        for number in range(self.config.head_seeds):
            heads.append(fit_head(tables, ratings, self.config, self.seed + number, validation))
            if progress is not None:
                progress(f"head {number}", len(jobs) + len(samplings) + number + 1, steps)
        return self.assemble(ratings, tables, heads, autoencoders)

    def assemble(
        self,
        ratings: pd.DataFrame,
        tables: TrainingTables,
        heads: Sequence[BoostedTrees],
        autoencoders: Mapping[str, PretrainedAutoencoder],
    ) -> Self:
        """Step 4: make the results of the other steps this model."""
        self.catalogue = tables.catalogue
        self.remember_seen(self.catalogue.encode_ratings(ratings))
        self.serving = tables.serving
        self.statistics = tables.statistics
        self.profiles = tables.profiles
        self.heads = list(heads)
        self.user_autoencoders = {n: a for n, a in autoencoders.items() if a.side == "user"}
        return self

    def predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> np.ndarray:
        """As `RatingModel.predict`; with moments, at `timestamp`, or at the user's last rating without it."""
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
            for name, autoencoder in self.user_autoencoders.items():
                if not name.endswith(f"-p{partition}-f{fold}"):
                    continue
                unknown = np.zeros((len(new_users), autoencoder.memory.features.shape[1]))
                encoded, attended, reconstruction = autoencoder.encode_new_users(ratings, observed, unknown)
                reconstructions.append(reconstruction)
                if self.config.embeddings != "none":
                    embedding = pd.DataFrame(encoded if self.config.embeddings == "encoded" else attended)
                    embedding = embedding.add_prefix(f"{name.split('-')[0]} embedding ")
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

    def save(self, directory: Path) -> None:
        self.save_base(directory)
        self.serving.save(directory / "serving")
        self.statistics.save(directory / "statistics")
        if self.profiles is not None:
            self.profiles.save(directory / "profiles")
        for number, head in enumerate(self.heads):
            head.save(directory / "heads" / str(number))
        for name, autoencoder in self.user_autoencoders.items():
            autoencoder.save(directory / "user_autoencoders" / name)
        content = {
            "config": self.config.model_dump(),
            "seed": self.seed,
            "heads": len(self.heads),
            "user_autoencoders": list(self.user_autoencoders),
        }
        write_json(directory / "rsattae_xgboost.json", content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        content = read_json(directory / "rsattae_xgboost.json")
        model = cls(RSAttAEXGBoostConfig(**content["config"]), content["seed"])
        model.load_base(directory)
        model.serving = ServingTables.load(directory / "serving")
        model.statistics = RatingStatistics.load(directory / "statistics")
        model.profiles = Profiles.load(directory / "profiles") if model.config.profiles else None
        model.heads = [BoostedTrees.load(directory / "heads" / str(n)) for n in range(content["heads"])]
        model.user_autoencoders = {
            name: PretrainedAutoencoder.load(directory / "user_autoencoders" / name)
            for name in content["user_autoencoders"]
        }
        return model
