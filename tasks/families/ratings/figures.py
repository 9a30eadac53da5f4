"""Scores of rating models: errors, paired tests, error by activity, calibration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from attrec.metrics.activity import error_by_activity
from attrec.metrics.calibration import calibration, predictions_by_rating
from attrec.metrics.intervals import LOSSES, UserSums
from attrec.reporting.leaderboard import uses_time
from tasks.comparison.score import best_by, by_seed_table, comparison_table, score_table, write_evaluation
from tasks.data.prepared import PreparedRatings
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Part
from tasks.families.ratings.answers import prediction_matrix, truth_of


@cached_task("evaluate", task_run_name="evaluate {part}")
def evaluate(
    data: PreparedRatings, part: Part, predictions: dict[str, list[Artifact]], champion: str | None
) -> Artifact:
    """Score all models on one part.

    Args:
        part: The ratings of `test` are read here and nowhere else.
        predictions: One artefact a seed for each model.
        champion: Model whose errors are broken down, or None for the one with the lowest RMSE on this part.

    Returns:
        Folder with `scores.csv` (model, metric, value, ci_low, ci_high, n, seeds), `by_seed.csv`, `comparisons.csv`,
        and of the champion `user_activity.csv`, `item_activity.csv`, `calibration.csv`, `by_rating.csv`.
    """
    truth = truth_of(data, part)
    users, ratings = truth["user_id"], truth["rating"].to_numpy("float64")
    matrices = {model: prediction_matrix(truth, artifacts) for model, artifacts in predictions.items()}
    sums = error_sums(truth, matrices)
    scores = score_table(sums)
    shown = champion or best_model(scores)
    training = data.training.load("select" if part == "validation" else "final").ratings
    mean = matrices[shown].mean(axis=0)
    with writing("evaluation") as draft:
        frames = {
            "scores": scores,
            "by_seed": by_seed_table(sums),
            "comparisons": paired_tests(sums),
            "user_activity": error_by_activity(users, training["user_id"], users, ratings, matrices[shown]),
            "item_activity": error_by_activity(
                truth["item_id"], training["item_id"], users, ratings, matrices[shown]
            ),
            "calibration": calibration(ratings, mean),
            "by_rating": predictions_by_rating(ratings, mean),
        }
        write_evaluation(draft.folder, frames)
    return draft.artifact


def error_sums(truth: pd.DataFrame, matrices: Mapping[str, np.ndarray]) -> dict[tuple[str, str], UserSums]:
    """By model and metric, of predictions [seeds, n]."""
    users, ratings = truth["user_id"], truth["rating"].to_numpy("float64")
    return {
        (model, metric): UserSums.of_errors(users, ratings, matrix, metric)
        for model, matrix in matrices.items()
        for metric in LOSSES
    }


def paired_tests(sums: Mapping[tuple[str, str], UserSums]) -> pd.DataFrame:
    """Tests of the RMSE, models with and without timestamps each among themselves."""
    by_time = [
        {key: own for key, own in sums.items() if uses_time(key[0]) is timed} for timed in (False, True)
    ]
    tests = [comparison_table(own, "rmse", lower_is_better=True) for own in by_time if own]
    return pd.concat(tests, ignore_index=True)


def best_model(scores: pd.DataFrame) -> str:
    """Model with the lowest RMSE; one that needs timestamps of the pairs only if there is no other.

    Whoever asks for a recommendation names no moment, and what such a model gains, it gains from moments.
    """
    timed = scores["model"].map(uses_time)
    return best_by(scores if timed.all() else scores[~timed], "rmse", lower_is_better=True)
