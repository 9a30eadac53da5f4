"""Rating prediction: models that say what a user would rate an item, from ratings, side features and moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.ratings.baselines import (
        GlobalMean as GlobalMean,
        UserItemBias as UserItemBias,
        UserItemBiasConfig as UserItemBiasConfig,
    )
    from attrec.ratings.bayesian.factorization_machine import (
        BayesianFM as BayesianFM,
        BayesianFMConfig as BayesianFMConfig,
    )
    from attrec.ratings.bayesian.matrix_factorization import (
        BayesianMF as BayesianMF,
        BayesianMFConfig as BayesianMFConfig,
    )
    from attrec.ratings.blend import Blend as Blend, BlendConfig as BlendConfig, BlendWeights as BlendWeights
    from attrec.ratings.glocal_k.model import GLocalK as GLocalK, GLocalKConfig as GLocalKConfig
    from attrec.ratings.imputed_svd import ImputedSVD as ImputedSVD, ImputedSVDConfig as ImputedSVDConfig
    from attrec.ratings.model import RatingConfig as RatingConfig, RatingModel as RatingModel
    from attrec.ratings.neighbourhoods.model import (
        ResidualNeighbours as ResidualNeighbours,
        ResidualNeighboursConfig as ResidualNeighboursConfig,
    )
    from attrec.ratings.pairs.model import NeuralCF as NeuralCF, PairNetworkConfig as PairNetworkConfig
    from attrec.ratings.pairs.xgboost import (
        EmbeddedXGBoost as EmbeddedXGBoost,
        EmbeddedXGBoostConfig as EmbeddedXGBoostConfig,
    )
    from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig as RSAttAEXGBoostConfig
    from attrec.ratings.rsattae.model import RSAttAEXGBoost as RSAttAEXGBoost
    from attrec.ratings.specs import RATING_MODELS as RATING_MODELS, RatingSpec as RatingSpec
    from attrec.ratings.surprise.baselines import (
        SurpriseBaseline as SurpriseBaseline,
        SurpriseConfig as SurpriseConfig,
    )

__getattr__, __dir__, __all__ = lazily(__name__)
