"""Which class a saved rating model belongs to, told by the file that only this class writes."""

from __future__ import annotations

from pathlib import Path

from attrec.models.baselines import GlobalMean, UserItemBias
from attrec.models.bayesian_mf import BayesianMF
from attrec.models.blend import Blend
from attrec.models.embedded_xgboost import EmbeddedXGBoost
from attrec.models.factorization_machine import BayesianFM
from attrec.models.glocal_k import GLocalK
from attrec.models.imputed_svd import ImputedSVD
from attrec.models.pair_network import NeuralCF
from attrec.models.rating_model import RatingModel
from attrec.models.residual_neighbours import ResidualNeighbours
from attrec.models.rsattae_xgboost import RSAttAEXGBoost
from attrec.models.storage import load_saved
from attrec.models.surprise_baselines import SurpriseBaseline

RATING_MODELS: dict[str, type[RatingModel]] = {
    "blend.json": Blend,
    "global_mean.json": GlobalMean,
    "user_item_bias.json": UserItemBias,
    "neural_cf.json": NeuralCF,
    "embedded_xgboost.json": EmbeddedXGBoost,
    "glocal_k.json": GLocalK,
    "imputed_svd.json": ImputedSVD,
    "residual_neighbours.json": ResidualNeighbours,
    "surprise.json": SurpriseBaseline,
    "bayesian_fm.json": BayesianFM,
    "bayesian_mf.json": BayesianMF,
    "rsattae_xgboost.json": RSAttAEXGBoost,
}


def load_rating_model(directory: Path) -> RatingModel:
    """Load any saved rating model.

    Raises:
        DataError: see `load_saved`.
    """
    return load_saved(directory, RATING_MODELS, "rating")
