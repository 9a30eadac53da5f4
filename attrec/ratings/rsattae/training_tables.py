"""The features of RSAttAE + XGBoost: what its members have learned, for training rows, and for any other pair.

A training row's features come from the member that was not fitted on it (the only one, where there are no folds), or
their mean if there are several partitions; another pair has features from each member, and the trees' predictions from
them are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.ratings.boosting import BoostedTrees, fit_boosting
from attrec.ratings.catalogue import Catalogue, EncodedRatings
from attrec.ratings.moments import Moments
from attrec.ratings.neighbourhoods.residuals import neighbour_residuals
from attrec.ratings.rsattae.affinities import affinity_factors
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from attrec.ratings.rsattae.cross_fitting import (
    RSAttAEXGBoostConfig,
    autoencoder_jobs,
    machine_jobs,
    member_rows,
)
from attrec.ratings.rsattae.pair_features import BLEND, ServingTables, blended
from attrec.ratings.rsattae.profiles import Profiles, levels_of
from attrec.ratings.rsattae.tables import PairTables, RatingStatistics

MACHINE = "machine's expectation"


@dataclass(frozen=True)
class TrainingTables:
    """Everything the trees see: features of the training rows, of validation rows, and of any pair."""

    catalogue: Catalogue
    training: pd.DataFrame
    """[n, features], row by row as the training ratings."""
    serving: ServingTables
    """Features of pairs outside training."""
    statistics: RatingStatistics
    """Of all training rows: the fallback where user or item is unknown."""
    profiles: Profiles | None
    """Of all training rows, for new users."""

    def features(self, pairs: pd.DataFrame) -> list[pd.DataFrame]:
        """Features of pairs that were not trained on, by member; their ids must be known."""
        times = pairs["timestamp"].to_numpy() if "timestamp" in pairs else None
        return list(self.serving.features(*self.catalogue.encode(pairs), times))


def training_tables(
    ratings: pd.DataFrame,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: RSAttAEXGBoostConfig,
    seed: int,
    autoencoders: Mapping[str, PretrainedAutoencoder],
    machines: Mapping[str, np.ndarray] | None = None,
) -> TrainingTables:
    """Step 2: features of all rows from fitted `autoencoders` and the expectations of `machines`, by name of job.

    Raises:
        DataError: moments are asked for, and there are no timestamps.
    """
    catalogue = Catalogue.of(user_features, item_features)
    encoded = catalogue.encode_ratings(ratings)
    levels = levels_of(encoded.values)
    samplings = machine_jobs(config, seed)
    moments = _moments(ratings, encoded, config, seed, machines or {}) if config.moments else None
    total: np.ndarray | None = None
    times = np.zeros(len(ratings))
    members = []
    for member in range(config.partitions * config.folds):
        partition, fold = divmod(member, config.folds)
        rows = member_rows(ratings, config, partition, fold, seed)
        own = {
            job.label: autoencoders[job.name]
            for job in autoencoder_jobs(config, seed)
            if (job.partition, job.fold) == (partition, fold)
        }
        machine = (machines or {})[samplings[member].name] if samplings else None
        tables = _member_tables(
            own, machine, encoded.where(rows), levels, user_features, item_features, config
        ).compact()
        target = rows if config.folds == 1 else ~rows
        features = tables.features(encoded.users[target], encoded.items[target])
        if moments is not None:
            around = moments.of_member(
                member, encoded.users[target], encoded.items[target], moments.times[target]
            )
            features = features.join(around)
        if total is None:
            total = np.zeros((len(ratings), features.shape[1]), dtype="float64")
        total[target] += features.to_numpy()
        times[target] += 1
        members.append(tables)
    assert total is not None
    training = pd.DataFrame((total / times[:, None]).astype("float32"), columns=features.columns)
    blend = None
    if config.start_from_reconstructions:
        matrices = training[list(members[0].pair)]
        blend = _blend_weights(matrices, encoded.values)
        training[BLEND] = blended(matrices, blend)
    serving = ServingTables(tuple(members), blend, moments)
    profiles = Profiles.fit(encoded, levels) if config.profiles else None
    return TrainingTables(catalogue, training, serving, RatingStatistics.fit(encoded), profiles)


def fit_head(
    tables: TrainingTables,
    ratings: pd.DataFrame,
    config: RSAttAEXGBoostConfig,
    seed: int,
    validation: pd.DataFrame | None = None,
) -> BoostedTrees:
    """Step 3: one booster; `validation` chooses its number of trees."""
    target = ratings["rating"].to_numpy("float32")
    held_out = None
    if validation is not None:
        held_out = tables.features(validation), validation["rating"].to_numpy("float32")
    start = BLEND if config.start_from_reconstructions else None
    return fit_boosting(tables.training, target, config.head, seed, start, held_out)


def _blend_weights(matrices: pd.DataFrame, ratings: np.ndarray) -> np.ndarray:
    """Weights of the columns, and a constant, that fit the training ratings best.

    They are few and fitted on all training rows, so a row's own rating has a share of one in n in them; nothing else
    that the trees see of a row knows its rating.
    """
    inputs = np.column_stack([matrices.to_numpy("float64"), np.ones(len(matrices))])
    weights, *_ = np.linalg.lstsq(inputs, ratings.astype("float64"))
    return np.asarray(weights)


def _moments(
    ratings: pd.DataFrame,
    encoded: EncodedRatings,
    config: RSAttAEXGBoostConfig,
    seed: int,
    machines: Mapping[str, np.ndarray],
) -> Moments:
    if "timestamp" not in ratings or ratings["timestamp"].isna().any():
        raise DataError("moments need a timestamp of every rating; set moments: false without.")
    residuals = []
    for job in machine_jobs(config, seed):
        own = member_rows(ratings, config, job.partition, job.fold, seed)
        errors = encoded.values - machines[job.name][encoded.users, encoded.items]
        residuals.append(np.where(own, errors, np.float32(np.nan)))
    return Moments.of(encoded, ratings["timestamp"].to_numpy(), np.stack(residuals))


def _member_tables(
    autoencoders: Mapping[str, PretrainedAutoencoder],
    machine: np.ndarray | None,
    ratings: EncodedRatings,
    levels: np.ndarray,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: RSAttAEXGBoostConfig,
) -> PairTables:
    parts: dict[str, list[pd.DataFrame]] = {"user": [], "item": []}
    pair = {}
    for label, autoencoder in autoencoders.items():
        if config.reconstructions:
            pair[f"{label} reconstruction"] = autoencoder.reconstruction()
        if config.embeddings != "none":
            embedding = autoencoder.embedding(config.embeddings)
            parts[autoencoder.side].append(embedding.add_prefix(f"{label} embedding "))
    if machine is not None:
        pair[MACHINE] = machine
        if config.neighbours:
            residuals = ratings.values - machine[ratings.users, ratings.items]
            pair |= neighbour_residuals(ratings, residuals)
    statistics = RatingStatistics.fit(ratings)
    if config.statistics:
        parts["user"].append(statistics.user)
        parts["item"].append(statistics.item)
    if config.profiles:
        profiles = Profiles.fit(ratings, levels)
        parts["user"].append(profiles.user)
        parts["item"].append(profiles.item)
    if config.side_features:
        parts["user"].append(user_features)
        parts["item"].append(item_features)
    return PairTables(
        _side_by_side(parts["user"], len(user_features)),
        _side_by_side(parts["item"], len(item_features)),
        pair,
        affinity_factors(ratings, statistics.biases, user_features, item_features)
        if config.affinities
        else {},
    )


def _side_by_side(parts: Sequence[pd.DataFrame], rows: int) -> pd.DataFrame:
    index = pd.RangeIndex(rows)
    return pd.concat([pd.DataFrame(index=index), *(part.set_axis(index) for part in parts)], axis=1).astype(
        "float32"
    )
