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

__getattr__, __dir__, __all__ = lazily(__name__)
