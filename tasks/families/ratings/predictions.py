"""Predictions of a fitted model for validation or test pairs; the ratings of those pairs are not in reach."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from attrec.datasets.tables import write_parquet
from attrec.ratings.model import RatingModel
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.data import PAIR, Prepared, load_validation


@cached_task("predict", task_run_name="predict {part}")
def predict(model: Artifact, prepared_pairs: Artifact, part: Literal["validation", "test"]) -> Artifact:
    """Predict every pair of a part.

    Args:
        model: Saved rating model.
        prepared_pairs: The `fit` folder for validation, the `test_pairs` folder for test.
        part: Which of the two it is.

    Returns:
        Folder with `predictions.parquet`: user_id, item_id, prediction.
    """
    if part == "validation":
        pairs = load_validation(prepared_pairs).drop(columns="rating")
    else:
        pairs = pd.read_parquet(prepared_pairs.path / "pairs.parquet")
    predictions = pairs[PAIR].assign(prediction=RatingModel.load(model.path).predict(pairs))
    with writing("predictions") as draft:
        write_parquet(predictions, draft.folder / "predictions.parquet")
    return draft.artifact


def truth_of(prepared: Prepared, part: Literal["validation", "test"]) -> pd.DataFrame:
    """user_id, item_id, rating of a part; for evaluation alone."""
    if part == "validation":
        return load_validation(prepared.fit)
    return pd.read_parquet(prepared.test_ratings.path / "ratings.parquet")
