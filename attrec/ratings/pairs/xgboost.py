"""XGBoost as the head of any embedding: boosted trees over the vectors that a pair network has learned.

A network's weights know the ratings it was trained on, so on these its vectors and predictions are better than they
will ever be on new pairs; to mask a rating in the inputs would not take it out of the weights. So the training rows are
partitioned into folds and a network is trained without each: a row's features come from the network that never saw it.
All networks start from the same weights, which keeps their spaces near each other, so that one booster learns from the
rows of all folds. A new pair is described by every network, and the mean of the booster's answers is predicted.

Step by step: `train_fold_network` for each fold → `fit_trees` → `EmbeddedXGBoost.assemble`; `fit` loops over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field

from attrec.errors import DataError
from attrec.models.base import Component, Parameters, Saved
from attrec.models.training import Losses, Progress
from attrec.ratings.boosting import BoostedTrees, BoostingConfig, fit_boosting, mean_importance
from attrec.ratings.catalogue import Catalogue
from attrec.ratings.folds import fold_of_rows
from attrec.ratings.model import RatingConfig, RatingData, RatingModel
from attrec.ratings.pairs.fold_network import START, FoldNetwork
from attrec.ratings.pairs.model import PairNetworkConfig, Vectors
from attrec.ratings.rsattae.cross_fitting import AutoencoderJob, RSAttAEXGBoostConfig, autoencoder_jobs


class EmbeddedXGBoostConfig(RatingConfig):
    """The networks that embed, and the trees over them."""

    network: PairNetworkConfig = PairNetworkConfig(head="inner")
    """The embedding, with the head that it is trained under."""
    folds: int = Field(default=8, ge=2, le=1000)
    """Folds of the training rows, and networks."""
    boosting: BoostingConfig = BoostingConfig()
    """The trees."""


def train_fold_network(
    fold: int,
    ratings: pd.DataFrame,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: EmbeddedXGBoostConfig,
    seed: int,
    validation: pd.DataFrame | None = None,
    initial: Vectors | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> FoldNetwork:
    """Step 1, for one fold: train a network on all `ratings` but those of the fold; the rest as in `NeuralCF.fit`.

    Raises:
        DataError: see `NeuralCF.fit`; or there are fewer ratings than folds.
    """
    Catalogue.of(user_features, item_features).encode_ratings(ratings)
    if len(ratings) < config.folds:
        raise DataError(f"{len(ratings)} ratings cannot make {config.folds} folds: set fewer folds.")
    rows = ratings[fold_of_rows(ratings, config.folds, 0, seed) != fold]
    return FoldNetwork(config.network, seed).fit(
        rows,
        user_features,
        item_features,
        validation,
        checkpoint=checkpoint,
        progress=progress,
        initial=initial,
    )


def pretraining_jobs(pretraining: RSAttAEXGBoostConfig, seed: int) -> list[AutoencoderJob]:
    """One autoencoder a side and fold for tables that start from them, of equal seeds in all folds."""
    jobs = autoencoder_jobs(pretraining, seed)
    seeds = {job.side: job.seed for job in jobs if job.fold == 0}
    return [replace(job, seed=seeds[job.side]) for job in jobs]


def fit_trees(
    networks: Sequence[FoldNetwork],
    ratings: pd.DataFrame,
    config: EmbeddedXGBoostConfig,
    seed: int,
    validation: pd.DataFrame | None = None,
) -> BoostedTrees:
    """Step 2: the booster, on each row as the network of the row's fold describes it.

    `validation`, as all networks describe it, chooses the number of trees.

    Raises:
        DataError: no network has vectors for any row of its fold.
    """
    fold = fold_of_rows(ratings, config.folds, 0, seed)
    own_rows = [ratings[fold == number] for number in range(config.folds)]
    features, target = _described(networks, own_rows)
    if not len(target):
        raise DataError("no rating's user and item are both known to the other folds: give more ratings.")
    held_out = None
    if validation is not None:
        described, held_out_ratings = _described(networks, [validation] * config.folds)
        held_out = ([described], held_out_ratings) if len(held_out_ratings) else None
    return fit_boosting(features, target, config.boosting, seed, START, held_out)


def _described(
    networks: Sequence[FoldNetwork], rows: Sequence[pd.DataFrame]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and ratings of each network's rows, one below the other, as far as the network has vectors for them."""
    described = [network.describe(own) for network, own in zip(networks, rows, strict=True)]
    ratings = [
        own["rating"].to_numpy("float32")[part.embedded] for own, part in zip(rows, described, strict=True)
    ]
    return pd.concat([part.features for part in described], ignore_index=True), np.concatenate(ratings)


