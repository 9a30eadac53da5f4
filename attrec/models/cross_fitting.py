"""RSAttAE + XGBoost, step by step: autoencoders, the features they give to user–item pairs, boosted trees.

The paper trains one autoencoder a side on all training rows and gives XGBoost their embeddings of the same
rows, so a training row's own rating is inside its features while no test row's is. Cross-fitting removes that
mismatch: the training rows are partitioned into folds, a fold's autoencoders never see its rows, and the
features of a row are the mean over the members (one a fold) that did not see it; a new pair gets the mean
over all members.

The steps can be run, cached and resumed one by one: `autoencoder_jobs` → `run_autoencoder_job` each →
`training_tables` → `fit_head` each → `RSAttAEXGBoost.assemble`; `RSAttAEXGBoost.fit` is the loop over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.models.affinities import affinity_factors
from attrec.models.autoencoder import AutoencoderConfig, PretrainedAutoencoder, Side, pretrain
from attrec.models.boosting import BoostedTrees, BoostingConfig, fit_boosting
from attrec.models.catalogue import Catalogue, EncodedRatings
from attrec.models.pair_tables import PairTables, RatingStatistics
from attrec.training import Progress

BLEND = "blended reconstruction"


class RSAttAEXGBoostConfig(BaseModel):
    """The defaults are the paper's recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_autoencoders: tuple[AutoencoderConfig, ...] = (AutoencoderConfig(),)
    """The autoencoders of users that each member trains."""
    item_autoencoders: tuple[AutoencoderConfig, ...] = (AutoencoderConfig(),)
    """The autoencoders of items that each member trains."""
    folds: int = Field(default=1, ge=1)
    """Folds of a partition; 1 is the paper's in-sample recipe, 2 or more are cross-fitted."""
    partitions: int = Field(default=1, ge=1)
    """How often the training rows are partitioned into folds anew."""
    embeddings: Literal["none", "encoded", "attended"] = "encoded"
    """Give the trees E or Ê. In-sample only: embeddings of different members span different spaces."""
    reconstructions: bool = False
    """Give the trees R̂ of each autoencoder."""
    statistics: bool = False
    """Give the trees bias, spread and count of each user's and item's ratings."""
    affinities: bool = False
    """Give the trees how a user rates items that share features with this one, and the reverse."""
    side_features: bool = True
    """Give the trees the one-hot features F_u and F_m."""
    start_from_reconstructions: bool = False
    """Let the trees correct the least-squares blend of the reconstructions, not the mean rating."""
    head: BoostingConfig = BoostingConfig()
    """The trees."""
    head_seeds: int = Field(default=1, ge=1)
    """Boosters, equal but for their seed, whose predictions are averaged."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.embeddings != "none" and self.folds * self.partitions > 1:
            raise ValueError(
                "embeddings of different folds are not comparable: use folds=1, or embeddings='none'"
            )
        if self.start_from_reconstructions and not self.reconstructions:
            raise ValueError("start_from_reconstructions needs reconstructions=True")
        return self


@dataclass(frozen=True)
class AutoencoderJob:
    """One autoencoder to be trained: which rows, which configuration, which seed."""

    side: Side
    variant: int
    """Position in `user_autoencoders` or `item_autoencoders`."""
    partition: int
    fold: int
    """The fold whose rows this autoencoder never sees; with one fold it sees all rows."""
    seed: int

    @property
    def name(self) -> str:
        """Unique within a configuration and seed; fit for a file name."""
        return f"{self.side}{self.variant}-p{self.partition}-f{self.fold}"


def autoencoder_jobs(config: RSAttAEXGBoostConfig, seed: int) -> list[AutoencoderJob]:
    """Every autoencoder that the configuration asks for; they are independent of each other."""
    sides: list[tuple[Side, int]] = [("user", variant) for variant in range(len(config.user_autoencoders))]
    sides += [("item", variant) for variant in range(len(config.item_autoencoders))]
    jobs = []
    for partition in range(config.partitions):
        for fold in range(config.folds):
            for side, variant in sides:
                job_seed = int(
                    np.random.SeedSequence([seed, partition, fold, variant, side == "item"]).generate_state(
                        1
                    )[0]
                )
                jobs.append(AutoencoderJob(side, variant, partition, fold, job_seed))
    return jobs


def fold_of_rows(ratings: pd.DataFrame, folds: int, partition: int, seed: int) -> np.ndarray:
    """The fold [n] of each row: folds of equal size, drawn from the set of pairs whatever their order."""
    order = np.lexsort((ratings["item_id"].to_numpy(), ratings["user_id"].to_numpy()))
    fold = np.empty(len(ratings), dtype=np.int64)
    fold[order] = np.random.default_rng([seed, partition]).permutation(len(ratings)) % folds
    return fold


def member_rows(
    ratings: pd.DataFrame, config: RSAttAEXGBoostConfig, partition: int, fold: int, seed: int
) -> np.ndarray:
    """Mask [n] of the rows that the member of this partition and fold is fitted on."""
    if config.folds == 1:
        return np.ones(len(ratings), dtype=bool)
    return fold_of_rows(ratings, config.folds, partition, seed) != fold


def run_autoencoder_job(
    job: AutoencoderJob,
    ratings: pd.DataFrame,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: RSAttAEXGBoostConfig,
    seed: int,
    validation: pd.DataFrame | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> PretrainedAutoencoder:
    """Step 1, for one of `autoencoder_jobs`; `ratings` are all training rows, of which it takes its own."""
    variants = config.user_autoencoders if job.side == "user" else config.item_autoencoders
    rows = ratings[member_rows(ratings, config, job.partition, job.fold, seed)]
    return pretrain(
        job.side,
        rows,
        user_features,
        item_features,
        variants[job.variant],
        job.seed,
        validation,
        checkpoint,
        progress,
    )


@dataclass(frozen=True)
class TrainingTables:
    """Everything the trees see: features of the training rows, of validation rows, and of any pair."""

    catalogue: Catalogue
    training: pd.DataFrame
    """[n, features], row by row as the training ratings."""
    serving: PairTables
    """Mean over all members; features of pairs outside training."""
    statistics: RatingStatistics
    """Of all training rows: the fallback where user or item is unknown."""

    def features(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Features of pairs that were not trained on; their ids must be known."""
        return self.serving.features(*self.catalogue.encode(pairs))


