"""RSAttAE + XGBoost, step by step: autoencoders, the features they give to user–item pairs, boosted trees.

The paper trains one autoencoder a side on all training rows and gives XGBoost their embeddings of the same
rows, so a training row's own rating is inside its features while no test row's is. Cross-fitting removes that
mismatch: the training rows are partitioned into folds, a fold's autoencoders never see its rows, and the
features of a row come from the member (one a fold) that did not see it; a new pair is predicted from the
features that each member gives it, and the predictions are averaged.

A member may also sample a factorisation machine, so that the trees stack both, and look for what its residuals have
in common among similar items, similar users, and ratings made at the same time.

The steps can be run, cached and resumed one by one: `autoencoder_jobs` → `run_autoencoder_job` each, `machine_jobs` →
`run_machine_job` each → `training_tables` → `fit_head` each → `RSAttAEXGBoost.assemble`; `RSAttAEXGBoost.fit` is the
loop over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from attrec.models.training import Progress
from attrec.ratings.bayesian.factorization_machine import BayesianFM, BayesianFMConfig
from attrec.ratings.boosting import BoostedTrees, BoostingConfig
from attrec.ratings.folds import fold_of_rows
from attrec.ratings.model import RatingConfig
from attrec.ratings.rsattae.autoencoder import AutoencoderConfig, PretrainedAutoencoder, Side, pretrain


class RSAttAEXGBoostConfig(RatingConfig):
    """The defaults are the paper's recipe."""

    user_autoencoders: tuple[AutoencoderConfig, ...] = (AutoencoderConfig(),)
    """The autoencoders of users that each member trains."""
    item_autoencoders: tuple[AutoencoderConfig, ...] = (AutoencoderConfig(),)
    """The autoencoders of items that each member trains."""
    folds: int = Field(default=1, ge=1, le=1000)
    """Folds of a partition; 1 is the paper's in-sample recipe, 2 or more are cross-fitted."""
    partitions: int = Field(default=1, ge=1, le=1000)
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
    machine: BayesianFMConfig | None = None
    """The factorisation machine of each member, whose predictions are one more reconstruction."""
    neighbours: bool = False
    """Give the trees what the machine leaves unexplained of similar items and of similar users."""
    profiles: bool = False
    """Give the trees how users and items spread over the rating scale, and the popularity of what they go with."""
    moments: bool = False
    """Give the trees what the machine leaves unexplained of the user's ratings around the moment; needs timestamps."""
    head: BoostingConfig = BoostingConfig()
    """The trees."""
    head_seeds: int = Field(default=1, ge=1, le=1000)
    """Boosters, equal but for their seed, whose predictions are averaged."""

    @property
    def uses_time(self) -> bool:
        return self.moments

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.embeddings != "none" and self.folds * self.partitions > 1:
            raise ValueError(
                "embeddings of different folds are not comparable: use folds=1, or embeddings='none'"
            )
        if self.machine is None and (self.neighbours or self.moments):
            raise ValueError("neighbours and moments are of the machine's residuals: set machine too")
        if self.machine is not None and self.folds == 1:
            raise ValueError("a machine knows the ratings it was fitted on: use folds of 2 or more")
        if self.machine is not None and self.machine.time:
            raise ValueError("timestamps are for moments: true, not for the machine")
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
    def label(self) -> str:
        """Unique within a partition and fold."""
        return f"{self.side}{self.variant}"

    @property
    def name(self) -> str:
        """Unique within a configuration and seed; fit for a file name."""
        return f"{self.label}-p{self.partition}-f{self.fold}"


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


@dataclass(frozen=True)
class MachineJob:
    """One factorisation machine to be sampled."""

    partition: int
    fold: int
    """The fold whose rows this machine never sees."""
    seed: int

    @property
    def name(self) -> str:
        """Unique within a configuration and seed; fit for a file name."""
        return f"machine-p{self.partition}-f{self.fold}"


def machine_jobs(config: RSAttAEXGBoostConfig, seed: int) -> list[MachineJob]:
    """One a member, if the configuration has machines."""
    if config.machine is None:
        return []
    return [
        MachineJob(
            partition, fold, int(np.random.SeedSequence([seed, partition, fold]).generate_state(1)[0] >> 2)
        )
        for partition in range(config.partitions)
        for fold in range(config.folds)
    ]


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


def run_machine_job(
    job: MachineJob,
    ratings: pd.DataFrame,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: RSAttAEXGBoostConfig,
    seed: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Step 1 for one of `machine_jobs`: the ratings [n_users, n_items] that it expects.

    `ratings` are all training rows, of which it takes its own.
    """
    rows = ratings[member_rows(ratings, config, job.partition, job.fold, seed)]
    machine = BayesianFM(config.machine, job.seed)
    machine.fit(rows, user_features, item_features, progress=progress)
    pairs = pd.MultiIndex.from_product(
        [user_features.index, item_features.index], names=["user_id", "item_id"]
    )
    expected = machine.predict(pairs.to_frame(index=False))
    return expected.reshape(len(user_features), len(item_features)).astype("float32")


def chosen_config(
    config: RSAttAEXGBoostConfig,
    autoencoders: Mapping[str, PretrainedAutoencoder],
    heads: Sequence[BoostedTrees],
) -> RSAttAEXGBoostConfig:
    """What a fit on training + validation rows shall do, where nothing is left to stop or choose by.

    Each variant of autoencoder runs the median of the epochs that validation kept over its members, the trees
    number the median of those chosen over the heads, where there are any.
    """

    jobs = autoencoder_jobs(config, seed=0)  # which are the same with any seed, but for their own

    def with_epochs(variants: tuple[AutoencoderConfig, ...], side: Side) -> tuple[AutoencoderConfig, ...]:
        chosen = []
        for number, variant in enumerate(variants):
            own = [autoencoders[job.name] for job in jobs if (job.side, job.variant) == (side, number)]
            epochs = max(1, round(float(np.median([a.course.best_epoch for a in own]))))
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