def chosen_config(
    config: EmbeddedXGBoostConfig, networks: Sequence[FoldNetwork], trees: BoostedTrees
) -> EmbeddedXGBoostConfig:
    """What a fit on training + validation rows shall do: the median of the networks' best epochs, the trees chosen."""
    epochs = max(1, round(float(np.median([network.course.best_epoch for network in networks]))))
    training = config.network.training.model_copy(update={"epochs": epochs})
    return config.model_copy(
        update={
            "network": config.network.model_copy(update={"training": training}),
            "boosting": config.boosting.model_copy(update={"trees": (trees.trees,)}),
        }
    )


class EmbeddedXGBoost(RatingModel):
    """The whole model, fitted in one call.

    Whom a network has no vectors for (see `FoldNetwork.describe`), its biases predict. A newcomer with history is as in
    `NeuralCF`: nothing is trained, an attentive user is their history, with look-up tables it is the mean user.

    >>> import pandas as pd
    >>> from attrec.ratings import EmbeddedXGBoost
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> network = {"dimension": 8, "training": {"epochs": 20}}
    >>> model = EmbeddedXGBoost(folds=2, network=network, boosting={"trees": (20,)})
    >>> model.fit(ratings).predict(pd.DataFrame({"user_id": [0], "item_id": [10]})).shape
    (1,)
    """

    config_class = EmbeddedXGBoostConfig

    config: EmbeddedXGBoostConfig

    def _fit(self, data: RatingData, initial: Sequence[Vectors] | None = None) -> None:
        """The steps one after the other.

        Args:
            initial: For the embedding `pretrained`: vectors of users and items for each fold, fitted without its rows.
        """
        config, seed, validation = self.config, self.seed, data.validation
        tables = data.ratings, data.user_features, data.item_features
        networks = [
            train_fold_network(
                fold, *tables, config, seed, validation, None if initial is None else initial[fold]
            )
            for fold in range(config.folds)
        ]
        trees = fit_trees(networks, data.ratings, config, seed, validation)
        self.assemble(data.ratings, networks, trees)

    def assemble(self, ratings: pd.DataFrame, networks: Sequence[FoldNetwork], trees: BoostedTrees) -> Self:
        """Step 3: make the results of the other steps this model."""
        catalogue = networks[0].catalogue
        self.remember(catalogue, catalogue.encode_ratings(ratings))
        self.networks = list(networks)
        self.trees = trees
        return self

    def chosen_config(self) -> EmbeddedXGBoostConfig:
        """See the function `chosen_config`."""
        return chosen_config(self.config, self.networks, self.trees)

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        total = np.zeros(len(pairs))
        for network in self.networks:
            predicted, embedded, features = network.describe(pairs, history)
            if embedded.any():
                predicted[embedded] = self.trees.predict(features)
            total += predicted
        return np.clip(total / len(self.networks), *self.rating_range)

    @property
    def losses(self) -> dict[str, Losses]:
        return {f"network-p0-f{fold}": network.course for fold, network in enumerate(self.networks)}

    @property
    def drawn_losses(self) -> dict[str, Losses]:
        return {"network": self.networks[0].course}

    def importance(self) -> pd.DataFrame:
        return mean_importance([self.trees])

    @property
    def attends(self) -> bool:
        return self.config.network.embedding == "attentive"

    def explain(
        self, user_id: int | str, item_id: int | str, history: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """As `RatingModel.explain`: the mean of the networks' weights, each 0 on the fold it has not seen."""
        shown: list[pd.DataFrame] = []
        for network in self.networks:
            try:
                shown.append(network.explain(user_id, item_id, history))
            except DataError:
                # Somebody of few ratings may have all of them in the fold this network has not seen.
                if network is self.networks[-1] and not shown:
                    raise
        total = pd.concat(shown).groupby("item_id", sort=False).agg({"rating": "first", "weight": "sum"})
        mean = total.assign(weight=total["weight"] / len(self.networks)).reset_index()
        return mean.sort_values("weight", ascending=False, kind="stable", ignore_index=True)

    def parameters(self) -> Parameters:
        parts: dict[str, Component] = {f"networks/{fold}": own for fold, own in enumerate(self.networks)}
        return Parameters(parts={**parts, "trees": self.trees})

    def take(self, saved: Saved) -> None:
        folders = [saved.folder / "networks" / str(fold) for fold in range(self.config.folds)]
        self.networks = [FoldNetwork.load(folder) for folder in folders]
        self.trees = BoostedTrees.load(saved.folder / "trees")
