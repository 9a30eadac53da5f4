"""Which class a saved rating model belongs to, told by the file that only this class writes."""

from __future__ import annotations

from pathlib import Path

from attrec.errors import DataError
from attrec.models.baselines import GlobalMean, UserItemBias
from attrec.models.pair_network import NeuralCF
from attrec.models.rating_model import RatingModel
from attrec.models.rsattae_xgboost import RSAttAEXGBoost

RATING_MODELS: dict[str, type[RatingModel]] = {
    "global_mean.json": GlobalMean,
    "user_item_bias.json": UserItemBias,
    "neural_cf.json": NeuralCF,
    "rsattae_xgboost.json": RSAttAEXGBoost,
}


def load_rating_model(directory: Path) -> RatingModel:
    """Load any saved rating model.

    Raises:
        DataError: the folder holds none, or a file of it is unreadable.
    """
    for file, kind in RATING_MODELS.items():
        if (directory / file).is_file():
            return kind.load(directory)
    raise DataError(f"{directory} holds no saved rating model: fit and save one first.")