def training_tables(
    ratings: pd.DataFrame,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: RSAttAEXGBoostConfig,
    seed: int,
    autoencoders: Mapping[str, PretrainedAutoencoder],
) -> TrainingTables:
    """Step 2: features of all rows from the fitted `autoencoders`, keyed by the name of their job."""
    catalogue = Catalogue.of(user_features, item_features)
    encoded = catalogue.encode_ratings(ratings)
    total: np.ndarray | None = None
    times = np.zeros(len(ratings))
    members = config.partitions * config.folds
    sum_of_tables: PairTables | None = None
    for partition in range(config.partitions):
        for fold in range(config.folds):
            rows = member_rows(ratings, config, partition, fold, seed)
            own = {
                job.name: autoencoders[job.name]
                for job in autoencoder_jobs(config, seed)
                if (job.partition, job.fold) == (partition, fold)
            }
            tables = _member_tables(own, encoded.where(rows), user_features, item_features, config)
            target = rows if config.folds == 1 else ~rows
            features = tables.features(encoded.users[target], encoded.items[target])
            if total is None:
                total = np.zeros((len(ratings), features.shape[1]), dtype="float64")
            total[target] += features.to_numpy()
            times[target] += 1
            sum_of_tables = tables if sum_of_tables is None else sum_of_tables.plus(tables)
    assert total is not None
    assert sum_of_tables is not None
    training = pd.DataFrame((total / times[:, None]).astype("float32"), columns=features.columns)
    serving = sum_of_tables.divided_by(members)
    if config.start_from_reconstructions:
        _blend_reconstructions(training, serving, encoded.values)
    return TrainingTables(catalogue, training, serving, RatingStatistics.fit(encoded))


def _blend_reconstructions(training: pd.DataFrame, serving: PairTables, ratings: np.ndarray) -> None:
    """Add the column `BLEND` to both: the linear blend that fits the training ratings best.

    Its few weights are fitted on all training rows, so a row's own rating has a share of one in n in them; nothing else
    that the trees see of a row knows its rating.
    """
    names = list(serving.pair)
    inputs = np.column_stack([training[names].to_numpy("float64"), np.ones(len(training))])
    weights, *_ = np.linalg.lstsq(inputs, ratings.astype("float64"))
    training[BLEND] = (inputs @ weights).astype("float32")
    blend = (
        sum(weight * serving.pair[name] for weight, name in zip(weights, names, strict=False)) + weights[-1]
    )
    serving.pair[BLEND] = np.asarray(blend, dtype="float32")


def _member_tables(
    autoencoders: Mapping[str, PretrainedAutoencoder],
    ratings: EncodedRatings,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: RSAttAEXGBoostConfig,
) -> PairTables:
    parts: dict[str, list[pd.DataFrame]] = {"user": [], "item": []}
    pair = {}
    for name, autoencoder in autoencoders.items():
        label = name.split("-")[0]
        if config.reconstructions:
            pair[f"{label} reconstruction"] = autoencoder.reconstruction()
        if config.embeddings != "none":
            embedding = autoencoder.embedding(config.embeddings)
            parts[autoencoder.side].append(embedding.add_prefix(f"{label} embedding "))
    statistics = RatingStatistics.fit(ratings)
    if config.statistics:
        parts["user"].append(statistics.user)
        parts["item"].append(statistics.item)
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
        held_out = (
            tables.features(validation)[tables.training.columns],
            validation["rating"].to_numpy("float32"),
        )
    start = BLEND if config.start_from_reconstructions else None
    return fit_boosting(tables.training, target, config.head, seed, start, held_out)


def chosen_config(
    config: RSAttAEXGBoostConfig,
    autoencoders: Mapping[str, PretrainedAutoencoder],
    heads: Sequence[BoostedTrees],
) -> RSAttAEXGBoostConfig:
    """What a fit on training + validation rows shall do, where nothing is left to stop or choose by.

    Each variant of autoencoder runs the median of the epochs that validation kept over its members, the trees
    number the median of those chosen over the heads, where there are any.
    """

    def with_epochs(variants: tuple[AutoencoderConfig, ...], side: Side) -> tuple[AutoencoderConfig, ...]:
        chosen = []
        for number, variant in enumerate(variants):
            own = [a for name, a in autoencoders.items() if name.startswith(f"{side}{number}-")]
            epochs = max(1, round(float(np.median([a.history.best_epoch for a in own]))))
            training = variant.training.model_copy(update={"epochs": epochs})
            chosen.append(variant.model_copy(update={"training": training}))
        return tuple(chosen)

    head = config.head
    if heads:
        trees = round(float(np.median([head.trees for head in heads])))
        head = head.model_copy(update={"trees": (trees,)})
    return config.model_copy(
        update={
            "user_autoencoders": with_epochs(config.user_autoencoders, "user"),
            "item_autoencoders": with_epochs(config.item_autoencoders, "item"),
            "head": head,
        }
    )
