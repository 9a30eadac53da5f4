"""Named configurations of RSAttAE + XGBoost."""

from __future__ import annotations

from typing import Literal

from attrec.models.autoencoder import AutoencoderConfig
from attrec.models.boosting import BoostingConfig
from attrec.models.cross_fitting import RSAttAEXGBoostConfig
from attrec.models.rsattae import RSAttAEConfig
from attrec.training import TrainingConfig

Recipe = Literal["paper", "quick", "full"]


def recipe(name: Recipe) -> RSAttAEXGBoostConfig:
    """`paper`: as published; `full`: what measured best on validation; `quick`: `full` with less averaging."""
    if name == "paper":
        return RSAttAEXGBoostConfig()
    autoencoder = AutoencoderConfig(
        network=RSAttAEConfig(),
        training=TrainingConfig(epochs=150, learning_rate=2e-3, weight_decay=0.003, patience=20, validate_every=5),
        centre="bias",
    )
    return RSAttAEXGBoostConfig(
        user_autoencoders=(autoencoder,),
        item_autoencoders=(autoencoder,),
        folds=5 if name == "quick" else 10,
        partitions=1 if name == "quick" else 2,
        embeddings="none",
        reconstructions=True,
        statistics=True,
        head=BoostingConfig(trees=(200, 300, 400, 500, 600), max_depth=6, learning_rate=0.02, min_child_weight=20, reg_lambda=10),
    )
