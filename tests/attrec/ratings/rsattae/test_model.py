"""RSAttAE + XGBoost keeps the contract: in-sample, cross-fitted, stacked."""

from __future__ import annotations

from attrec.models.training import TrainingConfig
from attrec.ratings.bayesian.factorization_machine import BayesianFMConfig
from attrec.ratings.rsattae.autoencoder import AutoencoderConfig
from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from attrec.ratings.rsattae.network import RSAttAEConfig
from tests.attrec.ratings.contract import LAST_EPOCH, SO_MANY_TREES, TREES, RatingContract

AUTOENCODER = AutoencoderConfig(
    network=RSAttAEConfig(dimension=8), training=TrainingConfig(epochs=40, learning_rate=0.05)
)
IN_SAMPLE = RSAttAEXGBoostConfig(
    user_autoencoders=(AUTOENCODER,), item_autoencoders=(AUTOENCODER,), embeddings="attended", head=TREES
)
CROSS_FITTED = RSAttAEXGBoostConfig(
    user_autoencoders=(AUTOENCODER,),
    item_autoencoders=(AUTOENCODER,),
    folds=2,
    partitions=2,
    embeddings="none",
    reconstructions=True,
    statistics=True,
    affinities=True,
    start_from_reconstructions=True,
    head=TREES,
    head_seeds=2,
)
STACKED = CROSS_FITTED.model_copy(
    update={
        "partitions": 1,
        "machine": BayesianFMConfig(rank=4, iterations=30, burn_in=5, ordered=True),
        "neighbours": True,
        "profiles": True,
    }
)


class TestRSAttAEXGBoost(RatingContract):
    model = RSAttAEXGBoost
    configs = {
        "in-sample": IN_SAMPLE,
        "cross-fitted": CROSS_FITTED,
        "stacked": STACKED,
        "stacked+time": STACKED.model_copy(update={"moments": True}),
    }

    @classmethod
    def without_choice(cls, config):
        sides = (AUTOENCODER.model_copy(update={"training": LAST_EPOCH}),)
        changes = {"user_autoencoders": sides, "item_autoencoders": sides, "head": SO_MANY_TREES}
        return config.model_copy(update=changes)
