"""What the prepare flow hands on, in three folders, so that no fit can reach a test rating.

`training/` has the training and validation rows and the features; `test_pairs/` the pairs to predict, with their
timestamps but without ratings; `test_ratings/` their ratings, which only the evaluation reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attrec.datasets.tables import read_parquet
from tasks.engine.artifacts import Artifact, adopt
from tasks.engine.training_data import Phase, Prepared, TrainingData

PAIR = ["user_id", "item_id"]


@dataclass(frozen=True)
class RatingRows:
    """Everything a model may see.

    Ratings and validation have user_id, item_id, rating, and timestamp where the dataset has it.

    `select`: ratings are the training rows, choices are made on validation. `final`: ratings are training and
    validation rows, nothing is left to choose, and validation is None.
    """

    ratings: pd.DataFrame
    validation: pd.DataFrame | None
    user_features: pd.DataFrame
    item_features: pd.DataFrame


class RatingTraining(TrainingData, frozen=True):
    """Training and validation ratings, with features of users and items."""

    def arguments(self, phase: Phase) -> dict[str, Any]:
        """As `RatingModel.fit` takes them."""
        return vars(self.load(phase))

    def load(self, phase: Phase) -> RatingRows:
        """Rows and features for one phase."""
        ratings = read_parquet(self.folder.path / "ratings.parquet")
        columns = [name for name in (*PAIR, "rating", "timestamp") if name in ratings]
        training = ratings.loc[ratings["part"] == "train", columns].reset_index(drop=True)
        validation = ratings.loc[ratings["part"] == "validation", columns].reset_index(drop=True)
        features = [
            read_parquet(self.folder.path / f"{side}_features.parquet").set_index(f"{side}_id")
            for side in ("user", "item")
        ]
        if phase == "select":
            return RatingRows(training, validation, *features)
        return RatingRows(pd.concat([training, validation], ignore_index=True), None, *features)

    def rating_values(self) -> np.ndarray:
        """The ratings that occur in training and validation, ascending, each once."""
        return np.unique(pd.read_parquet(self.folder.path / "ratings.parquet", columns=["rating"]))

    def validation(self) -> pd.DataFrame:
        """Validation rows: user_id, item_id, rating, and timestamp where the dataset has it."""
        validation = self.load("select").validation
        assert validation is not None
        return validation

    def items(self) -> pd.DataFrame:
        """Items as cleaned: item_id, and title, year, genres where known."""
        return read_parquet(self.folder.path / "items.parquet")

    def facts(self) -> dict[str, Any]:
        """What the prepare flow wrote down: dataset, split, hash, counts, cleaning rules."""
        facts: dict[str, Any] = json.loads((self.folder.path / "facts.json").read_text())
        return facts


class PreparedRatings(Prepared, frozen=True):
    """The three folders as artefacts."""

    training: RatingTraining
    test_pairs: Artifact
    test_ratings: Artifact

    def folders(self) -> dict[str, Artifact]:
        """Each by the name of its folder under data/processed."""
        return {
            "training": self.training.folder,
            "test_pairs": self.test_pairs,
            "test_ratings": self.test_ratings,
        }


def adopt_ratings(processed: Path) -> PreparedRatings:
    """The outs of the prepare stage as artefacts."""
    training, *test = (adopt(processed / name, name) for name in ("training", "test_pairs", "test_ratings"))
    return PreparedRatings(training=RatingTraining(folder=training), test_pairs=test[0], test_ratings=test[1])
