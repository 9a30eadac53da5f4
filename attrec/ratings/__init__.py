"""Rating prediction: models that say what a user would rate an item, from ratings, side features and moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.ratings.baselines import GlobalMean, UserItemBias, UserItemBiasConfig
    from attrec.ratings.bayesian.factorization_machine import BayesianFM, BayesianFMConfig
    from attrec.ratings.bayesian.matrix_factorization import BayesianMF, BayesianMFConfig
    from attrec.ratings.blend import Blend, BlendConfig, BlendWeights
    from attrec.ratings.glocal_k.model import GLocalK, GLocalKConfig
    from attrec.ratings.imputed_svd import ImputedSVD, ImputedSVDConfig
    from attrec.ratings.model import RatingConfig, RatingModel
    from attrec.ratings.neighbourhoods.model import ResidualNeighbours, ResidualNeighboursConfig
    from attrec.ratings.pairs.model import NeuralCF, PairNetworkConfig
    from attrec.ratings.pairs.xgboost import EmbeddedXGBoost, EmbeddedXGBoostConfig
    from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig
    from attrec.ratings.rsattae.model import RSAttAEXGBoost
    from attrec.ratings.specs import RATING_MODELS, RatingSpec
    from attrec.ratings.surprise.baselines import SurpriseBaseline, SurpriseConfig

__all__ = [
    "RATING_MODELS",
    "BayesianFM",
    "BayesianFMConfig",
    "BayesianMF",
    "BayesianMFConfig",
    "Blend",
    "BlendConfig",
    "BlendWeights",
    "EmbeddedXGBoost",
    "EmbeddedXGBoostConfig",
    "GLocalK",
    "GLocalKConfig",
    "GlobalMean",
    "ImputedSVD",
    "ImputedSVDConfig",
    "NeuralCF",
    "PairNetworkConfig",
    "RSAttAEXGBoost",
    "RSAttAEXGBoostConfig",
    "RatingConfig",
    "RatingModel",
    "RatingSpec",
    "ResidualNeighbours",
    "ResidualNeighboursConfig",
    "SurpriseBaseline",
    "SurpriseConfig",
    "UserItemBias",
    "UserItemBiasConfig",
]

__getattr__ = lazily(
    __name__,
    {
        "GlobalMean": "baselines",
        "UserItemBias": "baselines",
        "UserItemBiasConfig": "baselines",
        "BayesianFM": "bayesian.factorization_machine",
        "BayesianFMConfig": "bayesian.factorization_machine",
        "BayesianMF": "bayesian.matrix_factorization",
        "BayesianMFConfig": "bayesian.matrix_factorization",
        "Blend": "blend",
        "BlendConfig": "blend",
        "BlendWeights": "blend",
        "GLocalK": "glocal_k.model",
        "GLocalKConfig": "glocal_k.model",
        "ImputedSVD": "imputed_svd",
        "ImputedSVDConfig": "imputed_svd",
        "RatingConfig": "model",
        "RatingModel": "model",
        "ResidualNeighbours": "neighbourhoods.model",
        "ResidualNeighboursConfig": "neighbourhoods.model",
        "NeuralCF": "pairs.model",
        "PairNetworkConfig": "pairs.model",
        "EmbeddedXGBoost": "pairs.xgboost",
        "EmbeddedXGBoostConfig": "pairs.xgboost",
        "RSAttAEXGBoostConfig": "rsattae.cross_fitting",
        "RSAttAEXGBoost": "rsattae.model",
        "RATING_MODELS": "specs",
        "RatingSpec": "specs",
        "SurpriseBaseline": "surprise.baselines",
        "SurpriseConfig": "surprise.baselines",
    },
)
