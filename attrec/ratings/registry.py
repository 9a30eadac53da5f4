"""Which class a saved rating model belongs to, told by the file that only this class writes."""

from __future__ import annotations

from pathlib import Path

from attrec.models.storage import load_saved
from attrec.ratings.baselines import GlobalMean, UserItemBias
from attrec.ratings.bayesian.factorization_machine import BayesianFM
from attrec.ratings.bayesian.matrix_factorization import BayesianMF
from attrec.ratings.blend import Blend
from attrec.ratings.glocal_k.model import GLocalK
from attrec.ratings.imputed_svd import ImputedSVD
from attrec.ratings.model import RatingModel
from attrec.ratings.neighbourhoods.model import ResidualNeighbours
from attrec.ratings.pairs.model import NeuralCF
from attrec.ratings.pairs.xgboost import EmbeddedXGBoost
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from attrec.ratings.surprise.baselines import SurpriseBaseline

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
