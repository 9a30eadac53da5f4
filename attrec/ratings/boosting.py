"""XGBoost heads: the regressor that turns features of a user–item pair into a rating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import Field

from attrec.errors import DataError
from attrec.files import whole
from attrec.models.base import Config
from attrec.models.storage import read_json, write_json
from attrec.models.tunable import Range

if TYPE_CHECKING:
    import xgboost


class BoostingConfig(Config):
    """One gradient-boosted regressor; the defaults are setup 4 of the paper's Table II."""

    trees: tuple[int, ...] = Field(default=(1300, 1500, 1700, 1900), min_length=1)
    """Candidate numbers of trees, chosen on validation; without validation the largest is used."""
    max_depth: Annotated[int, Range(3, 10)] = Field(default=9, ge=1, le=64)
    """Depth of a tree."""
    learning_rate: Annotated[float, Range(0.01, 0.2, log=True)] = Field(default=0.01, gt=0)
    """Shrinkage of each tree."""
    subsample: Annotated[float, Range(0.4, 1.0)] = Field(default=1.0, gt=0, le=1)
    """Share of the rows a tree sees."""
    column_sample: Annotated[float, Range(0.1, 1.0)] = Field(default=0.2, gt=0, le=1)
    """Share of the features a tree sees."""
    min_child_weight: Annotated[float, Range(1.0, 100.0, log=True)] = Field(default=1.0, ge=0)
    """Fewest rows in a leaf."""
    reg_lambda: Annotated[float, Range(0.1, 100.0, log=True)] = Field(default=1.0, ge=0)
    """L2 penalty on leaf values."""
    reg_alpha: Annotated[float, Range(0.0, 10.0)] = Field(default=3.0, ge=0)
    """L1 penalty on leaf values."""

    def xgboost_parameters(self, seed: int) -> dict[str, Any]:
        return {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bytree": self.column_sample,
            "min_child_weight": self.min_child_weight,
            "reg_lambda": self.reg_lambda,
            "reg_alpha": self.reg_alpha,
            "nthread": 1,
            "seed": seed,
        }


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted regressor over named features."""

    config: BoostingConfig
    booster: xgboost.Booster
    features: tuple[str, ...]
    """Names in column order; kept here because XGBoost allows no brackets in its own."""
    trees: int
    """Trees that predict, as chosen."""
    validation_rmse: dict[int, float]
    """RMSE on validation by candidate number of trees; empty without validation."""

    start: str | None
    """The feature that the trees correct; None: they start from the mean rating."""

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Predictions [n] float32 from the features that were fitted, in any order."""
        matrix = _matrix(features[list(self.features)], self.start)
        return self.booster.predict(matrix, iteration_range=(0, self.trees))

    def importance(self) -> pd.DataFrame:
        """Columns feature, gain (mean squared-error gain a split), splits; largest total gain first."""
        gain, splits = (self.booster.get_score(importance_type=kind) for kind in ("gain", "weight"))
        names = self.booster.feature_names or []
        table = pd.DataFrame(
            {
                "feature": names,
                "gain": [float(gain.get(name, 0.0)) for name in names],  # type: ignore[arg-type]
                "splits": [int(splits.get(name, 0)) for name in names],  # type: ignore[arg-type]
            }
        )
        total = table["gain"] * table["splits"]
        return table.iloc[np.argsort(-total.to_numpy(), kind="stable")].reset_index(drop=True)

    def save(self, directory: Path) -> None:
        with whole(directory / "trees.ubj") as temporary:
            temporary.write_bytes(self.booster.save_raw("ubj"))
        content = {
            "config": self.config.model_dump(),
            "features": self.features,
            "trees": self.trees,
            "start": self.start,
            "validation_rmse": list(self.validation_rmse.items()),
        }
        write_json(directory / "boosting.json", content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises: DataError if a file is missing or unreadable."""
        import xgboost

        content = read_json(directory / "boosting.json")
        booster = xgboost.Booster()
        try:
            booster.load_model(directory / "trees.ubj")
        except xgboost.core.XGBoostError as error:
            message = f"{directory / 'trees.ubj'} is not a readable model file; fit and save the model again."
            raise DataError(message) from error
        losses = {int(trees): float(loss) for trees, loss in content["validation_rmse"]}
        return cls(
            BoostingConfig(**content["config"]),
            booster,
            tuple(content["features"]),
            content["trees"],
            losses,
            content["start"],
        )


def fit_boosting(
    features: pd.DataFrame,
    ratings: np.ndarray,
    config: BoostingConfig,
    seed: int,
    start: str | None = None,
    validation: tuple[Sequence[pd.DataFrame], np.ndarray] | None = None,
) -> BoostedTrees:
    """Fit trees to `ratings` [n] from `features` [n, columns], correcting the feature `start`.

    `validation` (features in one or more versions, ratings) chooses among the candidate numbers of trees, by the error
    of the predictions' mean over the versions. One fit of the largest serves them all: a booster of 1900 trees begins
    with the booster of 1300.
    """
    import xgboost

    data = _matrix(features, start, ratings)
    most = max(config.trees)
    booster = xgboost.train(config.xgboost_parameters(seed), data, most)
    trees = BoostedTrees(config, booster, tuple(features.columns), most, {}, start)
    if validation is None:
        return trees
    versions, held_out = validation
    losses = {}
    for number in sorted(config.trees):
        candidate = replace(trees, trees=number)
        predicted = np.mean([candidate.predict(version) for version in versions], axis=0)
        losses[number] = float(np.sqrt(np.mean((predicted - held_out) ** 2)))
    return replace(trees, trees=min(losses, key=losses.__getitem__), validation_rmse=losses)


def _matrix(features: pd.DataFrame, start: str | None, ratings: np.ndarray | None = None) -> xgboost.DMatrix:
    import xgboost

    margin = None if start is None else features[start].to_numpy("float32")
    values = features.to_numpy("float32")
    return xgboost.DMatrix(values, ratings, base_margin=margin, nthread=1)


def mean_importance(heads: Sequence[BoostedTrees]) -> pd.DataFrame:
    """feature, importance: share of the total gain, averaged over the boosters; largest first."""
    shares = []
    for head in heads:
        table = head.importance().set_index("feature")
        total = table["gain"] * table["splits"]
        shares.append(total / total.sum())
    mean = pd.concat(shares, axis=1).fillna(0.0).mean(axis=1).sort_values(ascending=False, kind="stable")
    return mean.rename("importance").rename_axis("feature").reset_index()
