"""Score predictions: errors with by-user intervals, paired tests, error by activity, calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from attrec.metrics.activity import error_by_activity
from attrec.metrics.calibration import calibration, predictions_by_rating
from attrec.metrics.intervals import Metric, bootstrap_interval, compare_to_best
from attrec.reporting.leaderboard import uses_time
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.data import PAIR, Part, Prepared, load_fit_data
from tasks.families.ratings.predictions import truth_of

METRICS: tuple[Metric, ...] = ("rmse", "mae")


@cached_task("evaluate", task_run_name="evaluate {part}")
def evaluate(
    prepared: Prepared, part: Part, predictions: dict[str, list[Artifact]], champion: str | None
) -> Artifact:
    """Score all models on one part.

    Args:
        prepared: Holds the ratings of the part.
        part: `test` is read here and nowhere else.
        predictions: One artefact a seed for each model.
        champion: Model whose errors are broken down, or None for the one with the lowest RMSE on this part.

    Returns:
        Folder with `scores.csv` (model, metric, value, ci_low, ci_high, n, seeds), `by_seed.csv`, `comparisons.csv`,
        and of the champion `user_activity.csv`, `item_activity.csv`, `calibration.csv`, `by_rating.csv`.
    """
    truth = truth_of(prepared, part)
    users, ratings = truth["user_id"], truth["rating"].to_numpy("float64")
    matrices = {model: prediction_matrix(truth, artifacts) for model, artifacts in predictions.items()}
    by_seed = []
    for model, matrix in matrices.items():
        for metric in METRICS:
            for number, seed_row in enumerate(matrix):
                value = bootstrap_interval(users, ratings, seed_row, metric, resamples=1).value
                by_seed.append({"model": model, "metric": metric, "seed_number": number, "value": value})
    table = score_table(users, ratings, matrices)
    shown = champion or best_model(table)
    training = load_fit_data(prepared.fit, "select" if part == "validation" else "final").ratings
    mean = matrices[shown].mean(axis=0)
    with writing("evaluation") as draft:
        frames = {
            "scores": table,
            "by_seed": pd.DataFrame(by_seed),
            "comparisons": paired_tests(users, ratings, matrices),
            "user_activity": error_by_activity(users, training["user_id"], users, ratings, matrices[shown]),
            "item_activity": error_by_activity(
                truth["item_id"], training["item_id"], users, ratings, matrices[shown]
            ),
            "calibration": calibration(ratings, mean),
            "by_rating": predictions_by_rating(ratings, mean),
        }
        for name, frame in frames.items():
            frame.to_csv(draft.folder / f"{name}.csv", index=False, float_format="%.6f")
        (draft.folder / "metrics.json").write_text(json.dumps(_nested(table), indent=2) + "\n")
    return draft.artifact


def score_table(users: pd.Series, ratings: np.ndarray, matrices: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """model, metric, value, ci_low, ci_high, n, seeds: of predictions [seeds, n], with by-user intervals."""
    rows = []
    for model, matrix in matrices.items():
        for metric in METRICS:
            interval = bootstrap_interval(users, ratings, matrix, metric)
            figures = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
            rows.append(
                {"model": model, "metric": metric, **figures, "n": len(ratings), "seeds": len(matrix)}
            )
    return pd.DataFrame(rows)


def paired_tests(users: pd.Series, ratings: np.ndarray, matrices: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """As `compare_to_best`, models with and without timestamps each among themselves."""
    families = [[model for model in matrices if uses_time(model) is timed] for timed in (False, True)]
    return pd.concat(
        [
            compare_to_best(users, ratings, {model: matrices[model] for model in family})
            for family in families
            if family
        ],
        ignore_index=True,
    )


def best_model(scores: pd.DataFrame) -> str:
    """Model with the lowest RMSE; one that needs timestamps of the pairs only if there is no other.

    Whoever asks for a recommendation names no moment, and what such a model gains, it gains from moments.
    """
    rmse = scores[scores["metric"] == "rmse"]
    timed = rmse["model"].map(uses_time)
    rmse = rmse if timed.all() else rmse[~timed]
    return str(rmse.sort_values(["value", "model"], kind="stable")["model"].iloc[0])


def read_predictions(artifact: Artifact) -> pd.DataFrame:
    """user_id, item_id, prediction."""
    return pd.read_parquet(artifact.path / "predictions.parquet")


def prediction_matrix(truth: pd.DataFrame, artifacts: list[Artifact]) -> np.ndarray:
    """[seeds, n] predictions in the order of `truth`."""
    rows = []
    for artifact in artifacts:
        frame = read_predictions(artifact)
        if not frame[PAIR].equals(truth[PAIR]):
            frame = truth[PAIR].merge(frame, on=PAIR, how="left", validate="one_to_one")
        rows.append(frame["prediction"].to_numpy("float64"))
    return np.stack(rows)


def _nested(scores: pd.DataFrame) -> Mapping[str, Any]:
    nested: dict[str, dict[str, float]] = {}
    for row in scores.to_dict("records"):
        nested.setdefault(str(row["model"]), {})[str(row["metric"])] = round(float(row["value"]), 6)
    return nested
