"""What a fitted rating model answers: predictions of the pairs of a part; and the ratings they are held against."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrec.datasets.tables import read_parquet, write_parquet
from attrec.ratings.model import RatingModel
from tasks.data.prepared import PAIR, PreparedRatings
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Part


@cached_task("predict", task_run_name="predict {part}")
def predict(model: Artifact, kind: type[RatingModel], pairs: Artifact, part: Part) -> Artifact:
    """Predict every pair of a part; the ratings of test pairs are not in reach.

    Args:
        model: Saved rating model.
        kind: Its class.
        pairs: The folder `training` for validation, `test_pairs` for the test.

    Returns:
        Folder with `predictions.parquet`: user_id, item_id, prediction.
    """
    if part == "validation":
        rows = read_parquet(pairs.path / "ratings.parquet")
        asked = rows[rows["part"] == "validation"].drop(columns=["part", "rating"]).reset_index(drop=True)
    else:
        asked = read_parquet(pairs.path / "pairs.parquet")
    predictions = asked[PAIR].assign(prediction=kind.load(model.path).predict(asked))
    with writing("predictions") as draft:
        write_parquet(predictions, draft.folder / "predictions.parquet")
    return draft.artifact


def read_predictions(artifact: Artifact) -> pd.DataFrame:
    """user_id, item_id, prediction."""
    return read_parquet(artifact.path / "predictions.parquet")


def truth_of(data: PreparedRatings, part: Part) -> pd.DataFrame:
    """user_id, item_id, rating of a part; for evaluation alone."""
    if part == "validation":
        return data.training.validation()
    return read_parquet(data.test_ratings.path / "ratings.parquet")


def prediction_matrix(truth: pd.DataFrame, artifacts: list[Artifact]) -> np.ndarray:
    """[seeds, n] predictions in the order of `truth`."""
    rows = []
    for artifact in artifacts:
        frame = read_predictions(artifact)
        if not frame[PAIR].equals(truth[PAIR]):
            frame = truth[PAIR].merge(frame, on=PAIR, how="left", validate="one_to_one")
        rows.append(frame["prediction"].to_numpy("float64"))
    return np.stack(rows)
